//! Home timelines.

use std::time::Duration;

use chassis::clock;
use messaging::events::PostCreated;
use reqwest::Method;
use serde_json::Value;
use testkit::eventually;

use crate::{
    helpers::{Backend, Plaza},
    teller::Teller,
};

crate::on_each_store![
    s2_25_shows_the_posts_of_those_whom_one_follows,
    s2_25_following_and_unfollowing_change_it,
    s2_25_a_late_event_does_not_undo_a_later_one,
    a_change_counts_by_its_version_whatever_the_clock_of_its_writer_says,
    s2_25_pages_reach_past_what_redis_keeps,
    s2_25_a_delivery_that_comes_late_hides_nothing,
    s2_25_authors_with_many_followers_are_merged_when_it_is_read,
    s2_25_deleted_posts_leave_no_gap,
    s2_25_two_instances_show_the_same,
    d19_a_home_timeline_is_its_owners_alone,
];

async fn s2_25_shows_the_posts_of_those_whom_one_follows(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada, grace) = (plaza.person(), plaza.person(), plaza.person());
    assert_eq!(plaza.home(&reader).await, [0; 0]);
    let before = plaza.written(&ada, "before").await;
    plaza.follow(&reader, &ada).await;
    assert_eq!(plaza.home(&reader).await, [before]);
    plaza.written(&reader, "one's own").await;
    plaza.written(&grace, "a stranger's").await;
    let after = plaza.written(&ada, "after").await;
    plaza.delivered(&reader, after).await;
    assert_eq!(plaza.cached(&reader).await.unwrap(), [0, before, after]);
    assert_eq!(plaza.home(&reader).await, [after, before]);
    let path = format!("/posts/home/{}", reader.username);
    let home = plaza.get_as(&reader, &path).await;
    let post = plaza.get(&format!("/posts/id/{after}")).await;
    assert_eq!(&home.expect(200)[0], post.expect(200));
}

async fn s2_25_following_and_unfollowing_change_it(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada, grace) = (plaza.person(), plaza.person(), plaza.person());
    let of_ada = plaza.written(&ada, "by Ada").await;
    let of_grace = plaza.written(&grace, "by Grace").await;
    plaza.follow(&reader, &ada).await;
    assert_eq!(plaza.home(&reader).await, [of_ada]);
    plaza.follow(&reader, &grace).await;
    assert_eq!(plaza.home(&reader).await, [of_grace, of_ada]);
    plaza.unfollow(&reader, &ada).await;
    assert_eq!(plaza.home(&reader).await, [of_grace]);
    plaza.written(&ada, "not for this reader").await;
    let last = plaza.written(&grace, "more by Grace").await;
    plaza.sees(&reader, &[last, of_grace]).await;
}

async fn s2_25_a_late_event_does_not_undo_a_later_one(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada, grace) = (plaza.person(), plaza.person(), plaza.person());
    plaza.written(&ada, "by Ada").await;
    let now = clock::now();
    plaza.unfollow(&reader, &ada).await;
    let earlier = now - Duration::from_secs(5);
    plaza.change(&reader, &ada, true, earlier).await;
    // Events of one follower are handled in order: with this one, the late one is handled too.
    plaza.follow(&reader, &grace).await;
    assert_eq!(plaza.home(&reader).await, [0; 0]);
    plaza.follow(&reader, &ada).await;
    assert_eq!(plaza.home(&reader).await.len(), 1);
}

async fn a_change_counts_by_its_version_whatever_the_clock_of_its_writer_says(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada, grace) = (plaza.person(), plaza.person(), plaza.person());
    plaza.written(&ada, "by Ada").await;
    let (now, back) = (clock::now(), clock::now() - Duration::from_hours(1));
    let first = now.timestamp_micros();
    let change =
        |following, time, version| plaza.change_by(&reader, &ada, following, time, Some(version));
    change(true, now, first).await;
    plaza.knows(&reader, &ada, true).await;
    // The clock was set back, and the reader does not want to read this any more.
    change(false, back, first + 1).await;
    plaza.knows(&reader, &ada, false).await;
    assert_eq!(plaza.home(&reader).await, [0; 0]);
    change(true, back, first + 3).await;
    plaza.knows(&reader, &ada, true).await;
    // What comes late counts no more, though the clock was ahead when it was written.
    let ahead = now + Duration::from_hours(1);
    change(false, ahead, first + 2).await;
    plaza.follow(&reader, &grace).await;
    assert_eq!(plaza.home(&reader).await.len(), 1);
    // An older instance of `users` has no versions.
    let later = clock::now() + Duration::from_secs(1);
    plaza.change(&reader, &ada, false, later).await;
    plaza.knows(&reader, &ada, false).await;
}

async fn s2_25_pages_reach_past_what_redis_keeps(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--home-size", "6"]).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let mut all = plaza.many_written(&ada, 10).await;
    let path = format!("/posts/home/{}", reader.username);
    for limit in [1, 4, 6, 10, 50] {
        assert_eq!(plaza.pages(&reader, &path, limit).await, all, "{limit}");
    }
    assert_eq!(plaza.cached(&reader).await.unwrap().len(), 6);
    for post in plaza.many_written(&ada, 4).await.into_iter().rev() {
        all.insert(0, post);
    }
    plaza.delivered(&reader, all[0]).await;
    for limit in [1, 4, 50] {
        assert_eq!(plaza.pages(&reader, &path, limit).await, all, "{limit}");
    }
    assert_eq!(plaza.cached(&reader).await.unwrap().len(), 6);
}

