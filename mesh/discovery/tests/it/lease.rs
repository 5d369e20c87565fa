use std::time::Duration;

use mesh_discovery::{Consul, Error, Health, Lease, Registry as _};
use serde_json::json;
use testkit::{Agent, eventually};

use crate::catalog::consul;

fn lease(service: &str) -> Lease {
    Lease {
        service: service.into(),
        id: format!("{service}-1"),
        address: "shop.example".into(),
        port: 80,
        meta: [("owner".into(), "7".into())].into(),
        ttl: Duration::from_secs(5),
        forgotten_after: Duration::ZERO,
    }
}

#[tokio::test]
async fn d16_a_lease_lives_by_heartbeats_and_its_last_word_is_kept() {
    let agent = Agent::start().await;
    let consul = consul(&agent);
    consul.lease(&lease("ext-shop")).await.unwrap();
    assert!(consul.renew("ext-shop-1", "first").await.unwrap());
    assert!(consul.renew("ext-shop-1", "second").await.unwrap());
    let found = consul.leases("ext-").await.unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].health, Health::Passing);
    assert_eq!(
        (found[0].meta["owner"].as_str(), found[0].note.as_str()),
        ("7", "second")
    );

    let silent = eventually("it is critical", || async {
        let found = consul.leases("ext-").await;
        let found = found.map_err(|error| error.to_string())?.remove(0);
        if found.health == Health::Critical {
            Ok(found)
        } else {
            Err(format!("{found:?}"))
        }
    });
    assert_eq!(silent.await.note, "second");

    consul.deregister("ext-shop-1").await.unwrap();
    assert!(!consul.renew("ext-shop-1", "third").await.unwrap());
    assert!(consul.leases("ext-").await.unwrap().is_empty());
}

#[tokio::test]
async fn d16_only_names_of_the_policy_are_leased() {
    let agent = Agent::start().await;
    let rules = json!({ "Name": "x", "Rules": r#"service_prefix "ext-" { policy = "write" }"# });
    agent.put("acl/policy", &rules).await;
    let rights = json!({ "ServiceIdentities": [{ "ServiceName": "registry" }], "Policies": [{ "Name": "x" }] });
    let token = agent.put("acl/token", &rights).await["SecretID"].clone();
    let consul = Consul::new(&agent.url(), token.as_str()).unwrap();
    consul.lease(&lease("ext-shop")).await.unwrap();
    for name in ["users", "redis", "extra", "ext"] {
        let refused = consul.lease(&lease(name)).await;
        assert!(matches!(refused, Err(Error::Denied)), "{name}: {refused:?}");
    }
}
