use reqwest::Method;
use serde_json::json;

use crate::helpers::{ANNA, BEN, Plaza};

#[tokio::test]
async fn d16_names_of_the_mesh_and_its_infrastructure_are_taken() {
    let plaza = Plaza::start().await;
    let service = json!({ "ID": "redis", "Name": "redis", "Address": "127.0.0.1", "Port": 6379 });
    plaza.agent.put("agent/service/register", &service).await;
    testkit::eventually("redis is known", || async {
        match plaza.register(ANNA, "redis", "http://evil.example").await {
            reply if reply.status == 409 => Ok(()),
            reply => Err(reply.text),
        }
    })
    .await;
    // `users` has settings and no instance at all; the others are never free.
    for name in ["users", "consul", "ingress", "registry", "envoy"] {
        let reply = plaza.register(ANNA, name, "http://evil.example").await;
        let told = reply.problem(409);
        assert!(told.contains("part of the mesh"), "{name}: {told}");
    }
}

#[tokio::test]
async fn d16_what_is_no_name_or_no_url_is_refused() {
    let plaza = Plaza::start().await;
    for name in [
        "",
        "A",
        "a.b",
        "a_b",
        "-a",
        "../users",
        "a/b",
        &"x".repeat(51),
    ] {
        plaza.register(ANNA, name, "http://a").await.problem(422);
    }
    for url in [
        "",
        "a",
        "ftp://a",
        "http://u:p@a",
        "http://a?b",
        "http://a#b",
        "http://",
    ] {
        plaza.register(ANNA, "shop", url).await.problem(422);
    }
    let bodies = [
        json!({}),
        json!([]),
        json!({ "service_name": 1, "base_url": "http://a" }),
    ];
    for body in bodies {
        let reply = plaza.call(ANNA, Method::POST, "/register", &body).await;
        reply.problem(422);
    }
    assert!(plaza.instances("shop").await.is_empty());
}

#[tokio::test]
async fn d16_bounds_hold_for_each_owner_and_for_all() {
    let plaza = Plaza::with(&["--max-per-owner=2", "--max-instances=3"]).await;
    for number in 0..2 {
        plaza
            .registered(ANNA, "shop", &format!("http://a:{}", 8000 + number))
            .await;
    }
    let third = plaza.register(ANNA, "shop", "http://a:9000").await;
    assert!(third.problem(409).contains("2 instances"), "{}", third.text);
    // The same place again is no third one.
    plaza.registered(ANNA, "shop", "http://a:8000").await;
    let id = plaza.registered(BEN, "shop", "http://b").await;
    let full = plaza.register(BEN, "shop", "http://c").await;
    assert!(full.problem(409).contains("full"), "{}", full.text);
    plaza.deregister(BEN, &id).await.expect(200);
    plaza.registered(BEN, "shop", "http://c").await;
    assert_eq!(plaza.instances("shop").await.len(), 3);
}

#[tokio::test]
async fn accounts_of_one_network_leave_places_for_others() {
    let bounds = [
        "--max-per-owner=4",
        "--max-per-network=16",
        "--max-per-name=16",
        "--max-instances=64",
    ];
    let plaza = Plaza::with(&bounds).await;
    let mut taken = 0;
    for owner in 10..16 {
        for number in 0..5 {
            let url = format!("http://a:{}", 8000 + number);
            let reply = plaza
                .register_from("192.0.2.1", owner, "filler", &url)
                .await;
            match reply.status {
                201 => taken += 1,
                _ => assert!(reply.problem(409).contains("deregister"), "{}", reply.text),
            }
        }
    }
    // Two of them took four each; then there was one for each.
    assert_eq!(taken, 12);
    for (address, name) in [
        ("192.0.2.1", "filler"),
        ("192.0.2.2", "filler"),
        ("192.0.2.2", "shop"),
    ] {
        let owner = if address == "192.0.2.1" { ANNA } else { BEN };
        let url = format!("http://{name}");
        let reply = plaza.register_from(address, owner, name, &url).await;
        reply.expect(201);
    }
    // The same place again is no other one, however scarce they are.
    let again = plaza.register_from("192.0.2.1", 10, "filler", "http://a:8000");
    again.await.expect(201);
}

#[tokio::test]
async fn bounds_hold_for_those_who_come_at_once() {
    let plaza = Plaza::with(&["--max-per-owner=3"]).await;
    let urls: Vec<String> = (0..12)
        .map(|number| format!("http://a:{}", 8000 + number))
        .collect();
    let all = urls.iter().map(|url| plaza.register(ANNA, "shop", url));
    let replies = futures_util::future::join_all(all).await;
    let taken = replies.iter().filter(|reply| reply.status == 201);
    assert_eq!(taken.count(), 3);
    assert_eq!(plaza.instances("shop").await.len(), 3);
    // At once at the same place, it is one.
    let same = (0..6).map(|_| plaza.register(BEN, "mall", "http://b"));
    for reply in futures_util::future::join_all(same).await {
        reply.expect(201);
    }
    assert_eq!(plaza.instances("mall").await.len(), 1);
}

#[tokio::test]
async fn who_is_silent_makes_room_where_it_is_full() {
    let flags = [
        "--ttl-seconds=2",
        "--expiry-seconds=600",
        "--max-instances=2",
    ];
    let plaza = Plaza::with(&flags).await;
    let silent = plaza.registered(ANNA, "shop", "http://a").await;
    let beating = plaza.registered(BEN, "shop", "http://b").await;
    testkit::eventually("the silent one has made room", || async {
        plaza.heartbeat(BEN, &beating).await.expect(200);
        match plaza.register(3, "mall", "http://c").await {
            reply if reply.status == 201 => Ok(()),
            reply => Err(reply.problem(409).to_owned()),
        }
    })
    .await;
    plaza.heartbeat(ANNA, &silent).await.problem(404);
    plaza.heartbeat(BEN, &beating).await.expect(200);
}

#[tokio::test]
async fn d16_only_who_registered_an_instance_may_touch_it() {
    let plaza = Plaza::start().await;
    let id = plaza.registered(ANNA, "shop", "http://a").await;
    plaza.heartbeat(BEN, &id).await.problem(403);
    plaza.deregister(BEN, &id).await.problem(403);
    let path = format!("/heartbeat/{id}");
    let reply = plaza
        .registry
        .call(Method::POST, &path, "", &json!(null))
        .await;
    reply.problem(401);
    let path = format!("/deregister/{id}");
    let reply = plaza
        .registry
        .call(Method::DELETE, &path, "", &json!(null))
        .await;
    reply.problem(401);
    let body = json!({ "service_name": "shop", "base_url": "http://b" });
    let reply = plaza
        .registry
        .call(Method::POST, "/register", "", &body)
        .await;
    reply.problem(401);
    assert_eq!(plaza.instances("shop").await.len(), 1);
    // Somebody else at the same place is another instance.
    assert_ne!(plaza.registered(BEN, "shop", "http://a").await, id);
}

#[tokio::test]
async fn s2_11_and_s2_12_an_unknown_instance_is_404() {
    let plaza = Plaza::start().await;
    plaza.mesh_service("users", "users-1").await;
    for id in [
        "nothing",
        "users-1",
        "..%2F..%2Fusers-1",
        "%00",
        "A",
        &"x".repeat(2000),
    ] {
        plaza.heartbeat(ANNA, id).await.problem(404);
        plaza.deregister(ANNA, id).await.problem(404);
    }
    let services = plaza.agent.get("agent/services").await;
    assert!(services["users-1"].is_object(), "{services}");
}
