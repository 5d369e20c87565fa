//! A like is answered at once and checked behind.

use messaging::events::PostDeleted;
use testkit::eventually;

use crate::{
    helpers::{Backend, Plaza, like},
    on_each_store,
    peers::Mood,
};

on_each_store![
    s2_36_the_like_of_no_post_disappears_and_that_of_a_post_stays,
    s2_36_while_timelines_is_away_nothing_is_lost,
    s2_36_a_post_that_is_written_meanwhile_keeps_its_likes,
    s2_36_a_process_of_its_own_checks_too,
    d18_a_deleted_post_loses_its_likes_and_takes_no_more,
];

const AUTHOR: i64 = 1;

async fn gone(plaza: &Plaza, post_id: i64) {
    eventually("the likes of nothing are gone", || async {
        match plaza.count(post_id).await {
            0 => Ok(()),
            likes => Err(format!("{likes} likes")),
        }
    })
    .await;
}

async fn s2_36_the_like_of_no_post_disappears_and_that_of_a_post_stays(backend: Backend) {
    let plaza = Plaza::start_with(backend, &[]).await;
    plaza.peers.register(8, "User8");
    plaza.peers.write(1, AUTHOR);
    plaza.like(7, 1).await.expect(200);
    for person in [7, 8] {
        plaza.like(person, 2).await.expect(200);
    }
    gone(&plaza, 2).await;
    assert_eq!(plaza.popular("").await, [(1, 1)]);
    eventually("lists without it", || async {
        match (
            plaza.likes_of(7).await.as_slice(),
            plaza.likes_of(8).await.as_slice(),
        ) {
            ([1], []) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    // It may come into being later: then it can be liked like any other.
    plaza.peers.write(2, AUTHOR);
    plaza.like(7, 2).await.expect(200);
    let asked = plaza.peers.asked();
    eventually("the check of the new like", || async {
        (plaza.peers.asked() > asked)
            .then_some(())
            .ok_or("not asked".to_owned())
    })
    .await;
    assert_eq!(plaza.count(2).await, 1);
}

async fn s2_36_while_timelines_is_away_nothing_is_lost(backend: Backend) {
    let plaza = Plaza::start_with(backend, &[]).await;
    plaza.peers.set(Mood::Fails);
    plaza.peers.write(1, AUTHOR);
    plaza.like(7, 1).await.expect(200);
    plaza.like(7, 2).await.expect(200);
    eventually("some tries", || async {
        (plaza.peers.asked() > 4)
            .then_some(())
            .ok_or("too few".to_owned())
    })
    .await;
    assert_eq!((plaza.count(1).await, plaza.count(2).await), (1, 1));
    plaza.peers.set(Mood::Answers);
    gone(&plaza, 2).await;
    assert_eq!(plaza.count(1).await, 1);
}

async fn s2_36_a_post_that_is_written_meanwhile_keeps_its_likes(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--roles", "validation"]).await;
    plaza.peers.set(Mood::FindsNothingSlowly);
    plaza.like(7, 1).await.expect(200);
    eventually("the question", || async {
        (plaza.peers.asked() > 0)
            .then_some(())
            .ok_or("not asked".to_owned())
    })
    .await;
    // The answer is on its way; now the post is written, and somebody likes it.
    plaza.peers.write(1, AUTHOR);
    plaza.peers.set(Mood::Answers);
    plaza.like(8, 1).await.expect(200);
    plaza.peers.release();
    eventually("the early like is gone", || async {
        match plaza.count(1).await {
            1 => Ok(()),
            likes => Err(format!("{likes} likes")),
        }
    })
    .await;
    assert_eq!(plaza.likes_of(8).await, [1]);
}

async fn s2_36_a_process_of_its_own_checks_too(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let worker = plaza.worker_with(&["--roles", "validation"]).await;
    assert!(worker.context.works("validation") && !worker.context.works("notification"));
    plaza.peers.write(1, AUTHOR);
    plaza.like(7, 1).await.expect(200);
    plaza.like(7, 2).await.expect(200);
    gone(&plaza, 2).await;
    assert_eq!(plaza.count(1).await, 1);
    worker.stop().await;
}

async fn d18_a_deleted_post_loses_its_likes_and_takes_no_more(backend: Backend) {
    let plaza = Plaza::start_with(backend, &[]).await;
    plaza.peers.register(7, "User7");
    plaza.peers.write(1, AUTHOR);
    for person in 7..10 {
        plaza.like(person, 1).await.expect(200);
    }
    let deleted = PostDeleted {
        post_id: 1,
        user_id: AUTHOR,
    };
    plaza.tell("timelines", &deleted).await;
    gone(&plaza, 1).await;
    assert_eq!(plaza.popular("").await, []);
    plaza.like(11, 1).await.problem(404);
    let other = plaza.another_with(&["--roles", "none"]).await;
    like(&other, 12, 1).await.problem(404);
    plaza.unlike(7, 1).await.expect(200);
    assert_eq!(plaza.count(1).await, 0);
    eventually("a list without it", || async {
        let likes = plaza.likes_of(7).await;
        likes.is_empty().then_some(()).ok_or(format!("{likes:?}"))
    })
    .await;
}
