//! The end of an account: each service that keeps something personal removes it and answers; `users` collects the answers.
//!
//! `users` says it more than once, minutes apart: what was on its way at the first time is there at the second. So whoever
//! removes must be harmless twice, and needs no note of who is gone. See `docs/adr/0046`.

use std::{sync::Arc, time::Duration};

use chassis::Context;
use topology::Subscription;

use crate::{
    Broker, Consumer, Event as _, Received,
    events::{UserDeleted, UserForgotten},
};

/// What a service that keeps something personal hears.
pub const DELETED: Subscription = Subscription::new("farewells", &[UserDeleted::TYPE]).shared();
/// What `users` hears.
pub const ANSWERED: Subscription = Subscription::new("farewells", &ANSWERS).shared();

/// The services that answer. One that is not here keeps nothing personal, or nothing that lasts (`docs/personal-data.md`).
pub const SERVICES: [&str; 7] = [
    "discussions",
    "items",
    "likes",
    "movies",
    "notifications",
    "polls",
    "timelines",
];
/// The types of their answers, in the same order.
const ANSWERS: [&str; 7] = [
    "discussions.user_forgotten",
    "items.user_forgotten",
    "likes.user_forgotten",
    "movies.user_forgotten",
    "notifications.user_forgotten",
    "polls.user_forgotten",
    "timelines.user_forgotten",
];

/// What removing may take: a person may have written much.
const PATIENCE: Duration = Duration::from_mins(5);
/// Accounts that one process forgets at once: requests of those who are there come first.
const AT_ONCE: u16 = 2;

/// Calls `forget` for each account that is no more, and answers when all is removed. In the background: a
/// broker that is away is no reason to start later, since the queue is there before the service.
pub fn listen<H, R>(broker: &Broker, context: &Context, forget: H)
where
    H: Fn(UserDeleted) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), chassis::Error>> + Send + 'static,
{
    let (own, forget) = (broker.clone(), Arc::new(forget));
    let consumer = Consumer::of(&DELETED)
        .prefetch(AT_ONCE)
        .deadline(PATIENCE)
        .on(move |event: Received<UserDeleted>| {
            let (broker, forget) = (own.clone(), Arc::clone(&forget));
            async move {
                let answer = UserForgotten {
                    user_id: event.data.user_id,
                    round: event.data.round,
                };
                forget(event.data).await?;
                // The delivery is not acknowledged before the broker has the answer: whoever dies here answers later.
                let kind = format!("{}.{}", broker.service(), UserForgotten::TYPE);
                broker.publish_as(&kind, &answer).await
            }
        });
    start(consumer, broker, context);
}

/// Calls `note` with the name of each service that has forgotten somebody. In the background, as [`listen`].
pub fn collect<H, R>(broker: &Broker, context: &Context, note: H)
where
    H: Fn(&'static str, UserForgotten) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), chassis::Error>> + Send + 'static,
{
    let note = Arc::new(note);
    let kinds = SERVICES.into_iter().zip(ANSWERS);
    let consumer = kinds.fold(Consumer::of(&ANSWERED), |consumer, (service, kind)| {
        let note = Arc::clone(&note);
        consumer.on_kind(kind, move |event: Received<UserForgotten>| {
            let noted = note(service, event.data);
            async move { Ok(noted.await?) }
        })
    });
    start(consumer, broker, context);
}

fn start(consumer: Consumer, broker: &Broker, context: &Context) {
    let (broker, own) = (broker.clone(), context.clone());
    context.spawn(async move { consumer.start(&broker, &own).await });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_an_answer_of_its_own() {
        for (service, kind) in SERVICES.into_iter().zip(ANSWERS) {
            assert_eq!(kind, format!("{service}.{}", UserForgotten::TYPE));
        }
        assert_eq!(ANSWERED.events, ANSWERS);
    }
}
