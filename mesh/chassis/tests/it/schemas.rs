//! Schemas step by step: whatever dies meanwhile, and whichever version starts beside another.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::Method;
use serde_json::json;
use testkit::{TestService, eventually, stores::Sql};

use crate::shelf::{MARKER, STOPS_IN, Shelf};

testkit::on_each_store![
    a_kill_in_any_step_does_not_stop_the_next_start,
    many_who_start_at_once_take_each_step_once,
    two_versions_work_side_by_side_whichever_comes_first,
    the_version_before_starts_on_the_schema_of_its_successor,
];

/// Flags of a service over a new store.
async fn flags(store: Sql) -> Vec<String> {
    store.flags("--store").await
}

async fn start<const VERSION: u8>(
    flags: &[String],
    beside: Option<&TestService<Shelf<1>>>,
) -> TestService<Shelf<VERSION>> {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    match beside {
        Some(other) => TestService::start_in(other.data(), &flags).await,
        None => TestService::start(&flags).await,
    }
}

async fn add<const VERSION: u8>(shelf: &TestService<Shelf<VERSION>>, title: &str) {
    let book = json!({"title": title, "pages": 17});
    let added = shelf.call(Method::POST, "/books", "", &book).await;
    added.expect(201);
}

async fn titles<const VERSION: u8>(shelf: &TestService<Shelf<VERSION>>) -> Vec<String> {
    let titles = shelf.get("/books").await;
    serde_json::from_value(titles.expect(200).clone()).unwrap()
}

async fn a_kill_in_any_step_does_not_stop_the_next_start(store: Sql) {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let flags = flags(store).await;
    for step in ["m0001_books", "m0002_pages"] {
        killed_in(step, folder.path(), &flags).await;
    }
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let shelf = TestService::<Shelf<2>>::start_in(folder, &flags).await;
    add(&shelf, "Emma").await;
    assert_eq!(titles(&shelf).await, ["Emma"]);
}

/// Starts a process over a store, and kills it in the middle of a step.
async fn killed_in(step: &str, data: &Path, flags: &[String]) {
    let marker = data.join(format!("reached-{step}"));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "schemas::child", "--ignored", "--nocapture"])
        .env(CHILD, json!([data, flags]).to_string())
        .env(STOPS_IN, step)
        .env(MARKER, &marker)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the middle of the step", || {
        let reached = reached(&marker, &mut child);
        async move { reached }
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
}

fn reached(marker: &Path, child: &mut Child) -> Result<(), String> {
    assert_eq!(child.try_wait().unwrap(), None, "it ended by itself");
    marker.exists().then_some(()).ok_or("not yet".to_owned())
}

const CHILD: &str = "SCHEMAS_CHILD";

#[tokio::test]
#[ignore = "not a test: the process that a test kills"]
async fn child() {
    let Ok(orders) = std::env::var(CHILD) else {
        return;
    };
    let (data, flags): (String, Vec<String>) = serde_json::from_str(&orders).unwrap();
    let mut all = vec!["--data-dir", data.as_str()];
    all.extend(flags.iter().map(String::as_str));
    TestService::<Shelf<2>>::start(&all).await;
}

async fn many_who_start_at_once_take_each_step_once(store: Sql) {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let flags = flags(store).await;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let starts = (0..4).map(|_| TestService::<Shelf<2>>::start_in(folder.clone(), &flags));
    let shelves = futures_util::future::join_all(starts).await;
    for (shelf, title) in shelves.iter().zip(["A", "B", "C", "D"]) {
        add(shelf, title).await;
    }
    for shelf in &shelves {
        assert_eq!(titles(shelf).await, ["A", "B", "C", "D"]);
    }
}

async fn two_versions_work_side_by_side_whichever_comes_first(store: Sql) {
    let flags = flags(store).await;
    let before = start::<1>(&flags, None).await;
    add(&before, "A").await;
    let after = start::<2>(&flags, Some(&before)).await;
    add(&after, "B").await;
    add(&before, "C").await;
    let again = start::<1>(&flags, Some(&before)).await;
    add(&again, "D").await;
    for titles in [
        titles(&before).await,
        titles(&again).await,
        titles(&after).await,
    ] {
        assert_eq!(titles, ["A", "B", "C", "D"]);
    }
}

async fn the_version_before_starts_on_the_schema_of_its_successor(store: Sql) {
    let folder = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let flags = flags(store).await;
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let after = TestService::<Shelf<2>>::start_in(folder.clone(), &flags).await;
    add(&after, "A").await;
    after.stop().await;
    let before = TestService::<Shelf<1>>::start_in(folder.clone(), &flags).await;
    add(&before, "B").await;
    before.stop().await;
    let after = TestService::<Shelf<2>>::start_in(folder, &flags).await;
    assert_eq!(titles(&after).await, ["A", "B"]);
}
