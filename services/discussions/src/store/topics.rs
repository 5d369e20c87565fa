//! Topics of before are folded as they are looked for now: once, when the first instance starts that looks so.

use std::time::Duration;

use chassis::{
    Error,
    documents::{Collection, Database},
};
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;
use serde::{Deserialize, Serialize};

use crate::model::{Subscription, Topic};

/// What reading all documents of a kind may take.
const SCAN_DEADLINE: Duration = Duration::from_mins(1);
/// The note that it is done.
const DONE: &str = "topics-folded";

#[derive(Debug, Serialize, Deserialize)]
struct Step {
    #[serde(rename = "_id")]
    id: String,
}

/// A post, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: String,
    car_model: String,
    topic: String,
}

/// Folds the topics of all posts and subscriptions, unless that was done before.
pub(super) async fn fold(database: &Database) -> Result<(), Error> {
    let steps: Collection<Step> = database.collection("steps");
    if steps.find("steps.find", &DONE).await?.is_some() {
        return Ok(());
    }
    fold_posts(&database.collection("posts")).await?;
    fold_subscriptions(&database.collection("subscriptions")).await?;
    let done = Step {
        id: DONE.to_owned(),
    };
    steps.insert("steps.insert", &done).await.map(drop)
}

async fn fold_posts(posts: &Collection<Named>) -> Result<(), Error> {
    let members = doc! { "car_model": 1, "topic": 1 };
    let list = |posts: mongodb::Collection<Named>| async move {
        let all = posts.find(doc! {}).projection(members).await?;
        let other =
            |post: &Named| std::future::ready(post.topic != Topic::of(&post.car_model).as_str());
        let others = all.try_filter(other);
        others.try_collect::<Vec<_>>().await
    };
    let found = posts
        .run_within(SCAN_DEADLINE, "posts.topics", list)
        .await?;
    for post in found {
        let topic = doc! { "topic": Topic::of(&post.car_model).as_str() };
        posts.set("posts.fold", &post.id, topic).await?;
    }
    Ok(())
}

/// The topic is in their ids. Of two that are one now the elder stays.
async fn fold_subscriptions(subscriptions: &Collection<Subscription>) -> Result<(), Error> {
    let list = |subscriptions: mongodb::Collection<Subscription>| async move {
        let all = subscriptions.find(doc! {}).await?;
        let other = |subscription: &Subscription| {
            std::future::ready(subscription.topic != Topic::of(&subscription.car_model))
        };
        all.try_filter(other).try_collect::<Vec<_>>().await
    };
    let found = subscriptions.run_within(SCAN_DEADLINE, "subscriptions.topics", list);
    for before in found.await? {
        let topic = Topic::of(&before.car_model);
        let now = Subscription {
            id: Subscription::key(before.user_id, &topic),
            topic,
            ..before.clone()
        };
        subscriptions.insert("subscriptions.fold", &now).await?;
        subscriptions
            .remove("subscriptions.fold", &before.id)
            .await?;
    }
    Ok(())
}
