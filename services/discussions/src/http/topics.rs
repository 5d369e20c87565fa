//! Subscriptions to cars (D10).

use std::sync::Arc;

use chassis::{Error, Page, Request, clock};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answered, MessageResponse};
use crate::{
    Discussions,
    model::{CarModel, Subscription},
    store::{SubscriptionKey, Subscriptions},
};

/// D10
pub(super) async fn subscribe(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<MessageResponse> {
    let car_model = car_model(&request)?;
    let message = format!("Subscribed to {}.", car_model.as_str());
    let subscription = Subscription::new(request.caller()?.user_id, car_model, clock::now());
    discussions
        .store
        .subscriptions
        .insert(&subscription)
        .await?;
    Ok(MessageResponse::new(message).into())
}

/// D10
pub(super) async fn unsubscribe(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<MessageResponse> {
    let car_model = car_model(&request)?;
    let user_id = request.caller()?.user_id;
    let was = discussions
        .store
        .subscriptions
        .remove(user_id, &car_model.topic())
        .await?;
    let verb = if was {
        "Unsubscribed from"
    } else {
        "Not subscribed to"
    };
    Ok(MessageResponse::new(format!("{verb} {}.", car_model.as_str())).into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Subscription")]
pub(super) struct SubscriptionResponse {
    car_model: String,
    #[schema(format = DateTime)]
    timestamp: String,
}

/// D10
pub(super) async fn list(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<Vec<SubscriptionResponse>> {
    let page: Page<SubscriptionKey> = request.page()?;
    let user_id = request.caller()?.user_id;
    let subscriptions = discussions.store.subscriptions.list(user_id, &page).await?;
    page.answer(
        &request,
        subscriptions,
        Subscriptions::key,
        |subscription| SubscriptionResponse {
            car_model: subscription.car_model,
            timestamp: clock::text(subscription.created_at),
        },
    )
}

/// The car that the path names, or the query.
fn car_model(request: &Request) -> Result<CarModel, Error> {
    let named = request.param::<String>("car_model").ok();
    let named = named.or_else(|| request.query("car_model"));
    let named = named.ok_or_else(|| Error::malformed("`car_model` is missing in the query"))?;
    named.parse().map_err(Error::unacceptable)
}
