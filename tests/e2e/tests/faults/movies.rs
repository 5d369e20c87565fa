//! Claims: lists of `movies` are in Redis, which can be emptied, and no answer is wrong (S3-29, S3-36, D28); when the database
//! is away its clients are told so (S3-04).

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use serde_json::json;
use testkit::{Mesh, eventually, stores, unique};

use crate::ONE_AT_A_TIME;

/// What `redis-cli` would answer.
fn redis(command: &str) -> String {
    let url = Mesh::current().address("redis");
    let (password, host) = url
        .trim_start_matches("redis://:")
        .trim_end_matches("/0")
        .split_once('@')
        .expect("a URL with a password");
    let mut stream = TcpStream::connect(host).expect("Redis listens");
    let commands = format!("AUTH {password}\r\n{command}\r\nQUIT\r\n");
    stream.write_all(commands.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    answer
}

#[tokio::test]
async fn s3_29_s3_36_the_cache_is_redis_and_may_be_flushed() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let word = unique("word");
    let body = json!({
        "title": word, "description": "", "rating": 9, "genre": "Drama", "poster_url": "",
        "release_date": "2001-01-01",
    });
    let movie = mesh
        .call(Method::POST, "/api/movies", &person.token, &body)
        .await
        .expect(201)["id"]
        .clone();
    let review = json!({"title": "Good", "body": "", "rating": 7});
    let reviews = format!("/api/movies/{movie}/reviews");
    mesh.call(Method::POST, &reviews, &person.token, &review)
        .await
        .expect(201);
    let search = format!("/api/movies/search?title={word}");
    let lists = [search.as_str(), "/api/movies/popular", &reviews];
    let mut before = Vec::new();
    for path in lists {
        let path = path.to_owned();
        let reply = eventually("a list from the cache", || async {
            mesh.get(&path).await.expect(200);
            let reply = mesh.get(&path).await;
            match reply.expect(200)["message"].as_str() {
                Some("Results retrieved from database") => Err(reply.text),
                _ => Ok(reply),
            }
        })
        .await;
        before.push(reply.json);
    }
    let entries = [
        format!("search:*{word}*"),
        "popular:*".to_owned(),
        format!("reviews:*{movie}*"),
    ];
    for (entry, path) in entries.iter().zip(lists) {
        // What could not be kept once is kept the next time.
        eventually("a list in Redis", || async {
            mesh.get(path).await.expect(200);
            let keys = redis(&format!("KEYS movies:*:{entry}"));
            keys.contains("movies:").then_some(()).ok_or(keys)
        })
        .await;
    }
    assert!(redis("FLUSHALL").contains("+OK\r\n+OK"));
    for (path, before) in lists.iter().zip(&mut before) {
        let after = mesh.get(path).await;
        if before.get("message").is_some() {
            assert_eq!(after.json["message"], "Results retrieved from database");
            assert_eq!(after.json["data"], before["data"], "{path}");
        } else {
            assert_eq!(&after.json, before, "{path}");
        }
    }
}

/// Lets nobody into the database of `movies`, or everybody again.
async fn open_database(server: &DatabaseConnection, open: bool) {
    let mut orders = vec![format!("ALTER DATABASE movies ALLOW_CONNECTIONS {open}")];
    if !open {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'movies'";
        orders.push(end.to_owned());
    }
    for order in orders {
        server.execute_unprepared(&order).await.unwrap();
    }
}

#[tokio::test]
async fn s3_04_the_status_says_that_the_database_is_away() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let server = stores::postgres_database("postgres").await;
    let path = "/api/movies/status";
    mesh.get(path).await.expect(200);
    open_database(&server, false).await;
    // Whatever is seen, others need the database.
    let away = tokio::spawn(async move {
        let told = eventually("it is told", || async {
            match mesh.get(path).await {
                reply if reply.status == 200 => Err(reply.text),
                reply => Ok(reply),
            }
        });
        (told.await, mesh.get("/api/movies?limit=1").await)
    });
    let away = away.await;
    open_database(&server, true).await;
    let (told, list) = away.unwrap();
    let status = told.expect(500);
    assert_eq!(
        (&status["status"], &status["database"]),
        (&json!("ERROR"), &json!("Not connected"))
    );
    assert!(!status["error"].as_str().unwrap().is_empty());
    list.problem(503);
    eventually("it is back", || async {
        let reply = mesh.get(path).await;
        (reply.status == 200).then_some(()).ok_or(reply.text)
    })
    .await;
    mesh.get("/api/movies?limit=1").await.expect(200);
}
