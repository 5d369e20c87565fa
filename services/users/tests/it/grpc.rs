//! What other services are answered.

use chassis::{Address, Code, Upstream};
use proto::users::{
    FindRequest, GetManyRequest, GetRequest, TokensWatch, UsersContact, UsersFind, UsersGet,
    UsersGetMany, WatchRequest,
};
use reqwest::Method;
use serde_json::Value;
use testkit::TestService;
use users::Users;

use crate::helpers::{Backend, person, start};

crate::on_each_store![
    s0_12_get_and_get_many_answer_over_grpc,
    s0_12_find_knows_names_without_case_and_contact_the_address,
    d3_a_watcher_gets_a_snapshot_and_then_each_logout,
    s0_13_one_port_speaks_rest_and_grpc,
];

fn upstream(users: &TestService<Users>) -> Upstream {
    Upstream::new(&Address::Url(format!("http://{}", users.address))).unwrap()
}

async fn s0_12_get_and_get_many_answer_over_grpc(backend: Backend) {
    let users = start(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    let upstream = upstream(&users);
    let user = upstream
        .call::<UsersGet>(GetRequest { id: ada.id })
        .await
        .unwrap();
    assert_eq!((user.id, user.username), (ada.id, ada.username));
    let missing = upstream
        .call::<UsersGet>(GetRequest { id: 0 })
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let many = GetManyRequest {
        ids: vec![ada.id, grace.id, 0, ada.id],
    };
    let mut ids: Vec<i64> = upstream
        .call::<UsersGetMany>(many)
        .await
        .unwrap()
        .users
        .iter()
        .map(|user| user.id)
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [ada.id, grace.id]);
    let too_many = GetManyRequest {
        ids: (0..201).collect(),
    };
    assert_eq!(
        upstream
            .call::<UsersGetMany>(too_many)
            .await
            .unwrap_err()
            .code(),
        Code::Unacceptable
    );
}

async fn s0_12_find_knows_names_without_case_and_contact_the_address(backend: Backend) {
    let users = start(backend).await;
    let ada = person(&users).await;
    let upstream = upstream(&users);
    let find = |username: String| upstream.call::<UsersFind>(FindRequest { username });
    let found = find(ada.username.to_uppercase()).await.unwrap();
    assert_eq!((found.id, &found.username), (ada.id, &ada.username));
    let nobody = find("nobody-of-this-name".into()).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
    let contact = |id| upstream.call::<UsersContact>(GetRequest { id });
    assert_eq!(contact(ada.id).await.unwrap().email, ada.email);
    assert_eq!(contact(0).await.unwrap_err().code(), Code::NotFound);
}

async fn d3_a_watcher_gets_a_snapshot_and_then_each_logout(backend: Backend) {
    let users = start(backend).await;
    let person = person(&users).await;
    let mut updates = upstream(&users)
        .stream::<TokensWatch>(WatchRequest {})
        .await
        .unwrap();
    let snapshot = updates.message().await.unwrap().unwrap();
    assert!(snapshot.snapshot && snapshot.keys.len() == 1 && snapshot.revoked.is_empty());
    users
        .call(
            Method::POST,
            "/api/auth/logout",
            &person.token,
            &Value::Null,
        )
        .await
        .expect(200);
    let change = tokio::time::timeout(testkit::PATIENCE, updates.message()).await;
    assert_eq!(change.expect("told").unwrap().unwrap().revoked.len(), 1);
    let mut late = upstream(&users)
        .stream::<TokensWatch>(WatchRequest {})
        .await
        .unwrap();
    assert_eq!(
        late.message().await.unwrap().unwrap().revoked.len(),
        1,
        "whoever comes later is told too"
    );
}

async fn s0_13_one_port_speaks_rest_and_grpc(backend: Backend) {
    let users = start(backend).await;
    let upstream = upstream(&users);
    let (rest, grpc) = tokio::join!(
        users.get("/api/auth/status"),
        upstream.call::<UsersGet>(GetRequest { id: 1 })
    );
    rest.expect(200);
    assert_eq!(grpc.unwrap_err().code(), Code::NotFound);
}
