//! The author of a post is told of its likes: once for many.

use std::time::Duration;

use messaging::events::LikesNoticed;
use testkit::eventually;
use tokio::{sync::mpsc::UnboundedReceiver, time::timeout};

use crate::{
    helpers::{Backend, Plaza},
    on_each_store,
    peers::Mood,
};

on_each_store![
    s2_37_many_likes_within_the_window_are_told_once,
    s2_37_a_like_that_comes_and_goes_is_told_once_or_never,
    s2_37_nobody_is_told_of_their_own_like_or_of_no_post,
    s2_37_several_workers_tell_once,
    s2_37_while_timelines_is_away_the_notice_waits,
];

const AUTHOR: i64 = 1;
const SHORT: &[&str] = &["--likes-notice-seconds", "1"];
/// Longer than the short window, and than the pace of those who tell.
const QUIET: Duration = Duration::from_secs(3);

async fn told(heard: &mut UnboundedReceiver<LikesNoticed>) -> LikesNoticed {
    let told = timeout(testkit::PATIENCE, heard.recv()).await;
    told.expect("the author is told").unwrap()
}

async fn assert_quiet(heard: &mut UnboundedReceiver<LikesNoticed>, period: Duration) {
    let more = timeout(period, heard.recv()).await;
    assert!(more.is_err(), "told once more: {more:?}");
}

async fn s2_37_many_likes_within_the_window_are_told_once(backend: Backend) {
    // Longer than five likes take.
    let plaza = Plaza::start_with(backend, &["--likes-notice-seconds", "8"]).await;
    let mut heard = plaza.listen::<LikesNoticed>().await;
    plaza.peers.write(5, AUTHOR);
    for person in 10..15 {
        plaza.like(person, 5).await.expect(200);
    }
    let expected = LikesNoticed {
        post_id: 5,
        author_id: AUTHOR,
        likes: 5,
        usernames: ["User14", "User13", "User12"].map(str::to_owned).to_vec(),
    };
    assert_eq!(told(&mut heard).await, expected);
    plaza.like(20, 5).await.expect(200);
    let next = told(&mut heard).await;
    assert_eq!((next.likes, next.usernames), (1, vec!["User20".to_owned()]));
    assert_quiet(&mut heard, Duration::from_secs(10)).await;
}

async fn s2_37_a_like_that_comes_and_goes_is_told_once_or_never(backend: Backend) {
    // Longer than thirteen requests take.
    let plaza = Plaza::start_with(backend, &["--likes-notice-seconds", "6"]).await;
    let mut heard = plaza.listen::<LikesNoticed>().await;
    plaza.peers.write(5, AUTHOR);
    plaza.peers.write(6, AUTHOR);
    for _ in 0..3 {
        plaza.like(10, 5).await.expect(200);
        plaza.unlike(10, 5).await.expect(200);
        plaza.like(11, 6).await.expect(200);
        plaza.unlike(11, 6).await.expect(200);
    }
    plaza.like(10, 5).await.expect(200);
    let first = told(&mut heard).await;
    assert_eq!((first.post_id, first.likes), (5, 1));
    plaza.unlike(10, 5).await.expect(200);
    plaza.like(10, 5).await.expect(200);
    assert_quiet(&mut heard, Duration::from_secs(8)).await;
    plaza.like(11, 6).await.expect(200);
    let stays = told(&mut heard).await;
    assert_eq!((stays.post_id, stays.likes), (6, 1));
}

async fn s2_37_nobody_is_told_of_their_own_like_or_of_no_post(backend: Backend) {
    let plaza = Plaza::start_with(backend, SHORT).await;
    let mut heard = plaza.listen::<LikesNoticed>().await;
    plaza.peers.write(5, AUTHOR);
    plaza.like(AUTHOR, 5).await.expect(200);
    plaza.like(10, 404).await.expect(200);
    assert_quiet(&mut heard, QUIET).await;
    plaza.like(10, 5).await.expect(200);
    let one = told(&mut heard).await;
    assert_eq!((one.likes, one.usernames), (1, vec!["User10".to_owned()]));
}

async fn s2_37_several_workers_tell_once(backend: Backend) {
    let plaza = Plaza::start_with(backend, SHORT).await;
    let mut heard = plaza.listen::<LikesNoticed>().await;
    let workers = [
        plaza.worker_with(SHORT).await,
        plaza
            .worker_with(&["--roles", "notification", "--likes-notice-seconds", "1"])
            .await,
    ];
    for post in 1..=8 {
        plaza.peers.write(post, AUTHOR);
    }
    for post in 1..=8 {
        for person in 10..13 {
            plaza.like(person, post).await.expect(200);
        }
    }
    let mut likes = [0; 9];
    while likes.iter().sum::<u32>() < 24 {
        let notice = told(&mut heard).await;
        likes[usize::try_from(notice.post_id).unwrap()] += notice.likes;
    }
    assert_eq!(likes, [0, 3, 3, 3, 3, 3, 3, 3, 3]);
    assert_quiet(&mut heard, QUIET).await;
    for worker in workers {
        worker.stop().await;
    }
}

async fn s2_37_while_timelines_is_away_the_notice_waits(backend: Backend) {
    let plaza = Plaza::start_with(backend, SHORT).await;
    let mut heard = plaza.listen::<LikesNoticed>().await;
    plaza.peers.set(Mood::Fails);
    plaza.peers.write(5, AUTHOR);
    plaza.like(10, 5).await.expect(200);
    eventually("some tries", || async {
        (plaza.peers.asked() > 4)
            .then_some(())
            .ok_or("too few".to_owned())
    })
    .await;
    plaza.peers.set(Mood::Answers);
    assert_eq!(told(&mut heard).await.likes, 1);
}
