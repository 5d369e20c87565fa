//! A mail server that is away, slow, full or out of its mind.

use messaging::dead_letters;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{
    helpers::{ANNA, Backend, MAIL, Plaza, address},
    on_each_store,
    smtp::{Mood, Smtp},
};

on_each_store!(
    s4_14_a_mail_that_fails_for_now_is_tried_again_and_sent_once,
    s4_14_without_a_mail_server_mails_become_dead_letters_that_can_be_replayed,
    d27_a_mail_that_is_refused_fails_at_once,
    d27_a_mail_whose_fate_is_unknown_is_not_sent_again_unless_a_person_says_so,
);

async fn s4_14_a_mail_that_fails_for_now_is_tried_again_and_sent_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.smtp.moods(&[Mood::Greylists, Mood::IsFull]);
    let to = address();

    let id = plaza.mail(&to).await;

    let fate = plaza.fate(&id, "sent").await;
    assert_eq!(fate["attempts"], 3, "{fate}");
    assert_eq!(plaza.smtp.mails_to(&to).len(), 1);
    assert!(plaza.dead().await.unwrap().is_empty());
}

async fn s4_14_without_a_mail_server_mails_become_dead_letters_that_can_be_replayed(
    backend: Backend,
) {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let smtp = Smtp::closed(taken.local_addr().unwrap().port());
    drop(taken);
    let flags = ["--mail-retry-seconds=0.1,0.2"];
    let plaza = Plaza::start_at(backend, smtp, &flags).await;
    let (to, other) = (address(), address());

    let ids = [plaza.mail(&to).await, plaza.mail(&other).await];

    for id in &ids {
        let fate = plaza.fate(id, "failed").await;
        assert_eq!(fate["attempts"], 3, "{fate}");
        assert!(
            fate["reason"].as_str().unwrap().contains("refused"),
            "{fate}"
        );
    }
    testkit::eventually("two dead letters", || async {
        let dead = plaza.dead().await?;
        assert!(
            dead.iter()
                .all(|letter| letter.reason.contains("failed 3 times"))
        );
        if dead.len() == 2 {
            Ok(())
        } else {
            Err(dead.len().to_string())
        }
    })
    .await;
    let smtp = plaza.smtp.clone().open().await;
    let replayed = dead_letters::replay(&plaza.broker(), MAIL, None).await;
    assert_eq!(replayed.unwrap(), 2);
    for id in &ids {
        plaza.fate(id, "sent").await;
    }
    assert_eq!(
        (smtp.mails_to(&to).len(), smtp.mails_to(&other).len()),
        (1, 1)
    );
    assert!(plaza.dead().await.unwrap().is_empty());
}

async fn d27_a_mail_that_is_refused_fails_at_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza
        .smtp
        .moods(&[Mood::Refuses, Mood::RefusesAfterReading]);
    for reason in ["5.1.1 no such user", "5.6.0 spam"] {
        let id = plaza.mail(&address()).await;
        let fate = plaza.fate(&id, "failed").await;
        assert!(fate["reason"].as_str().unwrap().contains(reason), "{fate}");
        assert_eq!(fate["attempts"], 1);
    }
    // Nobody could mend that by trying again.
    assert!(plaza.dead().await.unwrap().is_empty());
    assert!(plaza.smtp.mails().is_empty());
}

async fn d27_a_mail_whose_fate_is_unknown_is_not_sent_again_unless_a_person_says_so(
    backend: Backend,
) {
    // This is how long a silence is listened to.
    let plaza = Plaza::start_with(backend, &["--smtp-timeout-seconds=3"]).await;
    for mood in [Mood::HangsUp, Mood::IsSilent] {
        plaza.smtp.moods(&[mood]);
        let to = address();
        let id = plaza.mail(&to).await;
        let fate = plaza.fate(&id, "failed").await;
        let reason = fate["reason"].as_str().unwrap();
        assert!(
            reason.starts_with("whether it was sent is not known"),
            "{reason}"
        );
        let letter = plaza.first_dead().await;
        assert_eq!(letter.reason, reason);
        assert_eq!(plaza.smtp.mails_to(&to).len(), 1);

        let replayed = dead_letters::replay(&plaza.broker(), MAIL, None).await;
        assert_eq!(replayed.unwrap(), 1);

        plaza.fate(&id, "sent").await;
        let mails = plaza.smtp.mails_to(&to);
        assert_eq!(mails.len(), 2);
        // Whoever got both can tell.
        assert_eq!(mails[0].header("message-id"), mails[1].header("message-id"));
        assert_eq!(mails[0].header("date"), mails[1].header("date"));
    }
}

#[tokio::test]
async fn d13_where_encryption_is_required_nothing_goes_out_without() {
    let flags = ["--smtp-tls=required", "--mail-retry-seconds=0.05"];
    let plaza = Plaza::start_with(Backend::Sqlite, &flags).await;
    let id = plaza.mail(&address()).await;
    let fate = plaza.fate(&id, "failed").await;
    assert!(
        fate["reason"].as_str().unwrap().contains("STARTTLS"),
        "{fate}"
    );
    assert!(plaza.smtp.mails().is_empty());
}

#[tokio::test]
async fn s4_14_two_instances_share_the_work_and_send_each_mail_once() {
    let plaza = Plaza::start(Backend::Postgres).await;
    let other = plaza.another().await;
    let mut ids = Vec::new();
    for user_id in ANNA..ANNA + 10 {
        for _ in 0..10 {
            let body = json!({"type": "email", "recipient": address(), "message": "x"});
            let reply = plaza.send(user_id, &body).await;
            ids.push(reply.expect(202)["notification"]["id"].clone());
        }
    }
    testkit::eventually("a hundred mails", || async {
        let mails = plaza.smtp.mails().len();
        if mails >= ids.len() {
            Ok(())
        } else {
            Err(mails.to_string())
        }
    })
    .await;
    let mut sent: Vec<String> = plaza
        .smtp
        .mails()
        .iter()
        .map(|mail| mail.header("message-id"))
        .collect();
    sent.sort();
    sent.dedup();
    assert_eq!((sent.len(), plaza.smtp.mails().len()), (100, 100));
    other.stop().await;
}
