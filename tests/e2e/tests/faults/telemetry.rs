//! Claim: requests do not notice that nobody takes their traces or reads their figures, whether Jaeger and Prometheus hang or are
//! gone; and what comes after is traced again.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, attempt, eventually, mesh::Person, unique};

use crate::{ONE_AT_A_TIME, post::Away, send_signal};

/// More spans than the queues of applications and Envoys hold, of which each request has twenty.
const ROUNDS: usize = 40;

/// A process that hangs until this is dropped: it takes connections, and answers nothing.
struct Hanging(u32);

impl Hanging {
    fn program(name: &str) -> Self {
        let pid = Mesh::current().program(name).unwrap();
        send_signal(pid, "STOP");
        Self(pid)
    }
}

impl Drop for Hanging {
    fn drop(&mut self) {
        send_signal(self.0, "CONT");
    }
}

/// Writes and reads of three services: through sidecars, to each kind of store, to the broker.
async fn all_is_well(person: &Person) {
    let mesh = Mesh::current();
    let car = json!({"title": unique("Quiet "), "content": "A year with it", "car_model": "Zoe"});
    let item = json!({"name": unique("Lamp "), "price": 1, "quantity": 3});
    let writes = [
        ("/api/posts", car),
        ("/posts", json!({"text": unique("Hello ")})),
        ("/item", item),
    ];
    for _ in 0..ROUNDS {
        for (path, body) in &writes {
            let made = mesh.call(Method::POST, path, &person.token, body);
            made.await.expect(201);
            mesh.get(path).await.expect(200);
        }
    }
}

/// Whether Jaeger has the trace of a request that is made now.
async fn traced() -> Result<(), String> {
    let mesh = Mesh::current();
    let id = mesh.get("/api/posts").await.header("x-trace-id").to_owned();
    let url = format!("{}/api/traces/{id}", mesh.address("jaeger"));
    let found = attempt(testkit::mesh::client().get(url)).await?;
    (found.status == 200).then_some(()).ok_or(found.text)
}

async fn scraped() -> Result<(), String> {
    let mesh = Mesh::current();
    let url = format!("{}/api/v1/query", mesh.address("prometheus"));
    let query = testkit::mesh::client().get(url);
    let found = attempt(query.query(&[("query", "count(up == 1)")])).await?;
    let rows = serde_json::from_str::<Value>(&found.text).unwrap_or_default();
    let some = rows["data"]["result"].as_array();
    some.is_some_and(|rows| !rows.is_empty())
        .then_some(())
        .ok_or(found.text)
}

#[tokio::test]
async fn nobody_notices_that_jaeger_and_prometheus_are_away() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;

    let hanging = ["jaeger", "prometheus"].map(Hanging::program);
    all_is_well(&person).await;
    drop(hanging);

    let jaeger = Away::of("jaeger", || mesh.program("jaeger")).await;
    let prometheus = Away::of("prometheus", || mesh.program("prometheus")).await;
    all_is_well(&person).await;
    drop((jaeger, prometheus));

    eventually("a trace again", traced).await;
    eventually("figures again", scraped).await;
}
