//! Claim: every row of the contracts that `movies` answers holds through the ingress.

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use testkit::{
    Mesh, Reply, eventually,
    mesh::{PASSWORD, Person},
    stores, unique,
};

fn movie(title: &str) -> Value {
    json!({
        "title": title, "description": "In space", "rating": 8.5, "genre": "Horror",
        "poster_url": "https://example.com/a.png", "release_date": "1979-05-25",
    })
}

async fn call(person: &Person, method: Method, path: &str, body: &Value) -> Reply {
    Mesh::current()
        .call(method, path, &person.token, body)
        .await
}

/// Enters a movie; its path.
async fn entered(person: &Person, body: &Value) -> String {
    let reply = call(person, Method::POST, "/api/movies", body).await;
    let id = reply.expect(201)["id"].as_i64().unwrap();
    assert_eq!(reply.json, json!({"message": "Movie created", "id": id}));
    format!("/api/movies/{id}")
}

async fn reviewed(person: &Person, movie: &str, rating: i64) -> String {
    let body = json!({"title": "Loud", "body": "In space?", "rating": rating});
    let path = format!("{movie}/reviews");
    let reply = call(person, Method::POST, &path, &body).await;
    format!("{path}/{}", reply.expect(201)["id"])
}

fn ids(movies: &Value) -> Vec<i64> {
    let movies = movies.as_array().unwrap().iter();
    movies.map(|movie| movie["id"].as_i64().unwrap()).collect()
}

fn id(path: &str) -> i64 {
    path.rsplit('/').next().unwrap().parse().unwrap()
}

/// Asks again until the answer is from the cache: other tests write meanwhile.
async fn cached(path: &str) -> Value {
    eventually("an answer from the cache", || async {
        let reply = Mesh::current().get(path).await;
        let answer = reply.expect(200).clone();
        match answer["message"].as_str() {
            Some("Results retrieved from cache") => Ok(answer["data"].clone()),
            Some("Results retrieved from database") => Err("from the database".into()),
            other => panic!("{other:?}"),
        }
    })
    .await
}

#[tokio::test]
async fn s3_03_status_asks_the_database() {
    let reply = Mesh::current().get("/api/movies/status").await;
    assert_eq!(
        reply.expect(200),
        &json!({"status": "OK", "database": "Connected"})
    );
}

#[tokio::test]
async fn s3_10_to_s3_12_list_and_read_movies() {
    let mesh = Mesh::current();
    let anna = mesh.person().await;
    let (first, second) = (
        entered(&anna, &movie("First")).await,
        entered(&anna, &movie("Second")).await,
    );
    let listed = mesh.get("/api/movies?limit=200").await;
    let movies = listed.expect(200);
    let listed = ids(movies);
    let place = |path: &str| listed.iter().position(|known| *known == id(path)).unwrap();
    assert!(place(&second) < place(&first), "newest first");
    let shown = mesh.get(&first).await;
    for shown in [shown.expect(200), &movies[place(&first)]] {
        for (member, value) in movie("First").as_object().unwrap() {
            assert_eq!(&shown[member], value, "{member}");
        }
        assert_eq!(shown["id"], id(&first));
    }
    let missing = mesh.get("/api/movies/999999999").await;
    assert_eq!(missing.problem(404), "Movie not found");
}

#[tokio::test]
async fn s3_13_d21_popular_movies_have_the_highest_rating_then_the_most_reviews() {
    let mesh = Mesh::current();
    let anna = mesh.person().await;
    let mut best = movie("Best");
    best["rating"] = json!(9.9);
    let good = entered(&anna, &best).await;
    reviewed(&anna, &good, 10).await;
    best["rating"] = 10.into();
    let (unread, read) = (entered(&anna, &best).await, entered(&anna, &best).await);
    reviewed(&anna, &read, 1).await;
    let popular = cached("/api/movies/popular?limit=200").await;
    let popular = ids(&popular);
    let place = |path: &str| popular.iter().position(|known| *known == id(path));
    assert!(place(&read).unwrap() < place(&unread).unwrap());
    // Others of this run may push it off the page, not in front.
    assert!(place(&good).is_none_or(|good| good > place(&unread).unwrap()));
}

