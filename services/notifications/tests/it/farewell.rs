//! Who deletes their account is told nothing any more, and what they were told is gone.

use messaging::{Broker, Subscription, events::UserRegistered};
use serde_json::json;
use testkit::{Farewell, eventually};

use crate::helpers::{ANNA, BEN, Backend, Plaza, address};

crate::on_each_store![notifications_of_a_deleted_account_are_gone_and_those_that_wait_are_not_sent,];

async fn notifications_of_a_deleted_account_are_gone_and_those_that_wait_are_not_sent(
    backend: Backend,
) {
    // Nobody sends yet.
    let plaza = Plaza::start_with(backend, &["--roles=events"]).await;
    let users = Farewell::to(&plaza.service, &plaza.amqp).await;
    plaza.declared("notifications.events").await;
    // The queue of what is to be sent is there all the same, as the definitions of the broker have it.
    let settings = messaging::Settings {
        amqp_url: plaza.amqp.clone().into(),
        messaging_failpoint: None,
    };
    let own = Broker::new("notifications", &settings, &plaza.service.context).unwrap();
    let mails = Subscription::new("mail", &["notifications.queued"]).shared();
    messaging::declare(&own, &[mails]).await.unwrap();
    let registered = UserRegistered {
        user_id: ANNA,
        username: "anna".into(),
        name: "Anna".into(),
        email: address(),
    };
    plaza.publish(&registered).await;
    let (hers, his) = (address(), address());
    let id = plaza.mail(&hers).await;
    let body = json!({ "type": "email", "recipient": his, "message": "Hello" });
    plaza.send(BEN, &body).await.expect(202);
    eventually("she was welcomed", || async {
        let listed = plaza.get_as(ANNA, "/notifications").await;
        match listed.expect(200).as_array().unwrap().len() {
            2 => Ok(()),
            _ => Err(listed.text),
        }
    })
    .await;

    for round in [1, 2] {
        users.deleted(ANNA, "anna", round).await;
    }

    assert_eq!(
        plaza.get_as(ANNA, "/notifications").await.expect(200),
        &json!([])
    );
    let path = format!("/notifications/{id}");
    plaza.get_as(ANNA, &path).await.problem(404);
    // Now somebody sends, and both messages are at the broker.
    let _sender = plaza.another().await;
    plaza.smtp.mail_to(&his).await;
    // Hers was the first in the queue: when a later one has come, it has been looked at.
    let last = address();
    let body = json!({ "type": "email", "recipient": last, "message": "Hello" });
    plaza.send(BEN, &body).await.expect(202);
    plaza.smtp.mail_to(&last).await;
    assert!(plaza.smtp.mails_to(&hers).is_empty());
    assert!(plaza.dead().await.unwrap().is_empty());
}
