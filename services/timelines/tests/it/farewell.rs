//! Who deletes their account leaves no post, no job and no follow here.

use reqwest::Method;
use serde_json::{Value as Json, json};
use testkit::Farewell;

use crate::helpers::{Backend, Plaza, ids};

crate::on_each_store![
    posts_jobs_and_follows_of_a_deleted_account_are_gone,
    a_follow_that_comes_after_the_deletion_is_gone_with_the_next_round,
];

async fn posts_jobs_and_follows_of_a_deleted_account_are_gone(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let users = Farewell::to(&plaza.service, &plaza.amqp).await;
    let (ada, ben, cara) = (plaza.person(), plaza.person(), plaza.person());
    for (follower, followee) in [(&ben, &ada), (&ben, &cara), (&ada, &ben)] {
        plaza.follow(follower, followee).await;
        plaza.knows(follower, followee, true).await;
    }
    let (own, other) = (
        plaza.written(&ada, "mine").await,
        plaza.written(&cara, "hers").await,
    );
    plaza.sees(&ben, &[other, own]).await;
    let queued = plaza
        .post_as(&ada, "/posts/async", &json!({ "text": "later" }))
        .await;
    let job = queued.expect(202)["job_id"].as_str().unwrap().to_owned();

    for round in [1, 2] {
        users.deleted(ada.id, &ada.username, round).await;
    }

    plaza.get(&format!("/posts/id/{own}")).await.problem(404);
    assert_eq!(plaza.home(&ben).await, [other]);
    assert_eq!(ids(plaza.get("/posts").await.expect(200)), [other]);
    plaza
        .get_as(&ada, &format!("/posts/jobs/{job}"))
        .await
        .problem(404);
    let columns = "(SELECT count(*) FROM posts WHERE user_id = {}) + \
         (SELECT count(*) FROM jobs WHERE user_id = {}) + \
         (SELECT count(*) FROM readers WHERE user_id = {}) + \
         (SELECT count(*) FROM follows WHERE follower_id = {} OR followee_id = {})";
    let sql = format!("SELECT {}", columns.replace("{}", &ada.id.to_string()));
    let rows = plaza.rows(&sql, []).await.unwrap();
    assert_eq!(rows[0].try_get_by_index::<i64>(0).unwrap(), 0);
    // Whom others follow is as it was.
    plaza.knows(&ben, &cara, true).await;
    plaza
        .call_as(
            &cara,
            Method::DELETE,
            &format!("/posts/id/{other}"),
            &Json::Null,
        )
        .await
        .expect(200);
}

async fn a_follow_that_comes_after_the_deletion_is_gone_with_the_next_round(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let users = Farewell::to(&plaza.service, &plaza.amqp).await;
    let (ada, ben) = (plaza.person(), plaza.person());
    users.deleted(ada.id, &ada.username, 1).await;
    // It was on its way, and so was a post.
    plaza.follow(&ada, &ben).await;
    plaza.knows(&ada, &ben, true).await;
    let late = plaza.written(&ada, "late").await;
    users.deleted(ada.id, &ada.username, 2).await;
    plaza.get(&format!("/posts/id/{late}")).await.problem(404);
    let sql = format!(
        "SELECT count(*) FROM follows WHERE follower_id = {}",
        ada.id
    );
    let rows = plaza.rows(&sql, []).await.unwrap();
    assert_eq!(rows[0].try_get_by_index::<i64>(0).unwrap(), 0);
}
