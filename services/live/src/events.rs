//! What other services tell, for those in rooms to see.
//!
//! One instance gets an event and says it to all. It may be said twice, after a crash: a room
//! keeps nothing that would tell.

use std::sync::Arc;

use messaging::{
    Consumer, Event as _, Failure, Received, Subscription,
    events::{CarPostCreated, MovieReviewed},
};
use serde_json::json;

use crate::{
    hub::Hub,
    model::{self, RoomName},
};

/// What rooms are told of.
pub(crate) const ROOMS: Subscription =
    Subscription::new("rooms", &[CarPostCreated::TYPE, MovieReviewed::TYPE]).shared();

/// Tells rooms of new posts (D10) and new reviews (D22).
pub(crate) fn told(hub: Arc<Hub>) -> Consumer {
    let reviewed = Arc::clone(&hub);
    Consumer::of(&ROOMS)
        .on(move |event: Received<CarPostCreated>| {
            let hub = Arc::clone(&hub);
            async move {
                let post = event.data;
                let Some(room) = RoomName::of_topic(&post.car_model) else {
                    return Err(Failure::reject("there is no room for this car model"));
                };
                let data = json!({
                    "post_id": post.post_id,
                    "user_id": post.user_id,
                    "title": post.title,
                    "car_model": post.car_model,
                });
                let frame = model::event("new_post", &data);
                hub.announce(&room, &frame).await.map_err(Failure::of)
            }
        })
        .on(move |event: Received<MovieReviewed>| {
            let hub = Arc::clone(&reviewed);
            async move {
                let review = event.data;
                let room_id = review.movie_id.to_string();
                let Some(room) = RoomName::of_reviews(&room_id) else {
                    return Err(Failure::reject("there is no room for this movie"));
                };
                let text = format!(
                    "User {} added a new review: {}",
                    review.user_id, review.title
                );
                let data = json!({
                    "user_id": review.user_id.to_string(),
                    "room_id": room_id,
                    "review_title": review.title,
                    "message": text,
                });
                let frame = model::event("new_review", &data);
                hub.announce(&room, &frame).await.map_err(Failure::of)
            }
        })
}
