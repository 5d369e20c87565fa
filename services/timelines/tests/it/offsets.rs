//! Lists are paged by an offset too, as the microblog's clients do it.

use serde_json::json;

use crate::helpers::{Backend, NO_REDIS, Person, Plaza, ids, next_page};

crate::on_each_store![
    s2_23_a_client_that_counts_sees_each_post_once_and_an_end,
    s2_24_all_posts_are_paged_by_an_offset,
    s2_25_a_home_timeline_is_paged_by_an_offset_wherever_it_comes_from,
    s2_25_an_offset_counts_posts_and_not_the_places_of_deleted_ones,
    an_offset_out_of_bounds_is_refused,
    a_username_of_50_characters_has_a_timeline,
];

/// All pages by an offset, up to the first one that is empty.
async fn counted(plaza: &Plaza, who: &Person, path: &str, limit: usize) -> Vec<i64> {
    let (mut all, mut offset) = (Vec::new(), 0);
    loop {
        let path = format!("{path}?limit={limit}&offset={offset}");
        let page = ids(plaza.get_as(who, &path).await.expect(200));
        if page.is_empty() {
            return all;
        }
        assert!(page.len() <= limit && all.len() < 100, "{page:?}");
        all.extend(page);
        offset += limit;
    }
}

async fn s2_23_a_client_that_counts_sees_each_post_once_and_an_end(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let of_ada = plaza.many_written(&ada, 5).await;
    plaza.many_written(&grace, 2).await;
    let path = format!("/posts/{}", ada.username);
    for limit in [1, 2, 5, 7] {
        assert_eq!(
            counted(&plaza, &grace, &path, limit).await,
            of_ada,
            "{limit}"
        );
    }
    let page = plaza.get(&format!("{path}?limit=2&offset=1")).await;
    assert_eq!(ids(page.expect(200)), of_ada[1..3]);
    let next = plaza.get(next_page(&page)).await;
    assert_eq!(ids(next.expect(200)), of_ada[3..]);
}

async fn s2_24_all_posts_are_paged_by_an_offset(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (ada, grace) = (plaza.person(), plaza.person());
    let older = plaza.many_written(&ada, 3).await;
    let newer = plaza.many_written(&grace, 3).await;
    let all = [newer, older].concat();
    assert_eq!(counted(&plaza, &ada, "/posts", 4).await, all);
    let beyond = plaza.get("/posts?offset=10000").await;
    assert_eq!(beyond.expect(200), &json!([]));
}

/// Without Redis, from a full one, and from one that holds the newest alone.
async fn s2_25_a_home_timeline_is_paged_by_an_offset_wherever_it_comes_from(backend: Backend) {
    for flags in [
        &["--redis-url", NO_REDIS][..],
        &[],
        &["--home-size", "3"],
        &["--fan-out-limit", "0"],
    ] {
        let plaza = Plaza::start_with(backend, flags).await;
        let (reader, ada, grace) = (plaza.person(), plaza.person(), plaza.person());
        plaza.follow(&reader, &ada).await;
        plaza.follow(&reader, &grace).await;
        let older = plaza.many_written(&ada, 4).await;
        let newer = plaza.many_written(&grace, 3).await;
        let all = [newer, older].concat();
        plaza.sees(&reader, &all).await;
        let path = format!("/posts/home/{}", reader.username);
        for limit in [1, 3, 10] {
            assert_eq!(
                counted(&plaza, &reader, &path, limit).await,
                all,
                "{flags:?}"
            );
        }
        let page = plaza
            .get_as(&reader, &format!("{path}?limit=2&offset=3"))
            .await;
        assert_eq!(ids(page.expect(200)), all[3..5], "{flags:?}");
        let next = plaza.get_as(&reader, next_page(&page)).await;
        assert_eq!(ids(next.expect(200)), all[5..], "{flags:?}");
    }
}

async fn s2_25_an_offset_counts_posts_and_not_the_places_of_deleted_ones(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let (reader, ada) = (plaza.person(), plaza.person());
    plaza.follow(&reader, &ada).await;
    let mut posts = plaza.many_written(&ada, 6).await;
    plaza.sees(&reader, &posts).await;
    for gone in [posts.remove(4), posts.remove(1)] {
        let path = format!("/posts/id/{gone}");
        plaza.delete_as(&ada, &path).await.expect(200);
    }
    let path = format!("/posts/home/{}?limit=2&offset=1", reader.username);
    let page = plaza.get_as(&reader, &path).await;
    assert_eq!(ids(page.expect(200)), posts[1..3]);
}

async fn an_offset_out_of_bounds_is_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let ada = plaza.person();
    for path in [
        "/posts".to_owned(),
        format!("/posts/{}", ada.username),
        format!("/posts/home/{}", ada.username),
    ] {
        for bad in ["-1", "10001", "x", "1.5", "99999999999999999999"] {
            let path = format!("{path}?limit=2&offset={bad}");
            let refused = plaza.get_as(&ada, &path).await;
            assert!(refused.problem(422).contains("offset"), "{}", refused.text);
        }
    }
}

async fn a_username_of_50_characters_has_a_timeline(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let mut ada = plaza.person();
    ada.username = format!("{:x<50}", ada.username);
    plaza.users.know(ada.id, &ada.username);
    let path = format!("/posts/{}", ada.username);
    assert_eq!(plaza.get(&path).await.expect(200), &json!([]));
    let post = plaza.written(&ada, "Hello").await;
    assert_eq!(ids(plaza.get(&path).await.expect(200)), [post]);
    let home = format!("/posts/home/{}", ada.username);
    plaza.get_as(&ada, &home).await.expect(200);
    let longer = plaza.get(&format!("{path}x")).await;
    longer.problem(404);
}
