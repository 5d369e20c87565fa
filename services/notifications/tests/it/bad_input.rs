//! No relay for strangers, no second recipient, no header that somebody else wrote.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::helpers::{ANNA, Backend, Plaza, address, send};

#[tokio::test]
async fn d6_nobody_sends_without_a_token() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let body = json!({"type": "email", "recipient": address(), "message": "Hello"});
    let reply = plaza
        .service
        .call(reqwest::Method::POST, "/notifications/send", "", &body)
        .await;
    reply.problem(401);
    assert!(!reply.header("www-authenticate").is_empty());
}

#[tokio::test]
async fn d13_what_is_no_single_recipient_is_refused() {
    let plaza = Plaza::start_with(Backend::Sqlite, &["--roles=none"]).await;
    let good = json!({"type": "email", "recipient": "a@example.com", "message": "Hello"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let long = "x".repeat(10_001);
    for bad in [
        with("type", json!("fax")),
        with("type", json!(null)),
        with("type", json!(["email", "sms"])),
        with("recipient", json!("a@example.com,b@example.com")),
        with("recipient", json!("a@example.com b@example.com")),
        with("recipient", json!(["a@example.com", "b@example.com"])),
        with("recipient", json!("a@example.com\r\nBcc: b@example.com")),
        with("recipient", json!("a@example.com\r\n\r\nbody")),
        with(
            "recipient",
            json!("<a@example.com> SIZE=1\r\nRCPT TO:<b@example.com"),
        ),
        with("recipient", json!("Ada <a@example.com>")),
        with("recipient", json!("\"a b\"@example.com")),
        with("recipient", json!("\"a\\\"b\"@example.com")),
        with("recipient", json!("=?utf-8?q?a=40b.c=3e?=@example.com")),
        with("recipient", json!("nobody")),
        with("recipient", json!("")),
        with("recipient", json!(7)),
        with("subject", json!("x\r\nBcc: b@example.com")),
        with("subject", json!("x\nBcc: b@example.com")),
        with("subject", json!("")),
        with("subject", json!("x".repeat(201))),
        with("message", json!("")),
        with("message", json!("  ")),
        with("message", json!("a\u{0}b")),
        with("message", json!(long)),
        json!({"type": "sms", "recipient": "a@example.com", "message": "x"}),
        json!({"type": "sms", "recipient": "1234567,7654321", "message": "x"}),
        json!({"type": "sms", "recipient": "1234567", "message": "x".repeat(1601)}),
        json!({"type": "email", "message": "x"}),
        json!({"recipient": "a@example.com", "message": "x"}),
        json!([]),
    ] {
        send(&plaza.service, ANNA, &bad).await.problem(422);
    }
    // None of them counted.
    for _ in 0..10 {
        send(&plaza.service, ANNA, &good).await.expect(202);
    }
}

#[tokio::test]
async fn d13_what_is_said_never_becomes_a_header_a_command_or_a_second_mail() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let (to, victim) = (address(), address());
    let message = format!(
        "Bcc: {victim}\r\n.\r\nMAIL FROM:<x@example.com>\r\nRCPT TO:<{victim}>\r\nDATA\r\nhi\r\n.\r\n..\n.\r.\n"
    );
    let subject = format!("Grüße =?utf-8?q?=0D=0ABcc:_{victim}?= \u{202e}");
    let body = json!({"type": "email", "recipient": to, "message": message, "subject": subject,
        "bcc": victim, "to": [victim], "user_id": 1});

    let id = plaza.send(ANNA, &body).await.expect(202)["notification"]["id"].clone();

    let mail = plaza.smtp.mail_to(&to).await;
    plaza.fate(id.as_str().unwrap(), "sent").await;
    assert_eq!(mail.to, [to.as_str()]);
    assert_eq!(plaza.smtp.mails().len(), 1);
    let head = mail.source.split("\n\n").next().unwrap();
    for line in head.lines() {
        let lower = line.to_lowercase();
        assert!(
            !lower.starts_with("bcc") && !lower.starts_with("cc:"),
            "{head}"
        );
    }
    assert_eq!(mail.header("to"), to);
    assert_eq!(mail.from, "no-reply@plaza.example");
}

#[tokio::test]
async fn d13_an_address_beyond_ascii_goes_out_as_it_is() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let id = plaza.mail("jürgen@example.com").await;
    plaza.fate(&id, "sent").await;
    assert_eq!(plaza.smtp.mails_to("jürgen@example.com").len(), 1);
}

#[tokio::test]
async fn a_subject_that_looks_encoded_is_encoded_again() {
    let plaza = Plaza::start(Backend::Sqlite).await;
    let typed = "=?utf-8?q?=0D=0ABcc:_evil@example.com?=";
    let to = address();
    let body = json!({"type": "email", "recipient": to, "message": "Hello", "subject": typed});

    plaza.send(ANNA, &body).await.expect(202);

    let mail = plaza.smtp.mail_to(&to).await;
    let expected = format!("=?utf-8?b?{}?=", STANDARD.encode(typed));
    assert_eq!(mail.header("subject"), expected);
}
