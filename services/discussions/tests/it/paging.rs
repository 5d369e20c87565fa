use crate::{
    helpers::{ANNA, BEN, Backend, Plaza, members, next_page, post},
    on_each_store,
};

on_each_store!(
    d7_posts_come_in_pages_newest_first,
    d7_posts_come_in_pages_beyond_what_is_in_memory,
    d7_filters_stay_in_the_link,
    d7_comments_come_in_pages_newest_first,
    s0_08_a_post_says_how_many_comments_it_has_and_leads_to_all_of_them,
    d7_new_posts_do_not_shift_a_page,
);

/// Follows the links to the end; one member of all items.
async fn walk(plaza: &Plaza, start: &str, member: &str) -> Vec<String> {
    let (mut path, mut all, mut pages) = (start.to_owned(), Vec::new(), 0);
    while !path.is_empty() {
        let page = plaza.get(&path).await;
        all.extend(members(page.expect(200), member));
        next_page(&page).clone_into(&mut path);
        pages += 1;
        assert!(pages < 20, "the list does not end");
    }
    all
}

async fn d7_posts_come_in_pages_newest_first(backend: Backend) {
    posts_come_in_pages(Plaza::start(backend).await).await;
}

async fn d7_posts_come_in_pages_beyond_what_is_in_memory(backend: Backend) {
    posts_come_in_pages(Plaza::start_with(backend, &["--recent-posts", "4"]).await).await;
}

async fn posts_come_in_pages(plaza: Plaza) {
    let mut written = Vec::new();
    for number in 0..10 {
        let author = if number % 3 == 0 { BEN } else { ANNA };
        written.push(plaza.written(author, &post(&number.to_string())).await);
    }
    written.reverse();
    assert_eq!(plaza.listed("/api/posts", "post_id").await, written);
    for limit in [1, 2, 3, 4, 5, 9, 10, 11] {
        let path = format!("/api/posts?limit={limit}");
        assert_eq!(
            walk(&plaza, &path, "post_id").await,
            written,
            "limit {limit}"
        );
    }
    let last = plaza.get("/api/posts?limit=10").await;
    assert_eq!(next_page(&last), "", "nothing follows");
    assert_eq!(
        walk(&plaza, "/api/posts?user_id=8&limit=3", "title").await,
        ["9", "6", "3", "0"]
    );
    let again = plaza.another().await;
    assert_eq!(walk(&again, "/api/posts?limit=3", "post_id").await, written);
}

async fn d7_filters_stay_in_the_link(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for number in 0..6 {
        let mut body = post(&number.to_string());
        body["car_model"] = if number % 2 == 0 { "A & B/c" } else { "Polo" }.into();
        plaza.written(ANNA, &body).await;
    }
    let titles = walk(&plaza, "/api/posts?car_model=a+%26+b%2Fc&limit=1", "title").await;
    assert_eq!(titles, ["4", "2", "0"]);
}

async fn d7_comments_come_in_pages_newest_first(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let post = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{post}/comments");
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(plaza.commented(ANNA, &post, &number.to_string()).await);
    }
    for gone in [0, 3, 6] {
        plaza
            .delete_as(ANNA, &format!("{path}/{}", ids[gone]))
            .await
            .expect(200);
    }
    for limit in [1, 2, 3, 4, 5] {
        let texts = walk(&plaza, &format!("{path}?limit={limit}"), "comment_text").await;
        assert_eq!(texts, ["5", "4", "2", "1"], "limit {limit}");
    }
}

async fn s0_08_a_post_says_how_many_comments_it_has_and_leads_to_all_of_them(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    let path = format!("/api/posts/{id}");
    assert_eq!(plaza.get(&path).await.expect(200)["comment_count"], 0);
    let mut said = Vec::new();
    for number in 0..203 {
        said.insert(0, plaza.commented(BEN, &id, &number.to_string()).await);
    }
    let first = plaza.get(&path).await;
    assert_eq!(first.expect(200)["comment_count"], 203);
    assert_eq!(members(&first.json["comments"], "comment_id"), said[..200]);
    let rest = plaza.get(next_page(&first)).await;
    assert_eq!(rest.expect(200)["comment_count"], 203);
    assert_eq!(members(&rest.json["comments"], "comment_id"), said[200..]);
    assert_eq!(next_page(&rest), "");
    for gone in [said.remove(202), said.remove(100), said.remove(0)] {
        let path = format!("{path}/comments/{gone}");
        plaza.delete_as(BEN, &path).await.expect(200);
    }
    let other = plaza.another().await;
    for plaza in [&plaza, &other] {
        let mut next = format!("{path}?limit=70");
        let mut seen = Vec::new();
        while !next.is_empty() {
            let page = plaza.get(&next).await;
            assert_eq!(page.expect(200)["comment_count"], 200);
            seen.extend(members(&page.json["comments"], "comment_id"));
            next_page(&page).clone_into(&mut next);
        }
        assert_eq!(seen, said);
    }
    for bad in ["limit=0", "cursor=x", "offset=1"] {
        plaza.get(&format!("{path}?{bad}")).await.problem(400);
    }
}

async fn d7_new_posts_do_not_shift_a_page(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for title in ["1", "2", "3", "4"] {
        plaza.written(ANNA, &post(title)).await;
    }
    let first = plaza.get("/api/posts?limit=2").await;
    let deleted = first.json[1]["post_id"].as_str().unwrap();
    plaza.written(ANNA, &post("5")).await;
    plaza
        .delete_as(ANNA, &format!("/api/posts/{deleted}"))
        .await
        .expect(200);
    assert_eq!(plaza.listed(next_page(&first), "title").await, ["2", "1"]);
}
