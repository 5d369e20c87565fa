//! Cursors that no list gave out, made of one that a list did.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::Service;
use serde_json::{Value, json};

use crate::{Reply, TestService};

/// What is put where a cursor holds a number.
const NUMBERS: [i64; 8] = [
    i64::MIN,
    -1,
    0,
    1,
    i64::MAX,
    // In microseconds: before the first time that Postgres knows, the year 10000, and a late one.
    -210_866_803_200_000_001,
    253_402_300_800_000_000,
    8_210_266_876_799_999_999,
];
/// What is put where it holds a text.
const TEXTS: [&str; 6] = ["", "\0", "a\0b", "'\";--", "\u{10ffff}", "\\u0000"];

/// Asks a list for the pages after every such cursor: each is a page, or refused by 400.
///
/// `path` is a list with more than one thing, read with `token` (none where it is empty).
///
/// # Panics
/// When one of them is answered otherwise.
pub async fn are_pages_or_refused<S: Service>(service: &TestService<S>, path: &str, token: &str) {
    let joint = if path.contains('?') { '&' } else { '?' };
    let get = async |query: &str| -> Reply {
        let address = format!("{path}{joint}{query}");
        service
            .call(http::Method::GET, &address, token, &Value::Null)
            .await
    };
    let first = get("limit=1").await;
    first.expect(200);
    let link = first.header("link");
    let cursor = link
        .split("cursor=")
        .nth(1)
        .and_then(|rest| rest.split(['&', '>']).next());
    let cursor = cursor.unwrap_or_else(|| panic!("{path} has no second page: {link:?}"));
    let honest = get(&format!("cursor={cursor}")).await;
    honest.expect(200);
    let key = decoded(cursor);
    let key: Value = serde_json::from_slice(&key).expect("a cursor is JSON");
    for hostile in others(&key) {
        let cursor = encoded(&hostile);
        let reply = get(&format!("cursor={cursor}")).await;
        if reply.status != 200 {
            assert_eq!(reply.status, 400, "{path} {hostile}: {}", reply.text);
            reply.problem(400);
        }
    }
    let long = encoded(&json!("x".repeat(3_000)));
    for broken in ["%00", "x", "bnVsbA", &long] {
        get(&format!("cursor={broken}")).await.problem(400);
    }
}

/// The key with one part exchanged, in every way.
fn others(key: &Value) -> Vec<Value> {
    let strange = [json!(null), json!(true), json!({}), json!([]), json!(1.5)];
    match key {
        Value::Array(parts) => (0..parts.len())
            .flat_map(|place| {
                others(&parts[place]).into_iter().map(move |other| {
                    let mut parts = parts.clone();
                    parts[place] = other;
                    Value::Array(parts)
                })
            })
            .collect(),
        _ => NUMBERS
            .iter()
            .map(|number| json!(number))
            .chain([json!(u64::MAX)])
            .chain(TEXTS.iter().map(|text| json!(text)))
            .chain(strange)
            .collect(),
    }
}

fn encoded(key: &Value) -> String {
    URL_SAFE_NO_PAD.encode(key.to_string())
}

fn decoded(cursor: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(cursor).expect("a cursor is base64")
}
