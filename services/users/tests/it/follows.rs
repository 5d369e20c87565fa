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
    s2_19_lists_people_by_an_offset_and_all_of_them_at_once,
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
    let oneself = ada.username.to_uppercase();
    act(&users, "follow", &ada, &oneself).await.problem(400);
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

async fn s2_19_lists_people_by_an_offset_and_all_of_them_at_once(backend: Backend) {
    let users = start(backend).await;
    let ada = person(&users).await;
    let mut names = Vec::new();
    for _ in 0..5 {
        let other = person(&users).await;
        act(&users, "follow", &ada, &other.username)
            .await
            .expect(200);
        act(&users, "follow", &other, &ada.username)
            .await
            .expect(200);
        names.insert(0, other.username);
    }
    for list in ["followees", "followers"] {
        let path = format!("/users/{}/{list}", ada.username);
        let page = async |query: &str| -> Vec<String> {
            let reply = get(&users, &format!("{path}?{query}"), "").await;
            let people = reply.expect(200)[list].as_array().unwrap().clone();
            let name = |person: &Value| person["username"].as_str().unwrap().to_owned();
            people.iter().map(name).collect()
        };
        let mut seen = Vec::new();
        for offset in [0, 2, 4] {
            seen.extend(page(&format!("limit=2&offset={offset}")).await);
        }
        assert_eq!(seen, names, "{list}");
        assert!(page("limit=2&offset=6").await.is_empty(), "{list}");
        assert_eq!(page("limit=1000").await, names, "{list}");
        for bad in ["offset=-1", "offset=10001", "offset=x", "limit=0"] {
            get(&users, &format!("{path}?{bad}"), "").await.problem(422);
        }
    }
}
