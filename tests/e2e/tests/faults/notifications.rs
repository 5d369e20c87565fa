//! Claim (S4-14, D27): `notifications` may be killed while things are bought, and the mail server
//! too. No mail comes twice, and none is lost.

use std::{collections::BTreeMap, time::Duration};

use discovery::Dns;
use messaging::{
    Broker,
    dead_letters::{self, DeadLetter},
};
use reqwest::Method;
use serde_json::json;
use testkit::{Mesh, Signal, eventually, eventually_within, mesh::Person, unique};

use crate::{
    ONE_AT_A_TIME, POST_OFFICE,
    post::{Away, SETTLING, mailed, mails, settled},
};

/// Things that are bought, and how many of them between two kills.
const PURCHASES: usize = 60;
const BETWEEN_KILLS: usize = 12;
/// The consumer that gives mails to the mail server.
const MAIL: &str = "notifications.mail";

/// The mails to an address, by their ids: how often each came.
async fn by_id(address: &str) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for mail in mails(address).await.unwrap() {
        let id = mail["message_id"].as_str().unwrap();
        let id = id.split('@').next().unwrap().to_owned();
        *found.entry(id).or_default() += 1;
    }
    found
}

/// The process of the mail server, if it runs.
fn mail_server() -> Option<u32> {
    Mesh::current().program("mail")
}

#[tokio::test]
async fn s4_14_notifications_is_killed_while_things_are_bought_and_no_mail_is_lost_or_doubled() {
    let _mails = POST_OFFICE.lock().await;
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let (seller, buyer) = (mesh.person().await, mesh.person().await);
    let item = json!({"name": unique("Lamp "), "price": 1, "quantity": 1000});
    let created = mesh.call(Method::POST, "/item", &seller.token, &item).await;
    let id = created.expect(201)["item"]["id"].as_i64().unwrap();
    let path = format!("/buy/{id}");

    let mut ticks = tokio::time::interval(Duration::from_millis(200));
    for number in 0..PURCHASES {
        ticks.tick().await;
        if number % BETWEEN_KILLS == 0
            && let Some(pid) = mesh.process("notifications-1")
        {
            testkit::signal::send(pid, Signal::KILL);
        }
        mesh.call(Method::POST, &path, &buyer.token, &json!({}))
            .await
            .expect(200);
    }

    for (person, count) in [(&buyer, PURCHASES), (&seller, PURCHASES + 1)] {
        let mails = mails_of(person, count).await;
        assert!(mails.values().all(|times| *times == 1), "{mails:?}");
    }
}

/// The mails to a person, who has so many notifications: one for each that is sent. Those that a
/// process was killed over in the one moment that nobody can look into are left to a person.
async fn mails_of(person: &Person, count: usize) -> BTreeMap<String, usize> {
    let rows = settled(person, count).await;
    let mails = by_id(&person.email).await;
    for row in &rows {
        if row["status"] == "sent" {
            assert!(
                mails.contains_key(row["id"].as_str().unwrap()),
                "{row} is lost"
            );
        } else {
            let reason = row["reason"].as_str().unwrap();
            assert!(
                reason.starts_with("whether it was sent is not known"),
                "{row}"
            );
        }
    }
    mails
}

