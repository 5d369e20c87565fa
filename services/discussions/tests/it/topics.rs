use serde_json::{Value, json};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, members, next_page},
    on_each_store,
};

on_each_store!(
    d10_subscribing_and_ending_it,
    d10_spellings_of_a_car_are_one_subscription,
    d10_subscriptions_are_ones_own,
    d10_names_that_are_none_are_refused,
    what_a_post_can_be_about_can_be_subscribed_to,
    d7_subscriptions_come_in_pages_newest_first,
);

const MINE: &str = "/api/users/me/subscriptions";

async fn mine(plaza: &Plaza, user_id: i64) -> Vec<String> {
    members(plaza.get_as(user_id, MINE).await.expect(200), "car_model")
}

async fn d10_subscribing_and_ending_it(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    assert_eq!(plaza.get_as(ANNA, MINE).await.expect(200), &json!([]));
    let path = "/api/topics/Golf%20GTI/subscription";
    let subscribed = plaza.put_as(ANNA, path, &Value::Null).await;
    assert_eq!(
        subscribed.expect(200),
        &json!({ "message": "Subscribed to Golf GTI." })
    );
    let since = plaza.get_as(ANNA, MINE).await.json[0]["timestamp"].clone();
    plaza.put_as(ANNA, path, &Value::Null).await.expect(200);
    assert_eq!(mine(&plaza, ANNA).await, ["Golf GTI"]);
    assert_eq!(plaza.get_as(ANNA, MINE).await.json[0]["timestamp"], since);
    let ended = plaza.delete_as(ANNA, path).await;
    assert_eq!(
        ended.expect(200),
        &json!({ "message": "Unsubscribed from Golf GTI." })
    );
    assert!(mine(&plaza, ANNA).await.is_empty());
    let again = plaza.delete_as(ANNA, path).await;
    assert_eq!(
        again.expect(200),
        &json!({ "message": "Not subscribed to Golf GTI." })
    );
}

async fn d10_spellings_of_a_car_are_one_subscription(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for spelling in ["A%2Fb", "a%2FB", "%20A%2FB%20"] {
        let path = format!("/api/topics/{spelling}/subscription");
        plaza.put_as(ANNA, &path, &Value::Null).await.expect(200);
    }
    assert_eq!(mine(&plaza, ANNA).await, ["A/b"]);
    plaza
        .delete_as(ANNA, "/api/topics/a%2Fb/subscription")
        .await
        .expect(200);
    assert!(mine(&plaza, ANNA).await.is_empty());
}

async fn d10_subscriptions_are_ones_own(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let path = "/api/topics/Polo/subscription";
    plaza.put_as(ANNA, path, &Value::Null).await.expect(200);
    assert!(mine(&plaza, BEN).await.is_empty());
    plaza.delete_as(BEN, path).await.expect(200);
    assert_eq!(mine(&plaza, ANNA).await, ["Polo"]);
}

async fn d10_names_that_are_none_are_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for bad in ["%20", "%00", "a%00b", "a%07b", &"x".repeat(101)] {
        let path = format!("/api/topics/{bad}/subscription");
        plaza.put_as(ANNA, &path, &Value::Null).await.problem(422);
        plaza.delete_as(ANNA, &path).await.problem(422);
    }
    for odd in [
        "$ne",
        "%7B%22$ne%22:null%7D",
        "a.b",
        "%2E%2E%2Fx",
        "..%2f",
        "%C3%9F",
        "%F0%9F%9A%97",
    ] {
        let path = format!("/api/topics/{odd}/subscription");
        plaza.put_as(ANNA, &path, &Value::Null).await.expect(200);
    }
    assert_eq!(mine(&plaza, ANNA).await.len(), 7);
}

async fn what_a_post_can_be_about_can_be_subscribed_to(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for (model, written) in [
        ("Peugeot 208/2008", "Peugeot+208%2F2008"),
        ("A\\B", "A%5CB"),
        (".", "."),
        ("..", "%2E%2E"),
        ("../x", "..%2Fx"),
        ("C+", "C%2B"),
        ("50%", "50%25"),
        ("a;b?c#d&e=f", "a%3Bb%3Fc%23d%26e%3Df"),
        ("Škoda", "%C5%A0koda"),
        ("subscription", "subscription"),
    ] {
        let body = json!({ "title": "t", "content": "c", "car_model": model });
        plaza.written(BEN, &body).await;
        let path = format!("/api/topics/subscription?car_model={written}");
        let subscribed = plaza.put_as(ANNA, &path, &Value::Null).await;
        assert_eq!(
            subscribed.expect(200)["message"],
            format!("Subscribed to {model}.")
        );
        assert_eq!(mine(&plaza, ANNA).await, [model]);
        let posts = plaza.get(&format!("/api/posts?car_model={written}")).await;
        assert_eq!(members(posts.expect(200), "car_model"), [model]);
        let ended = plaza.delete_as(ANNA, &path).await;
        assert_eq!(
            ended.expect(200)["message"],
            format!("Unsubscribed from {model}.")
        );
    }
    let path = "/api/topics/subscription";
    plaza.put_as(ANNA, path, &Value::Null).await.problem(400);
    let blank = format!("{path}?car_model=%20");
    plaza.put_as(ANNA, &blank, &Value::Null).await.problem(422);
    let anonymous = plaza
        .service
        .call(reqwest::Method::PUT, path, "", &Value::Null);
    anonymous.await.problem(401);
}

async fn d7_subscriptions_come_in_pages_newest_first(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for name in ["a", "b", "c", "d", "e"] {
        let path = format!("/api/topics/{name}/subscription");
        plaza.put_as(ANNA, &path, &Value::Null).await.expect(200);
    }
    let (mut path, mut all) = (format!("{MINE}?limit=2"), Vec::new());
    while !path.is_empty() {
        let page = plaza.get_as(ANNA, &path).await;
        all.extend(members(page.expect(200), "car_model"));
        next_page(&page).clone_into(&mut path);
    }
    assert_eq!(all, ["e", "d", "c", "b", "a"]);
}
