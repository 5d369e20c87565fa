//! What a person likes, and which posts are popular.

use serde_json::json;

use crate::{
    helpers::{Backend, Plaza, next_page, numbers, ranked},
    on_each_backend,
};

on_each_backend![
    s2_29_likes_of_a_person_come_newest_first_page_by_page,
    s2_29_names_are_compared_without_case,
    s2_29_somebody_without_likes_has_an_empty_list_and_nobody_has_none,
    s2_30_popular_posts_come_by_likes_page_by_page,
    d7_a_page_is_bounded_and_a_cursor_is_ours,
];

async fn s2_29_likes_of_a_person_come_newest_first_page_by_page(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for post in [5, 3, 9, 1, 7] {
        plaza.like(7, post).await.expect(200);
    }
    plaza.like(8, 4).await.expect(200);
    assert_eq!(plaza.likes_of(7).await, [7, 1, 9, 3, 5]);
    plaza.unlike(7, 9).await.expect(200);
    assert_eq!(plaza.likes_of(7).await, [7, 1, 3, 5]);
    plaza.unlike(7, 3).await.expect(200);
    plaza.like(7, 3).await.expect(200);
    let mut seen = Vec::new();
    let mut path = "/users/user7/likes?limit=3".to_owned();
    while !path.is_empty() {
        let page = plaza.get(&path).await;
        seen.push(numbers(&page.expect(200)["post_ids"]));
        next_page(&page).clone_into(&mut path);
    }
    assert_eq!(seen, [vec![3, 7, 1], vec![5]], "liked again is liked last");
}

async fn s2_29_names_are_compared_without_case(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.like(7, 1).await.expect(200);
    for name in ["user7", "USER7", "User7"] {
        let likes = plaza.get(&format!("/users/{name}/likes")).await;
        let body = json!({"username": "User7", "post_ids": [1]});
        assert_eq!(likes.expect(200), &body);
    }
}

async fn s2_29_somebody_without_likes_has_an_empty_list_and_nobody_has_none(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.peers.register(1, "Ada");
    let empty = plaza.get("/users/ada/likes").await;
    assert_eq!(
        empty.expect(200),
        &json!({"username": "Ada", "post_ids": []})
    );
    for nobody in ["nobody", "x", "a%20b", "%C3%A4%C3%B6%C3%BC"] {
        plaza
            .get(&format!("/users/{nobody}/likes"))
            .await
            .problem(404);
    }
    let alone = plaza
        .another_with(&[
            "--roles",
            "none",
            "--upstream-urls",
            "users=http://127.0.0.1:1",
        ])
        .await;
    let unknown = alone.get("/users/nobody/likes").await;
    assert_eq!(
        unknown.expect(200),
        &json!({"username": "nobody", "post_ids": []})
    );
}

async fn s2_30_popular_posts_come_by_likes_page_by_page(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    assert_eq!(plaza.popular("").await, []);
    for (post, likes) in [(1, 2), (2, 1), (3, 3), (10, 2), (11, 1)] {
        for person in 0..likes {
            plaza.like(100 + person, post).await.expect(200);
        }
    }
    let all = [(3, 3), (10, 2), (1, 2), (11, 1), (2, 1)];
    assert_eq!(plaza.popular("").await, all);
    let first = plaza.get("/likes/popular?limit=2").await;
    assert_eq!(ranked(first.expect(200)), all[..2]);
    let second = plaza.get(next_page(&first)).await;
    assert_eq!(ranked(second.expect(200)), all[2..4]);
    let third = plaza.get(next_page(&second)).await;
    assert_eq!(ranked(third.expect(200)), all[4..]);
    assert_eq!(next_page(&third), "");
    plaza.unlike(100, 11).await.expect(200);
    plaza.like(103, 10).await.expect(200);
    plaza.like(104, 10).await.expect(200);
    assert_eq!(plaza.popular("").await, [(10, 4), (3, 3), (1, 2), (2, 1)]);
}

async fn d7_a_page_is_bounded_and_a_cursor_is_ours(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for post in 1..=203 {
        plaza.like(7, post).await.expect(200);
    }
    for (path, list) in [
        ("/likes/popular", "post_ids"),
        ("/users/user7/likes", "post_ids"),
    ] {
        let sizes = [
            ("", 50),
            ("?limit=1", 1),
            ("?limit=200", 200),
            ("?limit=100000", 200),
        ];
        for (query, size) in sizes {
            let page = plaza.get(&format!("{path}{query}")).await;
            assert_eq!(
                numbers(&page.expect(200)[list]).len(),
                size,
                "{path}{query}"
            );
            assert!(!next_page(&page).is_empty(), "{path}{query}");
        }
        for query in [
            "limit=0",
            "limit=-1",
            "limit=x",
            "cursor=forged",
            "cursor=WyJhIl0",
        ] {
            plaza.get(&format!("{path}?{query}")).await.problem(400);
        }
    }
}
