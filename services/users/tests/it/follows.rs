//! Following and its lists.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::TestService;
use users::Users;

use crate::helpers::{Backend, Person, get, person, start};

crate::on_each_store![
    s2_17_follows_once,
    s2_18_unfollows_once,
    s2_19_lists_followees_page_by_page,
    d17_lists_followers,
];

async fn act(users: &TestService<Users>, verb: &str, who: &Person, whom: &str) -> testkit::Reply {
    users
        .call(
            Method::POST,
            &format!("/users/{verb}/{whom}"),
            &who.token,
            &Value::Null,
        )
        .await
}

async fn s2_17_follows_once(backend: Backend) {
    let users = start(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    assert_eq!(
        act(&users, "follow", &ada, &grace.username)
            .await
            .expect(200),
        &json!({"status": "ok"})
    );
    let again = act(&users, "follow", &ada, &grace.username).await;
    assert_eq!(again.expect(200), &json!({"status": "already_following"}));
    act(&users, "follow", &ada, &ada.username)
        .await
        .problem(422);
    act(&users, "follow", &ada, "nobody-here")
        .await
        .problem(404);
    let anonymous = users
        .call(
            Method::POST,
            &format!("/users/follow/{}", grace.username),
            "",
            &Value::Null,
        )
        .await;
    anonymous.problem(401);
    let profile = get(&users, &format!("/users/{}", grace.username), "").await;
    assert_eq!(
        (&profile.json["followers"], &profile.json["followees"]),
        (&json!(1), &json!(0))
    );
}

async fn s2_18_unfollows_once(backend: Backend) {
    let users = start(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    act(&users, "follow", &ada, &grace.username)
        .await
        .expect(200);
    assert_eq!(
        act(&users, "unfollow", &ada, &grace.username)
            .await
            .expect(200),
        &json!({"status": "ok"})
    );
    let again = act(&users, "unfollow", &ada, &grace.username).await;
    assert_eq!(again.expect(200), &json!({"status": "not_following"}));
}

async fn s2_19_lists_followees_page_by_page(backend: Backend) {
    let users = start(backend).await;
    let ada = person(&users).await;
    let mut followed = Vec::new();
    for _ in 0..5 {
        let other = person(&users).await;
        act(&users, "follow", &ada, &other.username)
            .await
            .expect(200);
        followed.push(json!({"user_id": other.id, "username": other.username}));
    }
    followed.reverse();
    let mut seen: Vec<Value> = Vec::new();
    let mut path = format!("/users/{}/followees?limit=2", ada.username);
    for page in 0.. {
        assert!(page < 3, "pages without end");
        let reply = get(&users, &path, "").await;
        seen.extend(
            reply.expect(200)["followees"]
                .as_array()
                .unwrap()
                .iter()
                .cloned(),
        );
        match reply
            .header("link")
            .strip_prefix('<')
            .and_then(|link| link.split('>').next())
        {
            Some(next) => next.clone_into(&mut path),
            None => break,
        }
    }
    assert_eq!(seen, followed, "newest first, each once");
    get(
        &users,
        &format!("/users/{}/followees?cursor=forged", ada.username),
        "",
    )
    .await
    .problem(400);
    get(&users, "/users/nobody-here/followees", "")
        .await
        .problem(404);
}

async fn d17_lists_followers(backend: Backend) {
    let users = start(backend).await;
    let (ada, grace) = (person(&users).await, person(&users).await);
    act(&users, "follow", &ada, &grace.username)
        .await
        .expect(200);
    let reply = get(&users, &format!("/users/{}/followers", grace.username), "").await;
    assert_eq!(
        reply.expect(200),
        &json!({"followers": [{"user_id": ada.id, "username": ada.username}]})
    );
}
