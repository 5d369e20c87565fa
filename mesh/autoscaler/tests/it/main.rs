//! The whole program between a supervisor, a Consul, a Prometheus and an instance that say what a test wants, and remember in
//! which order they were asked.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod peers;

use serde_json::json;
use testkit::eventually;

use crate::peers::World;

#[tokio::test]
async fn a_pair_is_started_sidecar_first_and_drained_application_first() {
    let world = World::new();
    world.load(Some(20.0));
    world.run();
    world.called("POST /process/start/shop-2").await;
    assert_eq!(
        world.actions(),
        [
            "POST /process/start/shop-2-envoy",
            "POST /process/start/shop-2"
        ]
    );

    // A request is under way: nobody sends more, and the instance is not told to end.
    world.under_way(1);
    world.load(Some(0.0));
    let out = "PUT /v1/agent/service/maintenance/shop-2-sidecar-proxy?enable=true&reason=drained";
    world.called(out).await;
    world.looked_at(world.looks() + 4).await;
    assert_eq!(world.actions()[2..], [out]);

    world.under_way(0);
    world.called("PATCH /process/stop/shop-2-envoy").await;
    assert_eq!(
        world.actions()[2..],
        [
            out,
            "PATCH /process/stop/shop-2",
            "PUT /v1/agent/service/deregister/envoy-shop-2",
            "PATCH /process/stop/shop-2-envoy",
        ]
    );
    assert!(
        !world.registration("shop-2").exists(),
        "it is no target any more"
    );
    assert!(world.registration("shop-1").exists());
}

#[tokio::test]
async fn without_data_nothing_is_taken_away_and_with_it_again_it_is() {
    let world = World::new();
    world.starts("shop-2");
    world.load(None);
    world.run();
    world.asked(world.questions() + 5).await;
    world.plan(|plan| plan["prometheus"] = json!(1));
    let failed = "autoscaler_decisions_total{service=\"shop\",direction=\"stay\"}";
    let rounds = world.figure(failed);
    eventually("rounds without a Prometheus", || async {
        let now = world.figure(failed);
        (now >= rounds + 4.0).then_some(()).ok_or(format!("{now}"))
    })
    .await;
    assert!(world.actions().is_empty(), "{:?}", world.actions());

    world.load(Some(0.0));
    world.plan(|plan| plan["prometheus"] = json!(world.prometheus()));
    world.called("PATCH /process/stop/shop-2-envoy").await;
}

#[tokio::test]
async fn an_instance_that_cannot_be_taken_out_of_service_goes_on() {
    let world = World::new();
    world.starts("shop-2");
    world.load(Some(0.0));
    world.refuse("maintenance");
    world.run();
    world.asked(world.questions() + 8).await;
    let stopped = |call: &String| call.starts_with("PATCH");
    assert!(
        !world.actions().iter().any(stopped),
        "{:?}",
        world.actions()
    );
}

#[tokio::test]
async fn a_plan_that_only_looks_only_looks() {
    let world = World::new();
    world.plan(|plan| plan["act"] = json!(false));
    world.load(Some(50.0));
    world.run();
    world.asked(world.questions() + 3).await;
    assert!(world.actions().is_empty(), "{:?}", world.actions());
}
