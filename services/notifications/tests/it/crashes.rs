//! The process dies, at the worst moments there are (`docs/adr/0015`).

use std::{process::Stdio, time::Duration};

use messaging::{dead_letters, events::ItemBought, failpoint};
use notifications::{BEFORE_CLAIM, BEFORE_SEND, BEFORE_SENT};
use testkit::{eventually_within, unique};
use tokio::process::{Child, Command};

use crate::helpers::{ANNA, BEN, Backend, EVENTS, MAIL, Plaza, address};

/// A process of its own over the same data, which dies when it comes to `failpoint`.
fn process(plaza: &Plaza, failpoint: Option<&str>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_notifications"));
    command
        .args([
            "--registration=off",
            "--http-addr=127.0.0.1:0",
            "--admin-addr=127.0.0.1:0",
        ])
        .args(&plaza.flags)
        .arg("--data-dir")
        .arg(plaza.service.data().path())
        .env_remove("RUST_LOG")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    if let Some(name) = failpoint {
        command.env("MESSAGING_FAILPOINT", name);
    }
    command.spawn().unwrap()
}

/// A service that answers, and a mail that was given to a process which died at `failpoint`.
async fn died_at(failpoint: &str) -> (Plaza, String, String) {
    let plaza = Plaza::start_with(Backend::Sqlite, &["--roles=none"]).await;
    let to = address();
    let mut dying = process(&plaza, Some(failpoint));
    plaza.declared(MAIL).await;
    let id = plaza.mail(&to).await;
    let ended = dying.wait().await.unwrap();
    assert!(!ended.success(), "{ended}");
    (plaza, id, to)
}

#[tokio::test]
async fn s4_14_a_process_that_dies_before_it_sends_leaves_the_mail_to_the_next() {
    let (plaza, id, to) = died_at(BEFORE_CLAIM).await;
    assert!(plaza.smtp.mails().is_empty());
    let next = plaza.another().await;
    plaza.fate(&id, "sent").await;
    assert_eq!(plaza.smtp.mails_to(&to).len(), 1);
    next.stop().await;
}

#[tokio::test]
async fn s4_14_a_process_that_dies_after_it_wrote_that_it_sent_sends_nothing_twice() {
    let (plaza, id, to) = died_at(failpoint::BEFORE_ACK).await;
    let next = plaza.another().await;
    plaza.fate(&id, "sent").await;
    // One more, so that anything that comes twice has come by now.
    let second = plaza.mail(&to).await;
    plaza.fate(&second, "sent").await;
    assert_eq!(plaza.smtp.mails_to(&to).len(), 2);
    next.stop().await;
}

/// A process died in the one gap there is: whether the mail went out, only the mail server knows.
async fn unclear(failpoint: &str, arrived: usize) {
    let (plaza, id, to) = died_at(failpoint).await;
    let next = plaza.another().await;

    let fate = plaza.fate(&id, "failed").await;

    let reason = fate["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("whether it was sent is not known"),
        "{reason}"
    );
    assert_eq!(plaza.first_dead().await.reason, reason);
    assert_eq!(plaza.smtp.mails_to(&to).len(), arrived);
    let replayed = dead_letters::replay(&plaza.broker(), MAIL, None).await;
    assert_eq!(replayed.unwrap(), 1);
    plaza.fate(&id, "sent").await;
    let mails = plaza.smtp.mails_to(&to);
    assert_eq!(mails.len(), arrived + 1);
    assert!(
        mails
            .iter()
            .all(|mail| mail.header("message-id") == mails[0].header("message-id"))
    );
    next.stop().await;
}

#[tokio::test]
async fn d27_a_process_that_dies_before_the_last_step_leaves_the_mail_to_a_person() {
    Box::pin(unclear(BEFORE_SEND, 0)).await;
}

#[tokio::test]
async fn d27_a_process_that_dies_after_the_last_step_does_not_have_the_mail_sent_twice() {
    Box::pin(unclear(BEFORE_SENT, 1)).await;
}

#[tokio::test]
async fn s4_14_killed_again_and_again_while_things_are_bought_every_mail_arrives_once() {
    const PURCHASES: usize = 60;
    let plaza = Plaza::start_with(Backend::Sqlite, &["--roles=none"]).await;
    let (anna, ben) = (plaza.people.add(ANNA), plaza.people.add(BEN));
    let mut child = process(&plaza, None);
    plaza.declared(MAIL).await;
    plaza.declared(EVENTS).await;
    for number in 0..PURCHASES {
        let event = ItemBought {
            order_id: unique("o"),
            item_id: 1,
            name: format!("Lamp {number}"),
            quantity: 1,
            total_cents: 100,
            seller_id: ANNA,
            buyer_id: BEN,
            bought_at: "2026-01-01T00:00:00Z".into(),
        };
        plaza.publish(&event).await;
        if number % 15 == 14 {
            child.kill().await.unwrap();
            child = process(&plaza, None);
        }
    }
    // Each is sent, or, if it was on its very way when the process died, left to a person.
    let settled = eventually_within(Duration::from_mins(3), "the end of every mail", || async {
        let mut settled = Vec::new();
        for user_id in [ANNA, BEN] {
            let list = plaza.get_as(user_id, "/notifications?limit=200").await;
            settled.extend(list.expect(200).as_array().unwrap().clone());
        }
        let open = settled
            .iter()
            .filter(|row| row["status"] == "queued")
            .count();
        if settled.len() == 2 * PURCHASES && open == 0 {
            Ok(settled)
        } else {
            Err(format!("{} known, {open} open", settled.len()))
        }
    })
    .await;
    child.kill().await.unwrap();
    let failed: Vec<_> = settled
        .iter()
        .filter(|row| row["status"] == "failed")
        .collect();
    let mails = plaza.smtp.mails();
    let mut ids: Vec<String> = mails.iter().map(|mail| mail.header("message-id")).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), mails.len(), "a mail came twice");
    assert!(mails.len() + failed.len() >= 2 * PURCHASES, "{failed:?}");
    // Those that were on their way when one of four processes died, of which each has sixteen at once.
    assert!(failed.len() <= 4 * 16, "{failed:?}");
    assert!(plaza.smtp.mails_to(&anna).len() + plaza.smtp.mails_to(&ben).len() == mails.len());
}