#[tokio::test]
async fn s3_14_search_by_title_genre_and_ratings() {
    let mesh = Mesh::current();
    let anna = mesh.person().await;
    let word = unique("word");
    let path = entered(&anna, &movie(&format!("The {word} of All"))).await;
    let part = format!("/api/movies/search?title={}", word.to_uppercase());
    for (filters, expected) in [
        ("", 1),
        ("&genre=HORROR&min_rating=8.5&max_rating=9", 1),
        ("&genre=horr", 0),
        ("&min_rating=8.51", 0),
        ("&max_rating=8.49", 0),
        ("&kind=tv_show", 0),
    ] {
        let found = mesh.get(&format!("{part}{filters}")).await;
        let found = ids(&found.expect(200)["data"]);
        assert_eq!(found, vec![id(&path); expected], "{filters}");
    }
    for (bad, status) in [("min_rating=x", 400), ("min_rating=9&max_rating=8", 422)] {
        mesh.get(&format!("/api/movies/search?{bad}"))
            .await
            .problem(status);
    }
}

#[tokio::test]
async fn s3_44_a_miss_is_from_the_database_and_the_next_from_the_cache() {
    let search = format!("/api/movies/search?title={}", unique("word"));
    let missed = Mesh::current().get(&search).await;
    assert_eq!(
        missed.expect(200),
        &json!({"message": "Results retrieved from database", "data": []})
    );
    assert_eq!(cached(&search).await, json!([]));
}

#[tokio::test]
async fn d21_search_is_never_behind_a_write_of_the_same_client() {
    let mesh = Mesh::current();
    let anna = mesh.person().await;
    let word = unique("word");
    let path = entered(&anna, &movie(&format!("The {word} of All"))).await;
    let search = format!("/api/movies/search?title={word}&min_rating=8.5");
    assert_eq!(ids(&cached(&search).await), [id(&path)]);
    for round in 0..10 {
        let mut change = movie(&format!("{word} {round}"));
        change["rating"] = json!(f64::from(round % 2) + 8.0);
        call(&anna, Method::PUT, &path, &change).await.expect(200);
        let found = mesh.get(&search).await;
        let data = &found.expect(200)["data"];
        if round % 2 == 0 {
            assert_eq!(data, &json!([]), "8.0 is below the bound");
        } else {
            assert_eq!(data[0]["title"], change["title"]);
        }
    }
}

#[tokio::test]
async fn d21_every_write_shows_in_the_next_search() {
    let mesh = Mesh::current();
    let anna = mesh.person().await;
    let word = unique("word");
    let search = format!("/api/movies/search?title={word}");
    assert_eq!(cached(&search).await, json!([]));
    let found = || async { mesh.get(&search).await.expect(200)["data"].clone() };
    let path = entered(&anna, &movie(&word)).await;
    assert_eq!(ids(&found().await), [id(&path)]);
    let review = reviewed(&anna, &path, 7).await;
    assert_eq!(found().await[0]["review_rating"], 7.0);
    let better = json!({"title": "Better", "body": "", "rating": 9});
    call(&anna, Method::PUT, &review, &better).await.expect(200);
    assert_eq!(found().await[0]["review_rating"], 9.0);
    call(&anna, Method::DELETE, &review, &Value::Null)
        .await
        .expect(200);
    assert_eq!(found().await[0]["review_count"], 0);
    call(&anna, Method::DELETE, &path, &Value::Null)
        .await
        .expect(200);
    assert_eq!(found().await, json!([]));
}

#[tokio::test]
async fn d6_reading_is_open_and_writing_is_its_owners() {
    let mesh = Mesh::current();
    let (anna, ben) = (mesh.person().await, mesh.person().await);
    let path = entered(&anna, &movie("Mine")).await;
    let review = reviewed(&anna, &path, 7).await;
    let reviews = format!("{path}/reviews");
    for path in [&path, &reviews, "/api/movies", "/api/movies/popular"] {
        mesh.get(path).await.expect(200);
    }
    let body = json!({"title": "Stolen", "body": "", "rating": 1});
    let film = movie("Stolen");
    for (method, path, body) in [
        (Method::POST, "/api/movies", &film),
        (Method::PUT, &path, &film),
        (Method::DELETE, &path, &Value::Null),
        (Method::POST, &reviews, &body),
        (Method::PUT, &review, &body),
        (Method::DELETE, &review, &Value::Null),
    ] {
        let refused = mesh.call(method.clone(), path, "", body).await;
        refused.problem(401);
        if method != Method::POST {
            call(&ben, method, path, body).await.problem(403);
        }
    }
    assert_eq!(mesh.get(&path).await.expect(200)["title"], "Mine");
    assert_eq!(mesh.get(&reviews).await.expect(200)[0]["rating"], 7.0);
}

