//! What people ask for (S1-05, S1-08, D13).

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{TestService, send as request};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, address, get_as, send},
    on_each_store,
};

on_each_store!(
    s1_05_an_email_is_queued_sent_and_its_fate_told,
    s1_08_an_sms_is_simulated_and_recorded,
    d13_ten_a_minute_for_a_user_hold_across_two_instances,
    d13_notifications_are_their_requesters_alone,
    d7_notifications_come_in_pages_newest_first,
    d26_a_repeated_key_sends_one_mail,
);

async fn s1_05_an_email_is_queued_sent_and_its_fate_told(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let to = address();
    let body =
        json!({"type": "email", "recipient": to, "message": "Your order has been processed!"});

    let reply = plaza.send(ANNA, &body).await;

    let answer = reply.expect(202);
    assert_eq!(
        answer["message"],
        format!("Email notification sent to {to}")
    );
    let notification = &answer["notification"];
    assert_eq!(
        (
            &notification["type"],
            &notification["recipient"],
            &notification["status"]
        ),
        (&json!("email"), &json!(to), &json!("queued"))
    );
    let id = notification["id"].as_str().unwrap();
    let mail = plaza.smtp.mail_to(&to).await;
    assert_eq!((mail.to.len(), mail.header("to")), (1, to.clone()));
    assert_eq!(mail.header("message-id"), format!("<{id}@plaza.example>"));
    assert_eq!(mail.header("auto-submitted"), "auto-generated");
    assert!(
        mail.text().contains("Your order has been processed!"),
        "{mail:?}"
    );
    let fate = plaza.fate(id, "sent").await;
    assert_eq!(
        (&fate["attempts"], &fate["reason"]),
        (&json!(1), &Value::Null)
    );
    assert!(fate["sent_at"].is_string(), "{fate}");
    assert_eq!(plaza.smtp.mails_to(&to).len(), 1);
}

async fn s1_08_an_sms_is_simulated_and_recorded(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let body = json!({"type": "SMS", "recipient": "+49 151 1234567", "message": "Hello"});

    let reply = plaza.send(ANNA, &body).await;

    let answer = reply.expect(202);
    assert_eq!(
        answer["message"],
        "SMS notification sent to +49 151 1234567"
    );
    assert_eq!(answer["notification"]["type"], "sms");
    let id = answer["notification"]["id"].as_str().unwrap();
    let fate = plaza.fate(id, "sent").await;
    assert_eq!(fate["message"], "Hello");
    assert_eq!(plaza.smtp.connections(), 0);
}

/// How many of these requests were taken; the others were refused, with how long to wait.
async fn taken(services: [&TestService<notifications::Notifications>; 2], user_id: i64) -> usize {
    let body = json!({"type": "sms", "recipient": "1234567", "message": "x"});
    let asked = (0..15).map(|_| async {
        tokio::join!(
            send(services[0], user_id, &body),
            send(services[1], user_id, &body)
        )
    });
    let mut taken = 0;
    for (one, other) in futures_util::future::join_all(asked).await {
        for reply in [one, other] {
            if reply.status == 202 {
                taken += 1;
                continue;
            }
            reply.problem(429);
            let wait: u64 = reply.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&wait), "{wait}");
        }
    }
    taken
}

async fn d13_ten_a_minute_for_a_user_hold_across_two_instances(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let other = plaza.another().await;
    assert_eq!(taken([&plaza.service, &other], ANNA).await, 10);
    assert_eq!(taken([&plaza.service, &other], ANNA).await, 0);
    assert_eq!(taken([&plaza.service, &other], BEN).await, 10);
    other.stop().await;
}

async fn d13_notifications_are_their_requesters_alone(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.mail(&address()).await;
    let path = format!("/notifications/{id}");
    plaza.get_as(ANNA, &path).await.expect(200);
    plaza.get_as(BEN, &path).await.problem(404);
    plaza.get_as(ANNA, "/notifications/send").await.problem(404);
    assert_eq!(
        plaza.get_as(BEN, "/notifications").await.expect(200),
        &json!([])
    );
    for path in [path.as_str(), "/notifications"] {
        plaza.service.get(path).await.problem(401);
    }
}

async fn d7_notifications_come_in_pages_newest_first(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.insert(0, plaza.mail(&address()).await);
    }
    let (mut path, mut found) = ("/notifications?limit=2".to_owned(), Vec::new());
    while !path.is_empty() {
        let page = get_as(&plaza.service, ANNA, &path).await;
        let rows = page.expect(200).as_array().unwrap();
        found.extend(
            rows.iter()
                .map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        let link = page.header("link").split(['<', '>']).nth(1);
        link.unwrap_or_default().clone_into(&mut path);
    }
    assert_eq!(found, ids);
}

async fn d26_a_repeated_key_sends_one_mail(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let to = address();
    let token = plaza.service.token(ANNA, "anna");
    let body = json!({"type": "email", "recipient": to, "message": "Hello"});
    let mut answers = Vec::new();
    for _ in 0..3 {
        let sending = plaza.service.request(Method::POST, "/notifications/send");
        let sending = sending
            .bearer_auth(&token)
            .header("idempotency-key", "k-1")
            .json(&body);
        answers.push(request(sending).await.expect(202).clone());
    }
    assert!(
        answers.windows(2).all(|pair| pair[0] == pair[1]),
        "{answers:?}"
    );
    let id = answers[0]["notification"]["id"].as_str().unwrap();
    plaza.fate(id, "sent").await;
    let own = plaza.get_as(ANNA, "/notifications").await;
    assert_eq!(own.expect(200).as_array().unwrap().len(), 1);
    assert_eq!(plaza.smtp.mails_to(&to).len(), 1);
}
