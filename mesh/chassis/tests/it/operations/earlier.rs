//! What the version before noted, in keys without service and route, does no harm.

use std::{sync::atomic::Ordering, time::Duration};

use aws_lc_rs::digest;
use mesh_chassis::{clock, documents::Collection};
use mongodb::bson::{Binary, Document, doc, spec::BinarySubtype};
use sea_orm::{ConnectionTrait as _, sea_query::Query};
use serde_json::{Value, json};
use testkit::TestService;
use uuid::Builder;

use super::{Store, Till, each_store, sale};

fn hash(parts: &[&[u8]]) -> Vec<u8> {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().to_vec()
}

fn hex(hash: &[u8]) -> String {
    use std::fmt::Write as _;
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes what the version before wrote of a sale of person 1, as long ago; its answer, or none.
async fn noted(
    till: &TestService<Till>,
    key: &str,
    body: &Value,
    ago: Duration,
    answer: Option<&Value>,
) {
    let id = hex(&hash(&[b"1", key.as_bytes()]));
    let body = serde_json::to_vec(body).unwrap();
    let fingerprint = hex(&hash(&[b"/sales", b"", &body]));
    let answer = answer.map(|answer| serde_json::to_vec(answer).unwrap());
    let then = clock::now() - ago;
    match &till.service.store {
        Store::Sql(connection) => {
            let status = answer.as_ref().map(|_| 201_i16);
            let insert = Query::insert()
                .into_table("operations")
                .columns(["id", "fingerprint", "started_at", "status", "body"])
                .values_panic([
                    id.into(),
                    fingerprint.into(),
                    then.into(),
                    status.into(),
                    answer.into(),
                ])
                .to_owned();
            connection.execute(&insert).await.unwrap();
        }
        Store::Documents(database) => {
            let then = then.timestamp_millis();
            let operations: Collection<Document> = database.collection("operations");
            let operation = doc! { "_id": &id, "fingerprint": fingerprint, "started_at": then };
            operations.insert("insert", &operation).await.unwrap();
            let Some(bytes) = answer else { return };
            let subtype = BinarySubtype::Generic;
            let body = Binary { subtype, bytes };
            let answers: Collection<Document> = database.collection("operation_answers");
            let answer = doc! { "_id": &id, "status": 201, "body": body, "started_at": then };
            answers.insert("insert", &answer).await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_the_version_before_answered_is_not_done_again() {
    for till in each_store().await {
        let (body, answer) = (json!({"amount": 3}), json!({"number": 7}));
        let an_hour = Duration::from_hours(1);
        noted(&till, "a", &body, an_hour, Some(&answer)).await;
        let again = sale(&till, 1, "a", &body).await;
        assert_eq!(*again.expect(201), answer);
        assert_eq!(again.header("idempotent-replayed"), "true");
        noted(&till, "b", &body, Duration::ZERO, None).await;
        sale(&till, 1, "b", &body).await.problem(409);
        assert_eq!(till.service.sold.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test]
async fn what_the_version_before_left_behind_goes_on_under_its_number() {
    for till in each_store().await {
        let body = json!({"amount": 3});
        noted(&till, "a", &body, Duration::from_mins(1), None).await;
        let sold = sale(&till, 1, "a", &body).await;
        let number = hash(&[b"1", b"a"])[..16].try_into().unwrap();
        let number = Builder::from_custom_bytes(number).into_uuid();
        assert_eq!(sold.expect(201)["operation"], number.to_string());
    }
}

#[tokio::test]
async fn what_the_version_before_did_elsewhere_or_yesterday_is_nothing() {
    for till in each_store().await {
        let (body, answer) = (json!({"amount": 3}), json!({"number": 7}));
        let yesterday = Duration::from_hours(24);
        noted(&till, "a", &body, yesterday, Some(&answer)).await;
        noted(&till, "b", &json!("other"), Duration::ZERO, Some(&answer)).await;
        for key in ["a", "b"] {
            let sold = sale(&till, 1, key, &body).await;
            assert_eq!(sold.header("idempotent-replayed"), "");
            sold.expect(201);
        }
    }
}
