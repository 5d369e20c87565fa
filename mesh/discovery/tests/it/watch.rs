use mesh_discovery::{Instance, Registry as _, Watch};
use testkit::{Agent, PATIENCE};
use tokio::time::timeout;

use crate::catalog::{consul, instance};

/// What the watch tells once there are so many instances; failures on the way are not the end of it.
async fn until(watch: &mut Watch<Vec<Instance>>, count: usize) -> Vec<Instance> {
    let told = async {
        loop {
            match watch.next().await {
                Ok(found) if found.len() == count => return found,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    timeout(PATIENCE, told).await.unwrap()
}

#[tokio::test]
async fn s1_13_a_watch_tells_of_every_change() {
    let agent = Agent::start().await;
    let consul = consul(&agent);
    let mut watch = consul.watch("users");
    assert_eq!(watch.next().await.unwrap(), []);

    consul.register(&instance("users-1", 4001)).await.unwrap();
    assert_eq!(until(&mut watch, 1).await[0].id, "users-1");
    assert_eq!(consul.healthy("users").await.unwrap()[0].port, 4001);

    consul.deregister("users-1").await.unwrap();
    until(&mut watch, 0).await;
    assert!(consul.healthy("users").await.unwrap().is_empty());
}

#[tokio::test]
async fn s1_13_a_watch_goes_on_after_consul_was_away() {
    let mut agent = Agent::start().await;
    let consul = consul(&agent);
    let mut watch = consul.watch("users");
    watch.next().await.unwrap();
    agent.kill();
    assert!(watch.next().await.is_err());
    agent.restart().await;
    consul.register(&instance("users-1", 4001)).await.unwrap();
    assert_eq!(until(&mut watch, 1).await[0].address, "127.0.0.1");
}