async fn s2_25_a_delivery_that_comes_late_hides_nothing(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--home-size", "4"]).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let mut all = plaza.many_written(&ada, 8).await;
    plaza.sees(&reader, &all).await;
    // Redis keeps fewer now than it may, so that there would be room for an old one.
    plaza
        .delete_as(&ada, &format!("/posts/id/{}", all.remove(1)))
        .await
        .expect(200);
    plaza.sees(&reader, &all).await;
    let teller = Teller::start("timelines", &plaza.amqp, &plaza.service.context).await;
    let mut again = PostCreated {
        post_id: *all.last().unwrap(),
        user_id: ada.id,
        username: ada.username.clone(),
    };
    teller.tell(&again, clock::now()).await;
    let newest = plaza.written(&ada, "the newest").await;
    again.post_id = newest;
    teller.tell(&again, clock::now()).await;
    all.insert(0, newest);
    plaza.delivered(&reader, newest).await;
    let path = format!("/posts/home/{}", reader.username);
    for limit in [2, 50] {
        assert_eq!(plaza.pages(&reader, &path, limit).await, all, "{limit}");
    }
}

async fn s2_25_authors_with_many_followers_are_merged_when_it_is_read(backend: Backend) {
    let plaza = Plaza::start_with(backend, &["--fan-out-limit", "2"]).await;
    let (reader, star, ada) = (plaza.person(), plaza.person(), plaza.person());
    for author in [&star, &ada] {
        plaza.follow(&reader, author).await;
    }
    let mut all = vec![plaza.written(&star, "known to few").await];
    plaza.sees(&reader, &all).await;
    let (second, third) = (plaza.person(), plaza.person());
    for follower in [&second, &third] {
        plaza.follow(follower, &star).await;
    }
    for number in 0..6 {
        let author = if number % 2 == 0 { &star } else { &ada };
        all.insert(0, plaza.written(author, &number.to_string()).await);
        plaza.sees(&reader, &all).await;
    }
    let stars = plaza.rows("SELECT user_id FROM stars", []).await;
    assert_eq!(stars.unwrap().len(), 1);
    assert!(
        !plaza.cached(&reader).await.unwrap().contains(&all[1]),
        "a star's posts are not written into home timelines"
    );
    // Whoever was a star stays one: what was not delivered would be lost.
    plaza.unfollow(&second, &star).await;
    plaza.unfollow(&third, &star).await;
    all.insert(0, plaza.written(&star, "few again").await);
    plaza.sees(&reader, &all).await;
    let path = format!("/posts/home/{}", reader.username);
    assert_eq!(plaza.pages(&reader, &path, 2).await, all);
    plaza.unfollow(&reader, &star).await;
    let of_ada: Vec<i64> = [2, 4, 6].map(|place| all[place - 1]).to_vec();
    plaza.sees(&reader, &of_ada).await;
}

async fn s2_25_deleted_posts_leave_no_gap(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let mut all = plaza.many_written(&ada, 60).await;
    plaza.sees(&reader, &all[..50]).await;
    for _ in 0..55 {
        let path = format!("/posts/id/{}", all.remove(0));
        plaza.delete_as(&ada, &path).await.expect(200);
    }
    let path = format!("/posts/home/{}", reader.username);
    assert_eq!(plaza.pages(&reader, &path, 5).await, all);
    // A delivery that comes after its post was deleted is forgotten at the next look.
    eventually("they are forgotten", || async {
        assert_eq!(plaza.pages(&reader, &path, 5).await, all);
        match plaza.cached(&reader).await?.len() {
            6 => Ok(()),
            others => Err(format!("{others} are left")),
        }
    })
    .await;
}

async fn s2_25_two_instances_show_the_same(backend: Backend) {
    let one = Plaza::start(backend).await;
    let other = one.another(&[]).await;
    let (reader, ada) = (one.person(), one.person());
    one.follow(&reader, &ada).await;
    let mut all = Vec::new();
    for number in 0..6 {
        let plaza = if number % 2 == 0 { &one } else { &other };
        all.insert(0, plaza.written(&ada, &number.to_string()).await);
        other.sees(&reader, &all).await;
        one.sees(&reader, &all).await;
    }
    one.unfollow(&reader, &ada).await;
    for plaza in [&one, &other] {
        assert_eq!(plaza.home(&reader).await, [0; 0]);
    }
}

async fn d19_a_home_timeline_is_its_owners_alone(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let path = format!("/posts/home/{}", ada.username);
    plaza.get_as(&ada, &path).await.expect(200);
    let other_case = format!("/posts/home/{}", ada.username.to_uppercase());
    plaza.get_as(&ada, &other_case).await.expect(200);
    plaza.get_as(&grace, &path).await.problem(403);
    plaza
        .get_as(&grace, "/posts/home/nobody-of-this-name")
        .await
        .problem(403);
    let anonymous = plaza.service.call(Method::GET, &path, "", &Value::Null);
    anonymous.await.problem(401);
}