#[tokio::test]
async fn s3_15_to_s3_17_write_change_and_delete_a_movie() {
    let mesh = Mesh::current();
    let (anna, ben) = (mesh.person().await, mesh.person().await);
    let path = entered(&anna, &movie("Mine")).await;
    for (token, status) in [(ben.token.as_str(), 403), ("", 401)] {
        let changed = mesh.call(Method::PUT, &path, token, &movie("Stolen")).await;
        changed.problem(status);
        let deleted = mesh.call(Method::DELETE, &path, token, &Value::Null).await;
        deleted.problem(status);
    }
    let changed = call(&anna, Method::PUT, &path, &movie("Still mine")).await;
    assert_eq!(
        changed.expect(200),
        &json!({"message": "Movie updated successfully"})
    );
    assert_eq!(mesh.get(&path).await.expect(200)["title"], "Still mine");
    let deleted = call(&anna, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(
        deleted.expect(200),
        &json!({"message": "Movie deleted successfully"})
    );
    for method in [Method::PUT, Method::DELETE] {
        let gone = call(&anna, method, &path, &movie("Gone")).await;
        assert_eq!(gone.problem(404), "Movie not found");
    }
}

const CLEAR: &str = "/api/movies/cache/clear";

#[tokio::test]
async fn s3_18_the_cache_is_cleared() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let search = format!("/api/movies/search?title={}", unique("word"));
    cached(&search).await;
    let reply = call(&person, Method::DELETE, CLEAR, &Value::Null).await;
    assert_eq!(
        reply.expect(200),
        &json!({"message": "All cache cleared successfully"})
    );
    let found = mesh.get(&search).await;
    assert_eq!(
        found.expect(200)["message"],
        "Results retrieved from database"
    );
}

#[tokio::test]
async fn s3_47_clearing_the_cache_needs_a_token() {
    for token in ["", "a.b.c"] {
        Mesh::current()
            .call(Method::DELETE, CLEAR, token, &Value::Null)
            .await
            .problem(401);
    }
}

/// Somebody who came by the doors of S3.
async fn newcomer() -> Person {
    let mesh = Mesh::current();
    let username = unique("n");
    let email = format!("{username}@example.com");
    let body = json!({
        "username": username, "email": email, "password": PASSWORD, "confirm_password": PASSWORD,
    });
    mesh.call(Method::POST, "/api/auth/register", "", &body)
        .await
        .expect(201);
    let login = json!({"email": email, "password": PASSWORD});
    let login = mesh.call(Method::POST, "/api/auth/login", "", &login).await;
    let token = login.expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    Person {
        id: 0,
        username,
        email,
        token,
    }
}

#[tokio::test]
async fn s3_26_the_author_of_a_review_is_a_user() {
    let mesh = Mesh::current();
    let anna = newcomer().await;
    let path = entered(&anna, &movie("Mine")).await;
    reviewed(&anna, &path, 9).await;
    let reviews = mesh.get(&format!("{path}/reviews")).await;
    let review = &reviews.expect(200)[0];
    assert_eq!(review["username"], json!(anna.username));
    let profile = format!("/api/users/{}", review["user_id"]);
    let profile = call(&anna, Method::GET, &profile, &Value::Null).await;
    assert_eq!(
        (&profile.expect(200)["username"], &profile.json["email"]),
        (&json!(anna.username), &json!(anna.email))
    );
    assert!(!profile.text.contains("password"));
}

#[tokio::test]
async fn s3_28_profiles_movies_and_reviews_are_in_postgres() {
    let anna = Mesh::current().person().await;
    let path = entered(&anna, &movie("Kept")).await;
    reviewed(&anna, &path, 9).await;
    let movie = id(&path);
    let (movies, users) = (
        stores::postgres_database("movies").await,
        stores::postgres_database("users").await,
    );
    for (database, query, kept) in [
        (
            &movies,
            format!("SELECT title FROM movies WHERE id = {movie}"),
            "Kept",
        ),
        (
            &movies,
            format!("SELECT title FROM reviews WHERE movie_id = {movie} AND rating = 900"),
            "Loud",
        ),
        (
            &users,
            format!("SELECT email FROM users WHERE id = {}", anna.id),
            &anna.email,
        ),
    ] {
        let statement = Statement::from_string(DbBackend::Postgres, &query);
        let row = database.query_one_raw(statement).await.unwrap();
        let row = row.unwrap_or_else(|| panic!("nothing: {query}"));
        assert_eq!(row.try_get_by_index::<String>(0).unwrap(), kept);
    }
}

