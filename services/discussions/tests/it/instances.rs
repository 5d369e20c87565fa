use futures_util::future::join_all;

use crate::{
    helpers::{ANNA, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    s0_20_every_instance_lists_what_any_has_answered,
    s0_20_posts_written_at_once_are_all_listed,
    s0_20_an_instance_with_little_memory_lists_the_same,
);

async fn s0_20_every_instance_lists_what_any_has_answered(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    for round in 0..5 {
        let title = format!("round {round}");
        let id = one.written(ANNA, &post(&title)).await;
        assert_eq!(other.listed("/api/posts", "title").await, [title.as_str()]);
        let path = format!("/api/posts/{id}");
        other
            .put_as(ANNA, &path, &post("changed"))
            .await
            .expect(200);
        assert_eq!(one.listed("/api/posts", "title").await, ["changed"]);
        one.put_as(ANNA, &path, &post("changed back"))
            .await
            .expect(200);
        assert_eq!(other.listed("/api/posts", "title").await, ["changed back"]);
        other.delete_as(ANNA, &path).await.expect(200);
        assert_eq!(one.listed("/api/posts", "title").await, [""; 0]);
    }
}

async fn s0_20_posts_written_at_once_are_all_listed(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let writes = (0..30).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        async move { plaza.written(ANNA, &post(&number.to_string())).await }
    });
    let mut written = join_all(writes).await;
    written.sort_unstable();
    written.reverse();
    let late = one.another().await;
    for plaza in [&one, &other, &late] {
        assert_eq!(plaza.listed("/api/posts", "post_id").await, written);
    }
}

async fn s0_20_an_instance_with_little_memory_lists_the_same(backend: Backend) {
    let large = Plaza::start(backend).await;
    let small = large.another_with(&["--recent-posts", "3"]).await;
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(large.written(ANNA, &post(&number.to_string())).await);
    }
    for gone in [0, 4, 7] {
        small
            .delete_as(ANNA, &format!("/api/posts/{}", ids[gone]))
            .await
            .expect(200);
    }
    large
        .put_as(ANNA, &format!("/api/posts/{}", ids[1]), &post("old one"))
        .await
        .expect(200);
    for path in [
        "/api/posts",
        "/api/posts?limit=2",
        "/api/posts?limit=4",
        "/api/posts?user_id=7",
    ] {
        let (expected, listed) = (large.get(path).await, small.get(path).await);
        assert_eq!(listed.expect(200), expected.expect(200), "{path}");
    }
    assert_eq!(
        small.listed("/api/posts", "title").await,
        ["6", "5", "3", "2", "old one"]
    );
}
