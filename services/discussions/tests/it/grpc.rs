use chassis::{Address, Upstream};
use proto::discussions::{
    AddCommentRequest, CommentsAfterRequest, CountByUserRequest, DiscussionsAddComment,
    DiscussionsCommentsAfter, DiscussionsCountByUser, DiscussionsSubscribers, SubscribersRequest,
};
use serde_json::Value;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    s0_12_discussions_counts_the_posts_of_a_person,
    s0_12_posts_are_counted_beyond_what_is_in_memory,
    d10_subscribers_are_told_in_pages_whatever_the_spelling,
    d8_comments_are_numbered_and_read_from_a_place_on,
);

fn upstream(plaza: &Plaza) -> Upstream {
    let address = Address::Url(format!("http://{}", plaza.service.address));
    Upstream::new(&address).unwrap()
}

async fn count(plaza: &Plaza, user_id: i64) -> i64 {
    upstream(plaza)
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

async fn d10_subscribers_are_told_in_pages_whatever_the_spelling(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for user_id in [ANNA, BEN, 30, 4] {
        let path = "/api/topics/Golf%20GTI/subscription";
        plaza.put_as(user_id, path, &Value::Null).await.expect(200);
    }
    let other = "/api/topics/Polo/subscription";
    plaza.put_as(5, other, &Value::Null).await.expect(200);
    let upstream = upstream(&plaza);
    let ask = |after_user_id, limit| {
        let request = SubscribersRequest {
            car_model: "golf  gti".into(),
            after_user_id,
            limit,
        };
        upstream.call::<DiscussionsSubscribers>(request)
    };

    assert_eq!(ask(0, 3).await.unwrap().user_ids, [4, ANNA, BEN]);
    assert_eq!(ask(BEN, 3).await.unwrap().user_ids, [30]);
    assert!(ask(0, 0).await.is_err() && ask(0, 201).await.is_err());
}

async fn d8_comments_are_numbered_and_read_from_a_place_on(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let upstream = upstream(&plaza);
    let post_id = plaza.written(ANNA, &post("1")).await;
    for number in 1..=5 {
        let request = AddCommentRequest {
            post_id: post_id.clone(),
            user_id: BEN,
            text: format!("comment {number}"),
        };
        let added = upstream.call::<DiscussionsAddComment>(request).await;
        assert_eq!(added.unwrap().number, number);
    }
    let removed = format!("/api/posts/{post_id}/comments/{post_id}.4");
    plaza.delete_as(BEN, &removed).await.expect(200);
    let after = async |post_id: &str, after: Option<u64>, limit: u32| {
        let request = CommentsAfterRequest {
            post_id: post_id.to_owned(),
            after,
            limit,
        };
        let found = upstream.call::<DiscussionsCommentsAfter>(request).await?;
        let numbers: Vec<u64> = found.comments.iter().map(|found| found.number).collect();
        Ok::<_, chassis::Error>((numbers, found.until, found.last))
    };
    assert_eq!(after(&post_id, None, 10).await.unwrap(), (vec![], 5, 5));
    assert_eq!(
        after(&post_id, Some(1), 2).await.unwrap(),
        (vec![2, 3], 3, 5)
    );
    assert_eq!(after(&post_id, Some(3), 9).await.unwrap(), (vec![5], 5, 5));
    assert_eq!(after(&post_id, Some(9), 9).await.unwrap(), (vec![], 5, 5));
    assert!(after("nothing", None, 9).await.is_err());
    assert!(after(&post_id, None, 0).await.is_err());
}
