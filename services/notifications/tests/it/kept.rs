//! What was acknowledged is kept, on a full disk and by two instances.

use notifications::Notifications;
use serde_json::{Value, json};
use testkit::{Reply, TestService, ledger};

use crate::helpers::{Backend, Plaza, get_as, send};

/// Asks for a mail, everybody for one.
async fn ask(notifications: &TestService<Notifications>, number: usize) -> Reply {
    let recipient = format!("n{number}@example.com");
    let mail = json!({"type": "email", "recipient": recipient, "message": "Hello"});
    send(notifications, i64::try_from(number).unwrap() + 1, &mail).await
}

async fn is_there(notifications: &TestService<Notifications>, answer: &Value) -> bool {
    let asked = &answer["notification"];
    let recipient = asked["recipient"].as_str().unwrap();
    let number = recipient[1..].split('@').next().unwrap();
    let user_id = number.parse::<i64>().unwrap() + 1;
    let path = format!("/notifications/{}", asked["id"].as_str().unwrap());
    get_as(notifications, user_id, &path).await.status == 200
}

#[tokio::test]
async fn a_full_disk_loses_no_notification() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let flags: Vec<&str> = plaza.flags.iter().map(String::as_str).collect();
    ledger::survives_a_full_disk(&flags, ask, is_there).await;
}

#[tokio::test]
async fn two_instances_lose_no_notification() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let flags: Vec<&str> = plaza.flags.iter().map(String::as_str).collect();
    ledger::holds_with_two_instances(&flags, ask, is_there).await;
}
