//! Claim (D27): the broker may die. Writes are accepted meanwhile, and their events arrive when it is back.

use reqwest::Method;
use serde_json::Value;
use testkit::{Mesh, Signal, eventually};

use crate::ONE_AT_A_TIME;

/// The broker's process, if it runs.
fn broker() -> Option<u32> {
    Mesh::current().program("beam.smp")
}

async fn listens() -> bool {
    let url = Mesh::current().address("rabbitmq");
    let address = url.rsplit_once('@').unwrap().1.trim_end_matches('/');
    tokio::net::TcpStream::connect(address).await.is_ok()
}

/// Events of follows that the broker took, whether a queue wanted them or not.
const TAKEN: &str = r#"sum({__name__=~"events_(confirmed|unrouted)_total",type="users.followed"})"#;

#[tokio::test]
async fn d27_writes_are_accepted_while_the_broker_is_killed_and_their_events_arrive() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let star = mesh.person().await;
    let follow = format!("/users/follow/{}", star.username);
    let before = mesh.number(TAKEN).await.unwrap_or_default();

    let pid = broker().expect("the broker runs");
    testkit::signal::send(pid, Signal::KILL);
    let mut followers = 0;
    loop {
        // Both are changes with events.
        let person = mesh.person().await;
        let followed = mesh.call(Method::POST, &follow, &person.token, &Value::Null);
        followed.await.expect(200);
        followers += 1;
        if followers >= 5 && broker().is_some_and(|now| now != pid) && listens().await {
            break;
        }
    }

    let shown = mesh.get(&format!("/users/{}", star.username)).await;
    assert_eq!(shown.expect(200)["followers"], followers);
    eventually("every event is at the broker", || async {
        let taken = mesh.number(TAKEN).await.unwrap_or_default();
        let waiting = mesh.number(r#"sum(outbox_rows{service="users"})"#).await;
        match (taken - before, waiting) {
            (more, Some(0.0)) if more >= f64::from(followers) => Ok(()),
            others => Err(format!("{others:?} of {followers}")),
        }
    })
    .await;
}