#[tokio::test]
async fn s4_14_the_mail_server_is_killed_and_mails_come_once_when_it_is_back() {
    let _mails = POST_OFFICE.lock().await;
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let to = format!("{}@example.com", unique("to"));
    let pid = mail_server().expect("the mail server runs");
    testkit::signal::send(pid, Signal::KILL);
    let body = json!({"type": "email", "recipient": to, "message": "Hello"});
    for _ in 0..5 {
        mesh.call(Method::POST, "/notifications/send", &person.token, &body)
            .await
            .expect(202);
    }
    eventually("another mail server", || async {
        match mail_server() {
            Some(now) if now != pid => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    settled(&person, 5).await;
    let mails = by_id(&to).await;
    assert_eq!((mails.len(), mails.values().sum()), (5, 5), "{mails:?}");
}

/// Has a few mails sent; their ids.
async fn asked(person: &Person, to: &str) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..3 {
        let body = json!({"type": "email", "recipient": to, "message": "Hello"});
        let mesh = Mesh::current();
        let asked = mesh.call(Method::POST, "/notifications/send", &person.token, &body);
        let asked = asked.await;
        let id = asked.expect(202)["notification"]["id"].as_str().unwrap();
        ids.push(id.to_owned());
    }
    ids
}

fn broker() -> Broker {
    let mesh = Mesh::current();
    let settings = messaging::Settings {
        amqp_url: mesh.address("rabbitmq").to_owned().into(),
        messaging_failpoint: None,
    };
    let dns = Dns::new(mesh.address("consul_dns").parse().unwrap()).unwrap();
    Broker::operated(&settings, &dns).unwrap()
}

/// The dead letters that are about these notifications.
async fn dead(ids: &[String]) -> Result<Vec<DeadLetter>, String> {
    let listed = dead_letters::list(&broker(), MAIL, 1000).await;
    let mut letters = listed.map_err(|error| format!("{error:#}"))?;
    letters.retain(|letter| ids.iter().any(|id| letter.body.contains(id)));
    Ok(letters)
}

/// Sends dead letters to their consumer again, as `cargo mesh dead-letters replay` does.
async fn replay(letters: &[DeadLetter]) {
    let ids: Vec<String> = letters.iter().map(|letter| letter.id.clone()).collect();
    let replayed = dead_letters::replay(&broker(), MAIL, Some(&ids)).await;
    assert_eq!(replayed.unwrap(), letters.len());
}

#[tokio::test]
async fn s4_14_without_a_mail_server_mails_are_tried_again_and_wait_as_dead_letters() {
    let _mails = POST_OFFICE.lock().await;
    let mesh = Mesh::current();
    let alone = ONE_AT_A_TIME.lock().await;
    let (seller, writer) = (mesh.person().await, mesh.person().await);
    let to = format!("{}@example.com", unique("to"));
    let away = Away::of("mail", mail_server).await;
    let mut ids = asked(&writer, &to).await;
    let name = unique("Lamp ");
    let item = json!({"name": name, "price": 1});
    let created = mesh.call(Method::POST, "/item", &seller.token, &item).await;
    created.expect(201);
    drop(alone);

    for (person, count) in [(&writer, 3), (&seller, 1)] {
        for row in settled(person, count).await {
            assert_eq!(
                (&row["status"], &row["attempts"]),
                (&json!("failed"), &json!(5)),
                "{row}"
            );
            ids.push(row["id"].as_str().unwrap().to_owned());
        }
    }
    ids.sort();
    ids.dedup();
    let letters = eventually_within(SETTLING, "a dead letter of each", || async {
        let letters = dead(&ids).await?;
        (letters.len() == 4)
            .then_some(letters.clone())
            .ok_or(format!("{letters:?}"))
    })
    .await;
    assert!(
        letters
            .iter()
            .all(|letter| letter.reason.contains("failed 5 times")),
        "{letters:?}"
    );
    drop(away);
    eventually("another mail server", || async {
        mail_server().ok_or_else(|| "none".to_owned())
    })
    .await;

    replay(&letters).await;
    mailed(&seller, &format!("Your item is on offer: {name}"), 1).await;
    for (person, address, count) in [(&writer, &to, 3), (&seller, &seller.email, 1)] {
        eventually_within(SETTLING, "each is sent", || async {
            let rows = settled(person, count).await;
            let sent = rows.iter().all(|row| row["status"] == "sent");
            sent.then_some(()).ok_or(format!("{rows:?}"))
        })
        .await;
        let mails = by_id(address).await;
        assert_eq!(
            (mails.len(), mails.values().sum()),
            (count, count),
            "{mails:?}"
        );
    }
    assert!(dead(&ids).await.unwrap().is_empty(), "none is left");
}
