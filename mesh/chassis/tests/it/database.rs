//! What is written is committed, or refused: by one process or two, on a good disk or a bad one.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    process::{Command, Stdio},
    sync::Arc,
};

use mesh_chassis::{Error, sql::Database};
use reqwest::Method;
use sea_orm_migration::sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use testkit::{Reply, TestService, eventually, ledger, stores::Sql};

use crate::shelf::Shelf;

type Service = TestService<Shelf<2>>;

testkit::on_each_store![
    a_row_whose_commit_fails_is_not_answered,
    a_statement_that_only_seems_to_read_is_committed,
    a_transaction_that_is_dropped_leaves_nothing,
    the_connection_of_a_lost_transaction_never_serves_again,
    what_was_acknowledged_survives_kill_9,
];

async fn start(store: Sql) -> Service {
    let flags = store.flags("--store").await;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    TestService::start(&flags).await
}

async fn add(shelf: &Service, number: usize) -> Reply {
    let book = json!({"title": number.to_string()});
    shelf.call(Method::POST, "/books", "", &book).await
}

async fn has(shelf: &Service, book: &Value) -> bool {
    let titles = shelf.get("/books").await;
    let titles = titles.expect(200).as_array().unwrap();
    titles.contains(&book["title"])
}

async fn count(database: &Database) -> i64 {
    let count = Statement::from_string(
        database.get_database_backend(),
        "SELECT CAST(COUNT(*) AS BIGINT) FROM books",
    );
    let row = database.query_one_raw(count).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn a_row_whose_commit_fails_is_not_answered(store: Sql) {
    let shelf = start(store).await;
    let database = &shelf.service.database;
    let lends = "CREATE TABLE lends (id INTEGER PRIMARY KEY, book INTEGER NOT NULL \
                 REFERENCES books (id) DEFERRABLE INITIALLY DEFERRED)";
    database.execute_unprepared(lends).await.unwrap();
    let lend = "INSERT INTO lends (id, book) VALUES (1, 99) RETURNING id";
    let lend = Statement::from_string(database.get_database_backend(), lend);
    let answered = database.query_one_raw(lend.clone()).await;
    assert!(answered.is_err(), "{answered:?}");
    assert!(database.query_all_raw(lend.clone()).await.is_err());
    assert!(database.execute_raw(lend).await.is_err());
}

async fn a_statement_that_only_seems_to_read_is_committed(store: Sql) {
    let shelf = start(store).await;
    let database = &shelf.service.database;
    let seems = "WITH new (title) AS (SELECT 'Emma') \
                 INSERT INTO books (title) SELECT title FROM new RETURNING id";
    let seems = Statement::from_string(database.get_database_backend(), seems);
    let rows = database.query_all_raw(seems).await.unwrap();
    assert_eq!((rows.len(), count(database).await), (1, 1));
}

async fn a_transaction_that_is_dropped_leaves_nothing(store: Sql) {
    let shelf = start(store).await;
    let database = &shelf.service.database;
    for _ in 0..3 {
        let transaction = database.begin().await.unwrap();
        let insert = "INSERT INTO books (title) VALUES ('Emma')";
        transaction.execute_unprepared(insert).await.unwrap();
        drop(transaction);
    }
    add(&shelf, 1).await.expect(201);
    assert_eq!(count(database).await, 1);
}

/// As a full disk does it: the store itself ends the transaction, and the driver does not notice.
async fn the_connection_of_a_lost_transaction_never_serves_again(store: Sql) {
    let shelf = start(store).await;
    let database = &shelf.service.database;
    for number in 0..5 {
        let transaction = database.begin().await.unwrap();
        transaction.execute_unprepared("ROLLBACK").await.unwrap();
        // SQLite refuses the commit; Postgres only warns.
        let _ = transaction.commit().await;
        // What is taken back after that would leave a transaction open under all that follow.
        drop(database.begin().await.unwrap());
        add(&shelf, number).await.expect(201);
    }
    // Another connection sees what is committed, and nothing else.
    assert_eq!(count(database).await, 5);
}

/// Variable with what a process that writes is told: folder, flags, and where it notes answers.
const CHILD: &str = "DATABASE_CHILD";

async fn what_was_acknowledged_survives_kill_9(store: Sql) {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let flags = store.flags("--store").await;
    let answers = folder.path().join("answers");
    fs::write(&answers, "").unwrap();
    for life in 1..=3 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "database::child", "--ignored", "--nocapture"])
            .env(
                CHILD,
                json!([folder.path(), flags, answers, life]).to_string(),
            )
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("twenty answers", || {
            let noted = fs::read_to_string(&answers).unwrap().lines().count();
            async move { (noted >= 20 * life).then_some(()).ok_or(format!("{noted}")) }
        })
        .await;
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let shelf = Service::start_in(folder, &flags).await;
    let titles = shelf.get("/books").await;
    let titles = titles.expect(200).as_array().unwrap();
    for answered in fs::read_to_string(&answers).unwrap().lines() {
        assert!(titles.contains(&json!(answered)), "lost: {answered}");
    }
}

#[tokio::test]
#[ignore = "not a test: the process that a test kills"]
async fn child() {
    let Ok(orders) = std::env::var(CHILD) else {
        return;
    };
    let (data, flags, answers, life): (String, Vec<String>, String, usize) =
        serde_json::from_str(&orders).unwrap();
    let mut all = vec!["--data-dir", data.as_str()];
    all.extend(flags.iter().map(String::as_str));
    let shelf = Service::start(&all).await;
    let mut answers = OpenOptions::new().append(true).open(answers).unwrap();
    for number in 1_000 * life.. {
        add(&shelf, number).await.expect(201);
        answers.write_all(format!("{number}\n").as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_and_heals() {
    ledger::survives_a_full_disk::<Shelf<2>, _, _>(&[], add, has).await;
}

#[tokio::test]
async fn a_full_disk_of_postgres_loses_nothing_and_heals() {
    ledger::survives_a_full_postgres::<Shelf<2>, _, _>("--store", &[], add, has).await;
}

#[tokio::test]
async fn two_instances_on_one_file_keep_what_they_acknowledge() {
    ledger::holds_with_two_instances::<Shelf<2>, _, _>(&[], add, has).await;
}

/// Each reads before it writes: a transaction that became a writer only then would be refused.
#[tokio::test]
async fn two_who_read_before_they_write_wait_for_each_other() {
    let one = start(Sql::Sqlite).await;
    let other = Service::start_in(one.data(), &[]).await;
    let changes = (0..100).map(|number| {
        let shelf = if number % 2 == 0 { &one } else { &other };
        async move {
            let transaction = shelf.service.database.begin().await?;
            let count = "SELECT COUNT(*) FROM books";
            let count = Statement::from_string(transaction.get_database_backend(), count);
            transaction.query_one_raw(count).await?;
            let insert = "INSERT INTO books (title) VALUES ('Emma')";
            transaction.execute_unprepared(insert).await?;
            transaction.commit().await?;
            Ok::<(), Error>(())
        }
    });
    let done = futures_util::future::join_all(changes).await;
    for change in done {
        change.unwrap();
    }
    assert_eq!(count(&one.service.database).await, 100);
}
