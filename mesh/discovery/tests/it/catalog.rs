use std::time::Duration;

use mesh_discovery::{Consul, Health, Registration, Registry as _};
use serde_json::json;
use testkit::{Agent, eventually};

const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn consul(agent: &Agent) -> Consul {
    Consul::new(&agent.url(), Some(&agent.token())).unwrap()
}

pub(crate) fn instance(id: &str, port: u16) -> Registration {
    Registration {
        service: id.rsplit_once('-').unwrap().0.into(),
        id: id.into(),
        address: ([127, 0, 0, 1], port).into(),
        // Port 1 is nobody's: the check fails as soon as it is done.
        admin: ([127, 0, 0, 1], 1).into(),
        upstreams: [].into(),
        ready: true,
        meta: [("colour".into(), "blue".into())].into(),
    }
}

#[tokio::test]
async fn s1_13_the_copy_follows_what_comes_fails_and_goes() {
    let agent = Agent::start().await;
    let consul = consul(&agent);
    let declared = json!({ "Kind": "service-defaults", "Name": "likes", "Protocol": "http" });
    agent.put("config", &declared).await;
    let (catalog, work) = consul.catalog();
    assert!(catalog.view().snapshot.is_none());
    let work = tokio::spawn(work);

    consul.register(&instance("users-1", 4001)).await.unwrap();
    let ids = ["users-1", "users-2"];
    consul.register(&instance("users-2", 4002)).await.unwrap();
    let both = catalog.until(PATIENCE, |known| {
        let users = known.services.get("users");
        users.is_some_and(|users| users.iter().map(|listed| listed.id.as_str()).eq(ids))
    });
    assert!(both.await, "{:?}", catalog.view());
    let known = catalog.view().snapshot.unwrap();
    assert_eq!(known.services["users"][1].port, 4002);
    assert_eq!(known.services["users"][0].meta["colour"], "blue");
    assert!(known.names.contains("users-sidecar-proxy"));
    assert!(!known.services.contains_key("users-sidecar-proxy"));
    assert!(known.declared.contains("likes"));

    let failed = catalog.until(PATIENCE, |known| {
        known.services["users"][0].health == Health::Critical
    });
    assert!(failed.await, "{:?}", catalog.view());

    // The same id at another place, as after a crash.
    consul.register(&instance("users-1", 4003)).await.unwrap();
    let moved = catalog.until(PATIENCE, |known| known.services["users"][0].port == 4003);
    assert!(moved.await, "{:?}", catalog.view());

    for id in ids {
        consul.deregister(id).await.unwrap();
    }
    let gone = catalog.until(PATIENCE, |known| !known.services.contains_key("users"));
    assert!(gone.await, "{:?}", catalog.view());
    work.abort();
}

#[tokio::test]
async fn s1_13_the_copy_outlives_consul_and_says_so() {
    let mut agent = Agent::start().await;
    let consul = consul(&agent);
    let (catalog, work) = consul.catalog();
    let work = tokio::spawn(work);
    assert!(
        catalog
            .until(PATIENCE, |known| known.names.contains("consul"))
            .await
    );
    agent.kill();
    eventually("the copy knows that Consul is away", || async {
        catalog.view().away_since.map(drop).ok_or_else(String::new)
    })
    .await;
    assert!(catalog.view().snapshot.is_some());
    agent.restart().await;
    eventually("the copy is current again", || async {
        let since = catalog.view().away_since;
        since.map_or(Ok(()), |since| {
            Err(format!("away for {:?}", since.elapsed()))
        })
    })
    .await;
    work.abort();
}
