//! Claim: what is given to Plaza as a secret, or where one belongs, is told to nobody: not in an answer, a log, a
//! trace, a metric, a dead letter or a mail, whatever its type and wherever it is put.

mod bodies;
mod doors;
mod search;
mod sockets;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use testkit::{Mesh, Reply, send, unique};

/// A secret that no other test has, as a text and as a number, and who saw what of it.
pub(crate) struct Canary {
    /// As a text; a good password too.
    pub(crate) text: String,
    /// As a number: too large for an id that there is, exact in every program.
    pub(crate) number: u64,
    /// Other texts that are as secret: tokens.
    pub(crate) tokens: Vec<String>,
    /// The traces of the requests that had it, and whether the edge answered them itself.
    traces: Vec<(String, bool)>,
}

impl Canary {
    fn new() -> Self {
        let text = unique("canary");
        let digits = text.bytes().fold(0, |sum: u64, byte| {
            (sum * 31 + u64::from(byte)) % 100_000_000_000_000
        });
        Self {
            text,
            number: 800_000_000_000_000 + digits,
            tokens: Vec::new(),
            traces: Vec::new(),
        }
    }

    /// Itself in every type that JSON has.
    pub(crate) fn shapes(&self) -> Vec<Value> {
        let (text, number) = (&self.text, self.number);
        vec![
            json!(text),
            json!(number),
            json!(-i64::try_from(number).unwrap()),
            serde_json::from_str(&format!("{number}.5")).unwrap(),
            json!([text, number]),
            json!([[{"secret": text}]]),
            json!({"secret": text, "number": number}),
            json!({text.as_str(): number}),
        ]
    }

    /// The texts that must be nowhere.
    fn needles(&self) -> impl Iterator<Item = String> {
        let own = [self.text.clone(), self.number.to_string()];
        own.into_iter().chain(self.tokens.clone())
    }

    /// Where one of them is in a text, with what is around it.
    pub(crate) fn seen_in(&self, text: &str) -> Option<String> {
        self.needles().find_map(|needle| {
            let at = text.find(&needle)?;
            let around = text[..at].chars().rev().take(80).collect::<Vec<_>>();
            Some(around.into_iter().rev().collect::<String>() + &needle)
        })
    }

    /// Sends a request, and looks at its answer.
    pub(crate) async fn ask(&mut self, what: &str, request: RequestBuilder) -> Reply {
        let reply = send(request).await;
        let seen = self.seen_in(&format!("{:?}\n{}", reply.headers, reply.text));
        assert_eq!(seen, None, "{what}: {} {}", reply.status, reply.text);
        assert!(
            reply.status < 500,
            "{what}: {} {}",
            reply.status,
            reply.text
        );
        let trace = reply.header("x-trace-id").to_owned();
        assert!(!trace.is_empty(), "{what}: {:?}", reply.headers);
        // It tells whoever asks for a socket without an upgrade itself.
        let by_the_edge = !reply.header("proxy-status").is_empty() || reply.status == 426;
        self.traces.push((trace, by_the_edge));
        reply
    }

    /// The same with a JSON body.
    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Reply {
        let request = Mesh::current().request(Method::POST, path).json(body);
        self.ask(&format!("POST {path} {body}"), request).await
    }
}

#[tokio::test]
async fn a_secret_is_told_to_nobody_whatever_its_type_and_wherever_it_is_put() {
    let mut canary = Canary::new();
    doors::knock(&mut canary).await;
    search::traces(&mut canary).await;
    bodies::send(&mut canary).await;
    search::traces(&mut canary).await;
    sockets::say(&mut canary).await;
    search::traces(&mut canary).await;
    search::everywhere(&canary).await;
}
