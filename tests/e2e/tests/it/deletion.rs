//! Claim: an account that is deleted ends in all products: its tokens and sockets at once, what it wrote soon after, and its
//! name is free when every service has answered.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    Mesh, Reply, eventually,
    mesh::{PASSWORD, Person},
    unique,
};

use crate::live::{bearer, farewell, open};

async fn call(who: &Person, method: Method, path: &str, body: &Value) -> Reply {
    Mesh::current().call(method, path, &who.token, body).await
}

async fn post(who: &Person, path: &str, body: &Value) -> Reply {
    call(who, Method::POST, path, body).await
}

/// What a person has left in each product, by the address where it was.
struct Traces {
    gone: Vec<String>,
    /// Addresses of lists, and what they say without the person.
    empty: Vec<(String, &'static str, Value)>,
    /// What stays, without their name.
    poll: String,
}

async fn leave_traces(ada: &Person, ben: &Person) -> Traces {
    let car = json!({ "title": "Quiet", "content": "And quick", "car_model": "Zoe" });
    let own = crate::live::post(ada, "Zoe").await;
    let others = post(ben, "/api/posts", &car).await.expect(201)["post_id"].clone();
    let others = others.as_str().unwrap().to_owned();
    let comments = format!("/api/posts/{others}/comments");
    post(ada, &comments, &json!({ "comment_text": "so true" }))
        .await
        .expect(201);
    let micro = post(ada, "/posts", &json!({ "text": "hello" })).await;
    let micro = micro.expect(201)["post_id"].clone();
    let his = post(ben, "/posts", &json!({ "text": "hello too" })).await;
    let his = his.expect(201)["post_id"].clone();
    post(ada, &format!("/likes/{his}"), &Value::Null)
        .await
        .expect(200);
    post(
        ben,
        &format!("/users/follow/{}", ada.username),
        &Value::Null,
    )
    .await
    .expect(200);
    post(
        ada,
        &format!("/users/follow/{}", ben.username),
        &Value::Null,
    )
    .await
    .expect(200);
    let poll = ask_and_vote(ada).await;
    let reviews = review(ada, ben).await;
    let item = post(ada, "/item", &json!({ "name": "Lamp", "price": 3 })).await;
    let item = item.expect(201)["item"]["id"].clone();
    let note = json!({ "type": "sms", "recipient": "+491234567", "message": "hello" });
    let note = post(ada, "/notifications/send", &note).await;
    note.expect(202);
    Traces {
        gone: vec![
            format!("/api/users/{}", ada.id),
            format!("/users/{}", ada.username),
            format!("/api/posts/{own}"),
            format!("/posts/id/{micro}"),
            format!("/item/{item}"),
        ],
        empty: vec![
            (comments, "", json!([])),
            (reviews, "", json!([])),
            (format!("/items/{}", ada.id), "", json!([])),
            (format!("/likes/{his}/count"), "/likes", json!(0)),
            (format!("/users/{}", ben.username), "/followers", json!(0)),
            (
                format!("/users/{}/followees", ben.username),
                "/followees",
                json!([]),
            ),
        ],
        poll,
    }
}

/// A poll with the vote of who asks; its address.
async fn ask_and_vote(ada: &Person) -> String {
    let question = json!({ "question": "Which one?", "options": ["a", "b"] });
    let poll = post(ada, "/polls", &question).await.expect(201)["poll_id"].clone();
    let poll = format!("/polls/{}", poll.as_str().unwrap());
    post(ada, &format!("{poll}/vote"), &json!({ "choice_index": 1 }))
        .await
        .expect(200);
    poll
}

/// A review of somebody else's movie; the address of its reviews.
async fn review(ada: &Person, ben: &Person) -> String {
    let movie = json!({
        "title": unique("Film "), "description": "", "rating": 5, "genre": "Drama",
        "poster_url": "", "release_date": "2020-01-01",
    });
    let movie = post(ben, "/api/movies", &movie).await.expect(201)["id"].clone();
    let reviews = format!("/api/movies/{movie}/reviews");
    let review = json!({ "title": "Long", "body": "Very", "rating": 3 });
    post(ada, &reviews, &review).await.expect(201);
    reviews
}

/// What each service answers to nobody but who is signed in.
const NEED_A_TOKEN: [(Method, &str); 9] = [
    (Method::GET, "/api/users/me"),
    (Method::GET, "/api/users/me/subscriptions"),
    (Method::GET, "/notifications"),
    (Method::GET, "/orders/"),
    (Method::POST, "/posts"),
    (Method::POST, "/likes/1"),
    (Method::POST, "/polls"),
    (Method::POST, "/api/movies"),
    (Method::POST, "/item"),
];

async fn tokens_are_refused_everywhere(ada: &Person) {
    for (method, path) in NEED_A_TOKEN {
        eventually(path, || async {
            let refused = call(ada, method.clone(), path, &Value::Null).await;
            if refused.status == 401 {
                Ok(())
            } else {
                Err(refused.text)
            }
        })
        .await;
    }
}

async fn all_are_gone(traces: &Traces) {
    let mesh = Mesh::current();
    for path in &traces.gone {
        eventually(path, || async {
            match mesh.get(path).await.status {
                404 => Ok(()),
                other => Err(other.to_string()),
            }
        })
        .await;
    }
    for (path, member, nothing) in &traces.empty {
        eventually(path, || async {
            let shown = mesh.get(path).await;
            match shown.expect(200).pointer(member) {
                Some(value) if value == nothing => Ok(()),
                _ => Err(shown.text),
            }
        })
        .await;
    }
    eventually(
        "the poll is nobody's, and its votes are counted",
        || async {
            let poll = mesh.get(&traces.poll).await;
            let shown = poll.expect(200);
            if shown["created_by"] == "" && shown["counts"] == json!([0, 1]) {
                Ok(())
            } else {
                Err(poll.text)
            }
        },
    )
    .await;
}

#[tokio::test]
async fn an_account_ends_in_all_products_and_its_name_is_free_afterwards() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let traces = leave_traces(&ada, &ben).await;
    let mut socket = open("/ws/reviews", &bearer(&ada)).await.unwrap();

    let account = json!({ "email": ada.email, "password": PASSWORD });
    let deleted = mesh
        .call(Method::DELETE, "/auth/delete", "", &account)
        .await;
    assert_eq!(deleted.status, 204, "{}", deleted.text);

    let (code, reason) = farewell(&mut socket).await;
    assert_eq!((code, reason.as_str()), (4401, "The token was logged out"));
    tokens_are_refused_everywhere(&ada).await;
    let login = json!({ "username": ada.username, "password": PASSWORD });
    mesh.call(Method::POST, "/login", "", &login)
        .await
        .problem(401);
    all_are_gone(&traces).await;
    the_name_is_free(&ada).await;
}

/// Every service has answered twice: that nobody is waited for is what frees the name.
async fn the_name_is_free(ada: &Person) {
    let mesh = Mesh::current();
    let again = json!({ "username": ada.username, "email": ada.email, "password": PASSWORD });
    eventually("the name is free", || async {
        match mesh
            .call(Method::POST, "/users/register", "", &again)
            .await
            .status
        {
            201 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
    // And nothing of whoever had it comes with it.
    for path in [
        format!("/posts/{}", ada.username),
        format!("/items/{}", ada.username),
    ] {
        assert_eq!(mesh.get(&path).await.expect(200), &json!([]), "{path}");
    }
    let profile = mesh.get(&format!("/users/{}", ada.username)).await;
    assert_eq!(
        (
            &profile.expect(200)["followers"],
            &profile.json["followees"]
        ),
        (&json!(0), &json!(0))
    );
}
