use chassis::{Address, Upstream};
use proto::discussions::{CountByUserRequest, DiscussionsCountByUser};

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    s0_12_discussions_counts_the_posts_of_a_person,
    s0_12_posts_are_counted_beyond_what_is_in_memory,
);

async fn count(plaza: &Plaza, user_id: i64) -> i64 {
    let address = Address::Url(format!("http://{}", plaza.service.address));
    let upstream = Upstream::new(&address).unwrap();
    upstream
        .call::<DiscussionsCountByUser>(CountByUserRequest { user_id })
        .await
        .unwrap()
        .posts
}

async fn s0_12_discussions_counts_the_posts_of_a_person(backend: Backend) {
    counts(Plaza::start(backend).await).await;
}

async fn s0_12_posts_are_counted_beyond_what_is_in_memory(backend: Backend) {
    counts(Plaza::start_with(backend, &["--recent-posts", "2"]).await).await;
}

async fn counts(plaza: Plaza) {
    assert_eq!(count(&plaza, ANNA).await, 0);
    let first = plaza.written(ANNA, &post("1")).await;
    plaza.written(BEN, &post("2")).await;
    for title in ["3", "4", "5"] {
        plaza.written(ANNA, &post(title)).await;
    }
    assert_eq!(
        (count(&plaza, ANNA).await, count(&plaza, BEN).await),
        (4, 1)
    );
    plaza
        .delete_as(ANNA, &format!("/api/posts/{first}"))
        .await
        .expect(200);
    assert_eq!(count(&plaza, ANNA).await, 3);
    assert_eq!(count(&plaza.another().await, ANNA).await, 3);
}
