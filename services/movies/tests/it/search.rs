//! Searching.

use sea_orm::{ConnectionTrait as _, Database};

use crate::helpers::{Backend, Plaza, movie, next, rated, titles};

crate::on_each_store![
    d21_a_part_of_the_title_in_any_case_and_alphabet,
    d21_signs_of_patterns_mean_themselves,
    d21_the_genre_is_whole_and_in_any_case,
    s3_14_ratings_are_between_bounds,
    s3_14_filters_are_all_optional_and_all_hold,
    s3_14_what_changed_is_found_by_its_new_title_only,
    s3_14_pages_keep_the_question,
    s3_45_a_bad_question_is_refused,
    titles_are_found_in_any_case_and_composition,
    titles_of_yesterday_are_found_today,
];

/// The titles that a search finds, sorted.
async fn found(plaza: &Plaza, query: &[(&str, &str)]) -> Vec<String> {
    let request = plaza
        .service
        .request(reqwest::Method::GET, "/api/movies/search");
    let reply = testkit::send(request.query(query)).await;
    let mut titles = titles(&reply.expect(200)["data"]);
    titles.sort();
    titles
}

async fn with_titles(backend: Backend, titles: &[&str]) -> Plaza {
    let plaza = Plaza::start(backend).await;
    for title in titles {
        plaza.movie(&movie(title)).await;
    }
    plaza
}

async fn d21_a_part_of_the_title_in_any_case_and_alphabet(backend: Backend) {
    let titles = [
        "Alien",
        "ALIENS",
        "Le Fabuleux Destin d'Amélie",
        "ОСТРОВ",
        "Das weiße Band",
        "七人の侍",
    ];
    let plaza = with_titles(backend, &titles).await;
    for (part, expected) in [
        ("alien", &["ALIENS", "Alien"][..]),
        ("LIEN", &["ALIENS", "Alien"]),
        ("aliens", &["ALIENS"]),
        (
            "s",
            &["ALIENS", "Das weiße Band", "Le Fabuleux Destin d'Amélie"],
        ),
        ("sT", &["Le Fabuleux Destin d'Amélie"]),
        ("AMÉLIE", &["Le Fabuleux Destin d'Amélie"]),
        ("d'Amélie", &["Le Fabuleux Destin d'Amélie"]),
        ("остров", &["ОСТРОВ"]),
        ("ОСТ", &["ОСТРОВ"]),
        ("WEISSE", &["Das weiße Band"]),
        ("  band ", &["Das weiße Band"]),
        ("侍", &["七人の侍"]),
        ("人の侍", &["七人の侍"]),
        ("alien s", &[]),
        ("snake", &[]),
    ] {
        assert_eq!(found(&plaza, &[("title", part)]).await, expected, "{part}");
    }
}

async fn titles_are_found_in_any_case_and_composition(backend: Backend) {
    let title = "Die Straße zum Cafe\u{301}";
    let plaza = with_titles(backend, &[title]).await;
    for part in [
        "straße",
        "STRASSE",
        "STRA\u{1e9e}E",
        "CAFE\u{301}",
        "Caf\u{e9}",
        "stra\u{ad}sse",
        "zum",
    ] {
        let kept = "Die Straße zum Caf\u{e9}";
        assert_eq!(found(&plaza, &[("title", part)]).await, [kept], "{part}");
        let empty = [
            ("title", part),
            ("genre", ""),
            ("min_rating", ""),
            ("kind", ""),
        ];
        assert_eq!(found(&plaza, &empty).await, [kept], "{part}");
    }
    let empty = [("title", ""), ("limit", ""), ("cursor", "")];
    assert_eq!(found(&plaza, &empty).await.len(), 1);
}

async fn titles_of_yesterday_are_found_today(backend: Backend) {
    let plaza = with_titles(backend, &["Stra\u{df}e", "Caf\u{e9}", "Alien"]).await;
    assert_eq!(found(&plaza, &[("title", "strasse")]).await.len(), 1);
    let rows = Database::connect(plaza.store_url()).await.unwrap();
    // As the release before kept them.
    for statement in [
        "UPDATE movies SET title = 'STRA\u{1e9e}E', title_key = 'stra\u{df}e' WHERE title = 'Stra\u{df}e'",
        "UPDATE movies SET title = 'Cafe\u{301}', title_key = 'cafe\u{301}', genre = 'E\u{301}t', \
         genre_key = 'e\u{301}t' WHERE title = 'Caf\u{e9}'",
        "DELETE FROM schema_steps WHERE version = 'm0004_folded_keys'",
    ] {
        rows.execute_unprepared(statement).await.unwrap();
    }
    let today = plaza.another().await;
    assert_eq!(
        found(&today, &[("title", "strasse")]).await,
        ["STRA\u{1e9e}E"]
    );
    for query in [("title", "CAF\u{c9}"), ("genre", "\u{c9}T")] {
        assert_eq!(found(&today, &[query]).await, ["Cafe\u{301}"]);
    }
    assert_eq!(found(&today, &[("title", "ALIEN")]).await, ["Alien"]);
}

