//! What a person likes, and which posts are popular.

use serde_json::json;

use crate::{
    helpers::{Backend, Plaza, next_page, numbers, ranked},
    on_each_backend,
};

on_each_backend![
    s2_29_likes_of_a_person_come_newest_first_page_by_page,
    s2_29_names_are_compared_without_case,
    s2_29_somebody_without_likes_and_nobody_have_an_empty_list,
    s2_29_likes_are_paged_by_an_offset_and_100_of_them_are_shown_at_once,
    s2_30_popular_posts_are_paged_by_an_offset,
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

async fn s2_29_somebody_without_likes_and_nobody_have_an_empty_list(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.peers.register(1, "Ada");
    let empty = plaza.get("/users/ada/likes").await;
    assert_eq!(
        empty.expect(200),
        &json!({"username": "Ada", "post_ids": []})
    );
    for (nobody, name) in [
        ("nobody", "nobody"),
        ("x", "x"),
        ("a%20b", "a b"),
        ("a%00b", "a\0b"),
    ] {
        let likes = plaza.get(&format!("/users/{nobody}/likes")).await;
        assert_eq!(
            likes.expect(200),
            &json!({"username": name, "post_ids": []})
        );
        assert_eq!(next_page(&likes), "");
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
    let all = 203;
    for (path, default, most) in [
        ("/likes/popular", 50, 200),
        ("/users/user7/likes", 100, 1000),
    ] {
        let sizes = [
            ("", default),
            ("?limit=1", 1),
            ("?limit=200", 200),
            ("?limit=201", most.min(201)),
            ("?limit=100000", most.min(all)),
        ];
        for (query, size) in sizes {
            let page = plaza.get(&format!("{path}{query}")).await;
            let shown = numbers(&page.expect(200)["post_ids"]).len();
            assert_eq!(shown, size, "{path}{query}");
            assert_eq!(next_page(&page).is_empty(), size == all, "{path}{query}");
        }
        for query in [
            "limit=0",
            "limit=-1",
            "limit=x",
            "offset=-1",
            "offset=10001",
            "offset=x",
        ] {
            plaza.get(&format!("{path}?{query}")).await.problem(422);
        }
        for query in ["cursor=forged", "cursor=WyJhIl0"] {
            plaza.get(&format!("{path}?{query}")).await.problem(400);
        }
    }
}

async fn s2_29_likes_are_paged_by_an_offset_and_100_of_them_are_shown_at_once(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for post in 1..=103 {
        plaza.like(7, post).await.expect(200);
    }
    let newest_first: Vec<i64> = (1..=103).rev().collect();
    assert_eq!(plaza.likes_of(7).await, newest_first[..100]);
    let (mut offset, mut seen) = (0, Vec::new());
    loop {
        let page = plaza
            .get(&format!("/users/USER7/likes?limit=40&offset={offset}"))
            .await;
        let page = numbers(&page.expect(200)["post_ids"]);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
        offset += 40;
    }
    assert_eq!(seen, newest_first);
    let middle = plaza.get("/users/user7/likes?limit=2&offset=99").await;
    assert_eq!(numbers(&middle.expect(200)["post_ids"]), [4, 3]);
    let last = plaza.get(next_page(&middle)).await;
    assert_eq!(numbers(&last.expect(200)["post_ids"]), [2, 1]);
}

async fn s2_30_popular_posts_are_paged_by_an_offset(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for post in 1..=5 {
        for person in 0..post {
            plaza.like(100 + person, post).await.expect(200);
        }
    }
    assert_eq!(plaza.popular("?limit=2&offset=1").await, [(4, 4), (3, 3)]);
    assert_eq!(plaza.popular("?limit=2&offset=4").await, [(1, 1)]);
    assert_eq!(plaza.popular("?limit=2&offset=6").await, []);
}
