//! Claim: requests do not notice that nobody takes their traces or reads their figures, whether Jaeger and Prometheus hang or are
//! gone; and what comes after is traced again.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Frozen, Mesh, attempt, eventually, mesh::Person, unique};
use tokio::sync::Mutex;

use crate::{ONE_AT_A_TIME, post::Away};

/// More spans than the queues of applications and Envoys hold, of which each request has twenty.
const ROUNDS: usize = 40;

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

/// Whether Jaeger has the trace of a request that is made now, or of one that was made before: `ids`.
async fn traced(ids: &Mutex<Vec<String>>) -> Result<(), String> {
    let mesh = Mesh::current();
    let id = mesh.get("/api/posts").await.header("x-trace-id").to_owned();
    let mut ids = ids.lock().await;
    ids.push(id);
    let mut last = String::new();
    for id in ids.iter() {
        let url = format!("{}/api/traces/{id}", mesh.address("jaeger"));
        let found = attempt(testkit::mesh::client().get(url)).await?;
        if found.status == 200 {
            return Ok(());
        }
        last = found.text;
    }
    Err(last)
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

    let frozen = ["jaeger", "prometheus"].map(|name| Frozen::new(mesh.program(name).unwrap()));
    all_is_well(&person).await;
    drop(frozen);

    let jaeger = Away::of("jaeger", || mesh.program("jaeger")).await;
    let prometheus = Away::of("prometheus", || mesh.program("prometheus")).await;
    all_is_well(&person).await;
    drop((jaeger, prometheus));

    let ids = Mutex::default();
    eventually("a trace again", || traced(&ids)).await;
    eventually("figures again", scraped).await;
}