async fn d21_signs_of_patterns_mean_themselves(backend: Backend) {
    let titles = [
        "100% Wolf",
        "100 Wolves",
        "snake_case",
        "snakeXcase",
        r"C:\Alien",
        "\"Quoted\" OR",
        "a*b?[c]",
    ];
    let plaza = with_titles(backend, &titles).await;
    for (part, expected) in [
        ("%", &["100% Wolf"][..]),
        ("100%", &["100% Wolf"]),
        ("0% w", &["100% Wolf"]),
        ("_", &["snake_case"]),
        ("snake_case", &["snake_case"]),
        ("\\", &[r"C:\Alien"]),
        (":\\a", &[r"C:\Alien"]),
        ("\"", &["\"Quoted\" OR"]),
        ("\"quoted\" or", &["\"Quoted\" OR"]),
        ("quoted OR wolf", &[]),
        ("a*b?[c]", &["a*b?[c]"]),
        ("*", &["a*b?[c]"]),
        ("wolf*", &[]),
        ("title_key:wolf", &[]),
        ("' OR 1=1 --", &[]),
    ] {
        assert_eq!(found(&plaza, &[("title", part)]).await, expected, "{part}");
    }
}

async fn d21_the_genre_is_whole_and_in_any_case(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    plaza.movie(&rated("one", 5.0, "Science Fiction")).await;
    plaza.movie(&rated("two", 5.0, "Science")).await;
    plaza.movie(&rated("three", 5.0, "ÉPOPÉE")).await;
    for (genre, expected) in [
        ("science fiction", &["one"][..]),
        ("SCIENCE", &["two"]),
        ("épopée", &["three"]),
        ("fiction", &[]),
        ("%", &[]),
        ("", &["one", "three", "two"]),
    ] {
        assert_eq!(
            found(&plaza, &[("genre", genre)]).await,
            expected,
            "{genre}"
        );
    }
}

async fn s3_14_ratings_are_between_bounds(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for rating in [0.0, 5.0, 8.55, 10.0] {
        plaza
            .movie(&rated(&rating.to_string(), rating, "Drama"))
            .await;
    }
    for (min, max, expected) in [
        ("", "", &["0", "10", "5", "8.55"][..]),
        ("8.55", "", &["10", "8.55"]),
        ("8.551", "", &["10"]),
        ("", "8.55", &["0", "5", "8.55"]),
        ("", "8.549", &["0", "5"]),
        ("5", "5.0", &["5"]),
        ("0", "10", &["0", "10", "5", "8.55"]),
        (" 1e1", "", &["10"]),
        ("0.5", "1", &[]),
    ] {
        let query = [("min_rating", min), ("max_rating", max)];
        assert_eq!(found(&plaza, &query).await, expected, "{min} to {max}");
    }
}

async fn s3_14_filters_are_all_optional_and_all_hold(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for (title, rating, genre) in [
        ("Alien", 8.5, "Horror"),
        ("Alien 3", 6.4, "Horror"),
        ("Alien Nation", 8.6, "Drama"),
        ("The Thing", 8.2, "Horror"),
    ] {
        plaza.movie(&rated(title, rating, genre)).await;
    }
    let mut show = rated("Alien: Earth", 8.7, "Horror");
    show["kind"] = "tv_show".into();
    plaza.movie(&show).await;
    assert_eq!(found(&plaza, &[]).await.len(), 5);
    let query = [
        ("title", "ALIEN"),
        ("genre", "horror"),
        ("min_rating", "7"),
        ("max_rating", "9"),
    ];
    assert_eq!(found(&plaza, &query).await, ["Alien", "Alien: Earth"]);
    for (kind, expected) in [("movie", "Alien"), ("tv_show", "Alien: Earth")] {
        let with_kind: Vec<_> = query.into_iter().chain([("kind", kind)]).collect();
        assert_eq!(found(&plaza, &with_kind).await, [expected]);
    }
}

async fn s3_14_what_changed_is_found_by_its_new_title_only(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let id = plaza.movie(&movie("Blade Runner")).await;
    let path = format!("/api/movies/{id}");
    plaza
        .put(crate::helpers::ANNA, &path, &movie("Soldier"))
        .await
        .expect(200);
    assert!(found(&plaza, &[("title", "blade")]).await.is_empty());
    assert_eq!(found(&plaza, &[("title", "soldier")]).await, ["Soldier"]);
    plaza.delete(crate::helpers::ANNA, &path).await.expect(200);
    assert!(found(&plaza, &[("title", "soldier")]).await.is_empty());
}

async fn s3_14_pages_keep_the_question(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    for number in 0..5 {
        plaza.movie(&movie(&format!("Alien & {number}"))).await;
        plaza.movie(&movie(&format!("Other {number}"))).await;
    }
    let (mut seen, mut path) = (
        Vec::new(),
        "/api/movies/search?title=alien+%26&limit=2".to_owned(),
    );
    for page in 0.. {
        assert!(page < 3, "pages without end");
        let reply = plaza.get(&path).await;
        seen.extend(titles(&reply.expect(200)["data"]));
        match next(&reply) {
            Some(next) => path = next,
            None => break,
        }
    }
    assert_eq!(
        seen,
        [
            "Alien & 4",
            "Alien & 3",
            "Alien & 2",
            "Alien & 1",
            "Alien & 0"
        ]
    );
}

async fn s3_45_a_bad_question_is_refused(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let long = format!("title={}", "x".repeat(201));
    for (query, status) in [
        ("min_rating=high", 400),
        ("max_rating=NaN", 400),
        ("min_rating=inf", 400),
        ("max_rating=8,5", 400),
        ("min_rating=11", 422),
        ("max_rating=-1", 422),
        ("min_rating=9&max_rating=8", 422),
        ("kind=play", 422),
        ("title=a%00b", 422),
        ("genre=%00", 422),
        (long.as_str(), 422),
        ("limit=0", 400),
        ("cursor=x", 400),
    ] {
        let reply = plaza.get(&format!("/api/movies/search?{query}")).await;
        reply.problem(status);
    }
    let no_text = plaza.get("/api/movies/search?title=%ff%fe").await;
    no_text.problem(400);
}
