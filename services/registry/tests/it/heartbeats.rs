use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::eventually;

use crate::helpers::{ANNA, Plaza, QUICK, over};

#[tokio::test]
async fn d16_one_that_stops_is_critical_and_then_gone() {
    let plaza = Plaza::quick().await;
    let started = Instant::now();
    plaza.registered(ANNA, "shop", "http://a").await;
    assert_eq!(plaza.instances("shop").await[0]["health"], "passing");
    eventually("it is critical", || async {
        match plaza.instances("shop").await.first() {
            Some(found) if found["health"] == "critical" => Ok(()),
            found => Err(format!("{found:?}")),
        }
    })
    .await;
    assert!(
        started.elapsed() >= Duration::from_millis(2950),
        "{:?}",
        started.elapsed()
    );
    gone(&plaza, "shop").await;
    let after = started.elapsed().as_secs_f64();
    assert!((8.95..60.0).contains(&after), "gone after {after} s");
    assert!(
        plaza
            .agent
            .get("catalog/service/ext-shop")
            .await
            .as_array()
            .unwrap()
            .is_empty()
    );
}

async fn gone(plaza: &Plaza, name: &str) {
    eventually("it is gone", || async {
        let found = plaza.instances(name).await;
        if found.is_empty() {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
}

#[tokio::test]
async fn s2_11_heartbeats_keep_an_instance_and_bring_it_back() {
    let plaza = Plaza::quick().await;
    let id = plaza.registered(ANNA, "shop", "http://a").await;
    let registered = plaza.instances("shop").await[0].clone();
    let critical = |found: &Value| found["health"] == "critical";
    eventually("it is critical", || async {
        let found = plaza.instances("shop").await;
        if found.iter().any(critical) {
            Ok(())
        } else {
            Err(format!("{found:?}"))
        }
    })
    .await;
    let beaten = plaza.heartbeat(ANNA, &id).await;
    assert_eq!(
        beaten.expect(200),
        &json!({ "status": "ok", "instance_id": id })
    );
    eventually("it passes again", || async {
        let found = plaza.instances("shop").await;
        if found.iter().any(critical) {
            Err(format!("{found:?}"))
        } else {
            Ok(())
        }
    })
    .await;
    // For longer than it would stay without.
    let started = Instant::now();
    eventually("it stays", || async {
        plaza.heartbeat(ANNA, &id).await.expect(200);
        assert_eq!(plaza.instances("shop").await.len(), 1);
        if started.elapsed() > Duration::from_secs(10) {
            Ok(())
        } else {
            Err(String::new())
        }
    })
    .await;
    let listed = plaza.instances("shop").await.remove(0);
    assert_eq!(listed["registered_at"], registered["registered_at"]);
    assert_ne!(listed["last_heartbeat"], registered["last_heartbeat"]);
}

#[tokio::test]
async fn s2_12_a_deregistered_instance_is_gone_at_once() {
    let plaza = Plaza::start().await;
    let id = plaza.registered(ANNA, "shop", "http://a").await;
    let answer = plaza.deregister(ANNA, &id).await;
    assert_eq!(
        answer.expect(200),
        &json!({ "status": "ok", "instance_id": id })
    );
    plaza.registry.get("/services/shop").await.problem(404);
    plaza.heartbeat(ANNA, &id).await.problem(404);
    plaza.deregister(ANNA, &id).await.problem(404);
}

#[tokio::test]
async fn s2_13_every_instance_of_the_registry_knows_every_heartbeat() {
    let plaza = Plaza::quick().await;
    let other = over(&plaza.agent, QUICK).await;
    let id = plaza.registered(ANNA, "shop", "http://a").await;
    plaza.heartbeat(ANNA, &id).await.expect(200);
    let known = plaza.instances("shop").await.remove(0);
    eventually("the other one knows the heartbeat", || async {
        let reply = other.get("/services/shop").await;
        let found = &reply.json["instances"][0];
        if found["last_heartbeat"] == known["last_heartbeat"] {
            Ok(())
        } else {
            Err(reply.text)
        }
    })
    .await;
    // One that is left alone does what both would do.
    plaza.registry.stop().await;
    eventually("the other one takes it out", || async {
        let reply = other.get("/services/shop").await;
        if reply.status == 404 {
            Ok(())
        } else {
            Err(reply.text)
        }
    })
    .await;
}