#[tokio::test]
async fn s3_30_a_jwt_of_the_login_is_what_writes_need() {
    let mesh = Mesh::current();
    let anna = newcomer().await;
    assert_eq!(anna.token.split('.').count(), 3, "a JWT");
    entered(&anna, &movie("Mine")).await;
    let forged = format!("{}x", anna.token);
    mesh.call(Method::POST, "/api/movies", &forged, &movie("Forged"))
        .await
        .problem(401);
}

#[tokio::test]
async fn s3_27_the_movie_model() {
    let anna = Mesh::current().person().await;
    let path = entered(&anna, &movie("Model")).await;
    let shown = Mesh::current().get(&path).await;
    let shown = shown.expect(200);
    assert!(shown["id"].is_i64() && shown["rating"].is_f64());
    for member in [
        "title",
        "description",
        "genre",
        "poster_url",
        "release_date",
    ] {
        assert!(shown[member].is_string(), "{member}");
    }
}

#[tokio::test]
async fn s3_43_reviews_are_written_listed_changed_and_deleted() {
    let mesh = Mesh::current();
    let (anna, ben) = (mesh.person().await, mesh.person().await);
    let path = entered(&anna, &movie("Reviewed")).await;
    let review = reviewed(&ben, &path, 7).await;
    reviewed(&anna, &path, 8).await;
    let list = format!("{path}/reviews");
    let listed = mesh.get(&list).await;
    let names = listed.expect(200).as_array().unwrap().iter();
    let names: Vec<&Value> = names.map(|review| &review["username"]).collect();
    assert_eq!(names, [&json!(anna.username), &json!(ben.username)]);
    call(&anna, Method::DELETE, &review, &Value::Null)
        .await
        .problem(403);
    let better = json!({"title": "Better", "body": "", "rating": 10});
    call(&ben, Method::PUT, &review, &better).await.expect(200);
    assert_eq!(mesh.get(&list).await.expect(200)[1]["title"], "Better");
    call(&ben, Method::DELETE, &review, &Value::Null)
        .await
        .expect(200);
    assert_eq!(
        mesh.get(&list).await.expect(200).as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn d22_one_review_a_user_and_movie_counts() {
    let mesh = Mesh::current();
    let (anna, ben) = (mesh.person().await, mesh.person().await);
    let path = entered(&anna, &movie("Reviewed")).await;
    reviewed(&anna, &path, 8).await;
    reviewed(&ben, &path, 7).await;
    let again = json!({"title": "Again", "body": "", "rating": 1});
    let list = format!("{path}/reviews");
    call(&ben, Method::POST, &list, &again).await.problem(409);
    let shown = mesh.get(&path).await;
    assert_eq!(
        (
            &shown.expect(200)["review_count"],
            &shown.json["review_rating"],
            &shown.json["rating"]
        ),
        (&json!(2), &json!(7.5), &json!(8.5))
    );
}

#[tokio::test]
async fn s3_50_tv_shows_are_there_beside_movies() {
    let mesh = Mesh::current();
    let anna = mesh.person().await;
    let word = unique("word");
    let mut show = movie(&word);
    entered(&anna, &show).await;
    show["kind"] = "tv_show".into();
    let path = entered(&anna, &show).await;
    assert_eq!(mesh.get(&path).await.expect(200)["kind"], "tv_show");
    let found = mesh
        .get(&format!("/api/movies/search?title={word}&kind=tv_show"))
        .await;
    assert_eq!(ids(&found.expect(200)["data"]), [id(&path)]);
}

#[tokio::test]
async fn s3_45_bad_movies_are_refused() {
    let anna = Mesh::current().person().await;
    for (member, value) in [
        ("title", json!("")),
        ("rating", json!(11)),
        ("release_date", json!("1979-02-30")),
        ("poster_url", json!("javascript:alert(1)")),
        ("kind", json!("play")),
    ] {
        let mut body = movie("Bad");
        body[member] = value;
        call(&anna, Method::POST, "/api/movies", &body)
            .await
            .problem(422);
    }
    let missing = "/api/movies/999999999/reviews";
    let review = json!({"title": "Good", "rating": 9});
    let refused = call(&anna, Method::POST, missing, &review).await;
    assert_eq!(refused.problem(404), "Movie not found");
}
