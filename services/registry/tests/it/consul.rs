use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::eventually;

use crate::helpers::{ANNA, BEN, Plaza};

#[tokio::test]
async fn d16_without_consul_the_last_answer_stays_and_says_so() {
    let mut plaza = Plaza::start().await;
    let id = plaza.registered(ANNA, "shop", "http://a").await;
    let before = plaza.registry.get("/services").await.expect(200).clone();
    plaza.agent.kill();
    eventually("the registry knows that Consul is away", || async {
        let status = plaza.registry.get("/status").await;
        if status.expect(200)["status"] == "stale" {
            Ok(())
        } else {
            Err(status.text)
        }
    })
    .await;
    let stale = plaza.registry.get("/services").await;
    assert_eq!(stale.expect(200), &before);
    assert!(stale.header("x-registry-stale").parse::<u64>().unwrap() >= 1);
    let health = plaza.registry.get("/health").await;
    assert_eq!(
        health.expect(200),
        &json!({ "status": "degraded", "consul": "unreachable" })
    );
    plaza.register(ANNA, "mall", "http://b").await.problem(503);
    plaza.heartbeat(ANNA, &id).await.problem(503);
    plaza.deregister(ANNA, &id).await.problem(503);

    plaza.agent.restart().await;
    eventually("the registry is current again", || async {
        let reply = plaza.registry.get("/services").await;
        if reply.header("x-registry-stale").is_empty() {
            Ok(())
        } else {
            Err(reply.text)
        }
    })
    .await;
    plaza.registered(ANNA, "mall", "http://b").await;
}

#[tokio::test]
async fn a_consul_that_hangs_is_waited_for_once_and_not_by_each_in_turn() {
    let plaza = Plaza::start().await;
    plaza.registered(ANNA, "shop", "http://a").await;
    let frozen = plaza.agent.freeze();
    let urls: Vec<String> = (0..15)
        .map(|number| format!("http://a:{}", 9000 + number))
        .collect();
    let all = urls.iter().map(|url| plaza.register(ANNA, "shop", url));
    let all = futures_util::future::join_all(all);
    // One after the other, each would wait for its own three seconds at least.
    let replies = tokio::time::timeout(Duration::from_secs(30), all).await;
    for reply in replies.expect("all are answered in time") {
        reply.problem(503);
    }
    drop(frozen);
    eventually("it goes on", || async {
        match plaza.register(BEN, "mall", "http://b").await {
            reply if reply.status == 201 => Ok(()),
            reply => Err(reply.text),
        }
    })
    .await;
}

#[tokio::test]
async fn s2_69_both_faces_are_one() {
    let plaza = Plaza::start().await;
    let body = json!({ "service_name": "shop", "base_url": "http://a" });
    let reply = plaza
        .call(ANNA, Method::POST, "/registry/register", &body)
        .await;
    let id = reply.expect(201)["instance_id"]
        .as_str()
        .unwrap()
        .to_owned();
    plaza.heartbeat(ANNA, &id).await.expect(200);
    for path in ["services", "status", "services/shop"] {
        let one = plaza.registry.get(&format!("/{path}")).await;
        let other = plaza.registry.get(&format!("/registry/{path}")).await;
        assert_eq!(one.expect(200), other.expect(200), "{path}");
    }
    for (method, path) in [(Method::POST, "heartbeat"), (Method::DELETE, "deregister")] {
        let path = format!("/registry/{path}/{id}");
        plaza
            .call(ANNA, method, &path, &Value::Null)
            .await
            .expect(200);
    }
}
