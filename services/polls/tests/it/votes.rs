//! One vote a user, and right counts, whatever happens at once.

use futures_util::future::join_all;
use mongodb::{Client, bson::doc};
use serde_json::json;

use crate::{
    helpers::{ANNA, BEN, Backend, Plaza},
    on_each_store,
};

on_each_store!(
    d19_the_second_vote_of_a_user_is_409_and_changes_nothing,
    d19_of_votes_of_one_user_at_once_one_counts,
    s2_33_votes_at_once_by_two_instances_are_all_counted,
    s2_33_a_vote_that_was_cut_off_is_counted_once_when_it_is_repeated,
);

async fn d19_the_second_vote_of_a_user_is_409_and_changes_nothing(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let poll = plaza.poll(&["a", "b"]).await;
    plaza.vote(BEN, &poll, 0).await.expect(200);
    for choice in [0, 1] {
        let again = plaza.vote(BEN, &poll, choice).await;
        assert_eq!(again.problem(409), "You have voted in this poll already");
        plaza
            .another()
            .await
            .vote(BEN, &poll, choice)
            .await
            .problem(409);
    }
    plaza.vote(ANNA, &poll, 0).await.expect(200);
    plaza.vote(BEN, &poll, 0).await.problem(409);
    assert_eq!(plaza.counts(&poll).await, json!([2, 0]));
}

async fn d19_of_votes_of_one_user_at_once_one_counts(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let poll = one.poll(&["a", "b"]).await;
    let votes = (0..20).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        plaza.vote(BEN, &poll, number % 2)
    });
    let votes = join_all(votes).await;
    let counted = votes.iter().filter(|vote| vote.status == 200).count();
    let refused = votes.iter().filter(|vote| vote.status == 409).count();
    assert_eq!((counted, refused), (1, 19));
    let counts = one.counts(&poll).await;
    assert!(
        counts == json!([1, 0]) || counts == json!([0, 1]),
        "{counts}"
    );
}

async fn s2_33_votes_at_once_by_two_instances_are_all_counted(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another().await;
    let poll = one.poll(&["a", "b", "c"]).await;
    let votes = (0..60).map(|number| {
        let plaza = if number % 2 == 0 { &one } else { &other };
        plaza.vote(100 + number, &poll, number % 3)
    });
    for vote in join_all(votes).await {
        vote.expect(200);
    }
    let late = one.another().await;
    for plaza in [&one, &other, &late] {
        assert_eq!(plaza.counts(&poll).await, json!([20, 20, 20]));
    }
}

async fn s2_33_a_vote_that_was_cut_off_is_counted_once_when_it_is_repeated(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let poll = plaza.poll(&["a", "b"]).await;
    for voter in 100..103 {
        plaza.vote(voter, &poll, 0).await.expect(200);
    }
    // What `kill -9` between the two inserts of a vote leaves behind.
    let client = Client::with_uri_str(&plaza.url).await.unwrap();
    let ballots = client.database(&plaza.database).collection("ballots");
    for user in [ANNA, BEN] {
        let ballot = doc! { "_id": format!("{poll}/{user}"), "choice": 1_i64, "after": 2_i64 };
        ballots.insert_one(ballot).await.unwrap();
    }
    assert_eq!(plaza.counts(&poll).await, json!([3, 0]));

    let other = plaza.another().await;
    let repeats = (0..10).map(|number| {
        let plaza = if number % 2 == 0 { &plaza } else { &other };
        plaza.vote(BEN, &poll, 1)
    });
    for repeat in join_all(repeats).await {
        repeat.problem(409);
    }
    assert_eq!(other.counts(&poll).await, json!([3, 1]));
    plaza.vote(ANNA, &poll, 0).await.problem(409);
    assert_eq!(other.counts(&poll).await, json!([3, 2]));
    plaza.vote(ANNA, &poll, 1).await.problem(409);
    assert_eq!(plaza.counts(&poll).await, json!([3, 2]));
}
