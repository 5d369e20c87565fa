//! Ready, draining, gone: in that order.

use reqwest::Method;
use testkit::{TestService, eventually};

use crate::echo::Echo;

#[tokio::test]
async fn an_open_request_is_answered_while_the_service_stops() {
    // What is asked meanwhile takes as long as the machine is busy.
    let service = TestService::<Echo>::start(&["--drain-seconds", "60"]).await;
    let (address, admin) = (service.address, service.admin);
    let client = reqwest::Client::new();
    let ask = |path: &str| client.get(format!("http://{admin}/{path}")).send();
    let slow = tokio::spawn(service.request(Method::GET, "/slow").send());
    service.service.arrived.acquire().await.unwrap().forget();
    let state = std::sync::Arc::clone(&service.service);
    let stopping = tokio::spawn(service.stop());
    eventually("readiness ends", || async {
        match ask("readyz").await {
            Ok(answer) if answer.status() == 503 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let alive = ask("livez").await.unwrap();
    assert_eq!(alive.status(), 200, "alive while it drains");
    eventually("new connections are refused", || async {
        match tokio::net::TcpStream::connect(address).await {
            Err(_) => Ok(()),
            Ok(_) => Err("still accepted".into()),
        }
    })
    .await;
    state.go.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().status(), 200);
    stopping.await.unwrap();
}

#[tokio::test]
async fn a_request_that_never_ends_does_not_hold_up_the_exit() {
    let service = TestService::<Echo>::start(&[]).await;
    let slow = tokio::spawn(service.request(Method::GET, "/slow").send());
    service.service.arrived.acquire().await.unwrap().forget();
    // The drain deadline of services under test is two seconds.
    tokio::time::timeout(testkit::PATIENCE, service.stop())
        .await
        .expect("the deadline holds");
    slow.abort();
}
