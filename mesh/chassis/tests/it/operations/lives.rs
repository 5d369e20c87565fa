//! How long a key is known, and what its operation keeps over its attempts.

use std::{sync::atomic::Ordering, time::Duration};

use futures_util::future::join_all;
use mesh_chassis::{clock, documents::Collection};
use mongodb::bson::{Document, doc};
use sea_orm::{ConnectionTrait as _, sea_query::Query};
use serde_json::json;
use testkit::{TestService, eventually};

use super::{Store, Till, each_store, request, sale};

const A_DAY: Duration = Duration::from_hours(24);
/// Longer than any process needs for a request.
const LEFT_BEHIND: Duration = Duration::from_secs(20);

/// Makes everything that is known of keys older.
async fn age(till: &TestService<Till>, by: Duration) {
    match &till.service.store {
        Store::Sql(connection) => {
            let then = clock::now() - by;
            let aged = Query::update()
                .table("operations")
                .value("started_at", then)
                .to_owned();
            connection.execute(&aged).await.unwrap();
        }
        Store::Documents(database) => {
            let millis = i64::try_from(by.as_millis()).unwrap();
            let then = clock::now().timestamp_millis() - millis;
            let aged = doc! { "$set": { "started_at": then, "attempted_at": then } };
            let keys: Collection<Document> = database.collection("keys");
            let age = |keys: mongodb::Collection<Document>| async move {
                keys.update_many(doc! {}, aged).await
            };
            keys.run("keys.age", age).await.unwrap();
        }
    }
}

/// The sale numbers and operations that were begun.
async fn made(till: &TestService<Till>) -> Vec<String> {
    till.service.made.lock().await.clone()
}

async fn begun(till: &TestService<Till>, sales: i64) {
    eventually("a sale is at work", || async {
        match till.service.sold.load(Ordering::SeqCst) {
            sold if sold == sales => Ok(()),
            sold => Err(sold.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_that_has_expired_is_a_new_key() {
    for till in each_store().await {
        let (body, other) = (json!({"amount": 3}), json!({"amount": 4}));
        let first = sale(&till, 1, "a", &body).await;
        age(&till, Duration::from_mins(24 * 60 - 1)).await;
        let again = sale(&till, 1, "a", &body).await;
        assert_eq!(again.expect(201), first.expect(201));
        sale(&till, 1, "a", &other).await.problem(422);

        age(&till, A_DAY).await;
        let new = sale(&till, 1, "a", &other).await;
        assert_ne!(
            new.expect(201)["operation"],
            first.expect(201)["operation"],
            "what is made of the number is not yesterday's"
        );
        assert_eq!(new.header("idempotent-replayed"), "");
        let again = sale(&till, 1, "a", &other).await;
        assert_eq!(again.expect(201), new.expect(201));
        sale(&till, 1, "a", &body).await.problem(422);
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn of_many_that_come_with_an_expired_key_one_is_the_first() {
    for till in each_store().await {
        let body = json!({"amount": 3});
        for round in 1..6 {
            let tries = (0..10).map(|_| sale(&till, 1, "a", &body));
            let mut numbers = Vec::new();
            for reply in join_all(tries).await {
                match reply.status {
                    201 => numbers.push(reply.json["number"].as_i64().unwrap()),
                    _ => drop(reply.problem(409).to_owned()),
                }
            }
            numbers.dedup();
            assert_eq!(numbers, [round]);
            age(&till, A_DAY).await;
        }
    }
}

#[tokio::test]
async fn who_takes_over_goes_on_under_the_same_number() {
    for till in each_store().await {
        let body = json!({"amount": 3, "wait": true});
        let slow = tokio::spawn(request(&till, 1, "a", &body).send());
        begun(&till, 1).await;
        sale(&till, 1, "a", &body).await.problem(409);
        age(&till, LEFT_BEHIND).await;
        let tries = (0..5).map(|_| tokio::spawn(request(&till, 1, "a", &body).send()));
        let tries: Vec<_> = tries.collect();
        begun(&till, 2).await;
        till.service.go.add_permits(9);
        for reply in tries {
            assert!([201, 409].contains(&reply.await.unwrap().unwrap().status().as_u16()));
        }
        slow.await.unwrap().unwrap();
        let made = made(&till).await;
        assert_eq!(made.len(), 2, "one of five took over");
        assert_eq!(made[0], made[1]);
    }
}

#[tokio::test]
async fn what_failed_halfway_is_tried_again_at_once_under_the_same_number() {
    for till in each_store().await {
        let (body, other) = (json!({"amount": 3}), json!({"amount": -3}));
        till.service.broken.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            sale(&till, 1, "a", &body).await.problem(503);
        }
        sale(&till, 1, "a", &other).await.problem(422);
        till.service.broken.store(false, Ordering::SeqCst);
        let answered = sale(&till, 1, "a", &body).await;
        let made = made(&till).await;
        assert_eq!(made.len(), 4, "the other request was none of this key's");
        assert!(
            made.iter()
                .all(|made| *made == answered.expect(201)["operation"])
        );
    }
}

#[tokio::test]
async fn a_key_that_was_refused_is_free() {
    for till in each_store().await {
        let (refused, right) = (json!({"amount": -1}), json!({"amount": 1}));
        for _ in 0..2 {
            sale(&till, 1, "a", &refused).await.problem(422);
        }
        let sold = sale(&till, 1, "a", &right).await;
        sold.expect(201);
        sale(&till, 1, "a", &refused).await.problem(422);
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 3);
    }
}

#[tokio::test]
async fn a_key_of_yesterday_is_known_until_its_time_is_over() {
    for till in each_store().await {
        let Store::Documents(database) = &till.service.store else {
            continue;
        };
        let body = json!({"amount": 3});
        let first = sale(&till, 1, "a", &body).await;
        // Documents are found by the day on which their key was first used.
        let keys: Collection<Document> = database.collection("keys");
        let find =
            |keys: mongodb::Collection<Document>| async move { keys.find_one(doc! {}).await };
        let mut key = keys.run("keys.find", find).await.unwrap().unwrap();
        let id = key.get_str("_id").unwrap().to_owned();
        let (name, place) = id.split_once('@').unwrap();
        let (day, number) = place.split_once('.').unwrap();
        let day: i64 = day.parse().unwrap();
        key.insert("_id", format!("{name}@{}.{number}", day - 1));
        assert!(keys.insert("keys.insert", &key).await.unwrap());
        keys.remove("keys.remove", &id).await.unwrap();

        let again = sale(&till, 1, "a", &body).await;
        assert_eq!(again.expect(201), first.expect(201));
        age(&till, A_DAY).await;
        let new = sale(&till, 1, "a", &body).await;
        assert_eq!(new.expect(201)["number"], 2);
    }
}
