//! Claim: whoever runs the Postman collections gets, on every operation, what the API's document says.

use std::{env, fs, path::PathBuf, process::Stdio};

use serde_json::Value;
use testkit::{Mesh, unique};
use tokio::process::Command;

/// Runs a collection as its readers do, and says what newman says when it is not content.
async fn passes(collection: &str) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/postman");
    let file = folder.join(format!("{collection}.postman_collection.json"));
    let program = |name: &str| {
        env::var(name).unwrap_or_else(|_| {
            panic!("{name} is not set: run the tests by `cargo mesh test`, which gets it")
        })
    };
    let report = env::temp_dir().join(unique("newman-"));
    let newman = PathBuf::from(program("TEST_NEWMAN")).join("node_modules/newman/bin/newman.js");
    let output = Command::new(program("TEST_NODE"))
        .arg(newman)
        .arg("run")
        .arg(&file)
        .arg("--environment")
        .arg(folder.join("local.postman_environment.json"))
        .arg("--env-var")
        .arg(format!("ingress={}", Mesh::current().address("ingress")))
        .args([
            "--color",
            "off",
            "--disable-unicode",
            "--timeout-request",
            "60000",
        ])
        .args(["--reporters", "cli,json", "--reporter-cli-no-banner"])
        .arg("--reporter-json-export")
        .arg(&report)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{collection}: {told}{complaints}");
    // Two assertions on each request, and none left out.
    let read =
        |path: &PathBuf| -> Value { serde_json::from_slice(&fs::read(path).unwrap()).unwrap() };
    let stats = &read(&report)["run"]["stats"];
    fs::remove_file(&report).unwrap();
    let requests = requests(&read(&file));
    assert_eq!(stats["requests"]["total"], requests, "{stats}");
    assert_eq!(stats["assertions"]["total"], 2 * requests, "{stats}");
}

fn requests(folder: &Value) -> usize {
    let items = folder["item"].as_array().into_iter().flatten();
    usize::from(folder["request"].is_object()) + items.map(requests).sum::<usize>()
}

#[tokio::test]
async fn s3_39_every_request_of_the_movie_collection_succeeds() {
    passes("Movie-Review-Platform").await;
}

#[tokio::test]
async fn s3_39_every_request_of_the_collection_of_all_succeeds() {
    passes("Plaza").await;
}
