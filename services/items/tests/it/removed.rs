//! What a list costs follows what is there, never what was.

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::Value;

use crate::{
    helpers::{ANNA, Backend, Plaza, lamp},
    on_each_store,
};

on_each_store!(
    a_list_costs_no_more_after_items_came_and_went,
    pages_leave_out_what_is_gone,
);

const MANY: usize = 150;
/// Operations that the background may ask for meanwhile.
const BESIDE: u64 = 10;

/// Operations of the store for one list.
async fn cost(plaza: &Plaza) -> u64 {
    let database = plaza.service.service.database();
    let before = database.operations();
    plaza.get("/item").await.expect(200);
    database.operations() - before
}

async fn a_list_costs_no_more_after_items_came_and_went(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    for _ in 0..3 {
        one.offered(1).await;
    }
    let (first, _) = (cost(&one.another().await).await, cost(&one).await);
    let warm = cost(&one).await;
    let came_and_went = (0..MANY).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        async move {
            let path = plaza.offered(1).await;
            plaza
                .call(ANNA, Method::DELETE, &path, &Value::Null)
                .await
                .expect(200);
        }
    });
    let () = stream::iter(came_and_went)
        .buffer_unordered(6)
        .collect()
        .await;
    let restarted = cost(&one.another().await).await;
    assert!(restarted <= 2 * first + BESIDE, "{first}, then {restarted}");
    for plaza in [&one, &other] {
        let again = cost(plaza).await;
        assert!(
            again <= 2 * first.max(warm) + BESIDE,
            "{warm}, then {again}"
        );
        let again = cost(plaza).await;
        assert!(again <= 2 * warm + BESIDE, "{warm}, then {again}");
    }
    let listed = one.get("/item").await;
    assert_eq!(listed.expect(200).as_array().unwrap().len(), 3);
}

async fn pages_leave_out_what_is_gone(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let mut left = Vec::new();
    for number in 0..20 {
        let path = one.offered(1).await;
        if number % 3 == 0 {
            left.push(path);
        } else {
            let deleted = one.call(ANNA, Method::DELETE, &path, &Value::Null).await;
            deleted.expect(200);
        }
    }
    one.call(ANNA, Method::PUT, &left[0], &lamp(7))
        .await
        .expect(200);
    left.reverse();
    for plaza in [&one, &other, &one.another().await] {
        let (mut listed, mut path) = (Vec::new(), "/item?limit=3".to_owned());
        while !path.is_empty() {
            let page = plaza.get(&path).await;
            let items = page.expect(200).as_array().unwrap().clone();
            listed.extend(items.iter().map(|item| format!("/item/{}", item["id"])));
            let link = page.header("link");
            let next = link.strip_suffix("; rel=\"next\"").unwrap_or_default();
            next.trim_matches(['<', '>']).clone_into(&mut path);
        }
        assert_eq!(listed, left);
    }
}
