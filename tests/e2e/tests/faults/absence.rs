//! Claim (S4-14): `notifications` may be away for a minute while things are bought, and every mail
//! comes when it is back, once. Its name lets this begin first: the minute passes beside others.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, eventually, unique};
use tokio::time::Instant;

use crate::{
    ONE_AT_A_TIME, POST_OFFICE,
    post::{frozen_instead_of, mailed, mails, settled},
};

/// How long it is away.
const AWAY: Duration = Duration::from_mins(1);
/// The pause between two purchases.
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn s4_14_notifications_is_away_for_a_minute_and_each_mail_arrives_once() {
    let _mails = POST_OFFICE.lock().await;
    let mesh = Mesh::current();
    let alone = ONE_AT_A_TIME.lock().await;
    let (seller, buyer) = (mesh.person().await, mesh.person().await);
    let name = unique("Lamp ");
    let item = json!({"name": name, "price": 1, "quantity": 1000});
    let created = mesh.call(Method::POST, "/item", &seller.token, &item).await;
    let id = created.expect(201)["item"]["id"].as_i64().unwrap();
    mailed(&seller, &format!("Your item is on offer: {name}"), 1).await;
    let away = frozen_instead_of("notifications-1").await;
    // What others break from here on is nothing that buying needs.
    drop(alone);

    let (path, one) = (format!("/buy/{id}"), json!({}));
    let since = Instant::now();
    let (mut ticks, mut bought) = (tokio::time::interval(PAUSE), 0);
    while since.elapsed() < AWAY {
        ticks.tick().await;
        let answer = mesh.call(Method::POST, &path, &buyer.token, &one);
        answer.await.expect(200);
        bought += 1;
    }
    assert!(
        mails(&buyer.email).await.unwrap().is_empty(),
        "nobody told of it"
    );
    assert_eq!(mails(&seller.email).await.unwrap().len(), 1);
    drop(away);

    eventually("notifications is back", || async {
        let own = mesh.call(Method::GET, "/notifications", &buyer.token, &Value::Null);
        let own = own.await;
        (own.status == 200).then_some(()).ok_or(own.text)
    })
    .await;
    let (bought_one, sold_one) = (
        format!("You bought 1 × {name}"),
        format!("You sold 1 × {name}"),
    );
    mailed(&buyer, &bought_one, bought).await;
    mailed(&seller, &sold_one, bought).await;
    // Now that all is done: nothing failed, and nothing came twice.
    for (person, count) in [(&buyer, bought), (&seller, bought + 1)] {
        let rows = settled(person, count).await;
        assert!(rows.iter().all(|row| row["status"] == "sent"), "{rows:?}");
        assert_eq!(mails(&person.email).await.unwrap().len(), count);
    }
}
