use mongodb::bson::doc;
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
    a_car_is_found_in_any_case_and_composition,
    topics_of_yesterday_are_found_today,
    d7_subscriptions_come_in_pages_newest_first,
);

const MINE: &str = "/api/users/me/subscriptions";

async fn mine(plaza: &Plaza, user_id: i64) -> Vec<String> {
    members(plaza.get_as(user_id, MINE).await.expect(200), "car_model")
}

async fn a_car_is_found_in_any_case_and_composition(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let body = json!({"title": "t", "content": "c", "car_model": "Citroe\u{308}n Stra\u{df}e"});
    plaza.written(ANNA, &body).await;
    for spelling in ["CITRO%C3%8BN%20STRASSE", "citroe%CC%88n%20stra%E1%BA%9Ee"] {
        let path = format!("/api/posts?car_model={spelling}&kind=&user_id=&limit=");
        let found = plaza.listed(&path, "car_model").await;
        assert_eq!(found, ["Citro\u{eb}n Stra\u{df}e"], "it is kept composed");
        let path = format!("/api/topics/{spelling}/subscription");
        plaza.put_as(ANNA, &path, &Value::Null).await.expect(200);
    }
    assert_eq!(mine(&plaza, ANNA).await.len(), 1);
    let own = plaza
        .listed(&format!("/api/posts?user_id={ANNA}.0"), "title")
        .await;
    assert_eq!(own, ["t"]);
}

async fn topics_of_yesterday_are_found_today(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (apart, path) = ("citroe\u{308}n", "/api/topics/CITRO%C3%8BN/subscription");
    let body = json!({"title": "t", "content": "c", "car_model": "Citro\u{eb}n"});
    plaza.written(ANNA, &body).await;
    plaza.put_as(ANNA, path, &Value::Null).await.expect(200);
    plaza.put_as(BEN, path, &Value::Null).await.expect(200);
    // As the release before kept them: letters as they came, and no note that they were folded.
    let (url, name) = plaza.database();
    let client = mongodb::Client::with_uri_str(url).await.unwrap();
    let database = client.database(name);
    let posts = database.collection::<mongodb::bson::Document>("posts");
    let before = doc! { "$set": { "car_model": apart, "topic": apart } };
    posts.update_one(doc! {}, before).await.unwrap();
    let subscriptions = database.collection::<mongodb::bson::Document>("subscriptions");
    let bens = doc! { "user_id": BEN };
    let mut kept = subscriptions.find_one(bens.clone()).await.unwrap().unwrap();
    subscriptions.delete_one(bens).await.unwrap();
    kept.insert("_id", format!("{BEN}/{apart}"));
    kept.insert("topic", apart);
    kept.insert("car_model", apart);
    subscriptions.insert_one(kept).await.unwrap();
    let steps = database.collection::<mongodb::bson::Document>("steps");
    steps.delete_many(doc! {}).await.unwrap();
    let today = plaza.another().await;
    let found = today
        .listed("/api/posts?car_model=Citro%C3%8BN", "title")
        .await;
    assert_eq!(found, ["t"]);
    assert_eq!(mine(&today, BEN).await, [apart]);
    let ended = today.delete_as(BEN, path).await;
    assert!(
        ended.expect(200)["message"]
            .as_str()
            .unwrap()
            .starts_with("Unsubscribed")
    );
    assert_eq!(
        mine(&today, ANNA).await,
        ["CITRO\u{cb}N"],
        "this one is as it was"
    );
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
    // What is empty is not there.
    plaza.put_as(ANNA, &blank, &Value::Null).await.problem(400);
    let unseen = format!("{path}?car_model=%E2%80%8B");
    plaza.put_as(ANNA, &unseen, &Value::Null).await.problem(422);
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
