//! Claim: what README and the guides tell readers to type does what they say.
//!
//! `docs/commands.toml` says of each command which test runs it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use testkit::{Mesh, unique};

fn checkout() -> PathBuf {
    Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..")
}

/// Runs a script in which every `curl` that is refused ends it; what it printed.
#[track_caller]
fn sh(script: &str) -> String {
    let strict = "set -e\ncurl() { command curl --fail-with-body --max-time 30 \"$@\"; }\n";
    let output = Command::new("sh")
        .args(["-c", &format!("{strict}{script}")])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{text}\n{errors}");
    text
}

/// Host and port of an address of this mesh.
fn authority(name: &str) -> &'static str {
    Mesh::current().address(name).trim_start_matches("http://")
}

#[test]
fn the_first_session_of_the_readme_is_as_it_says() {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    let mut blocks = readme.split("```sh\n").skip(1);
    let session = blocks.find(|block| block.starts_with("post()")).unwrap();
    let session = session.split("```").next().unwrap();
    let person = format!("{}@example.com", unique("ada"));
    let session = session
        .replace("localhost:8080", authority("ingress"))
        .replace("ada@example.com", &person);

    let printed = sh(&session);

    let last = printed.lines().last().unwrap();
    for text in ["Quiet and quick", "So true"] {
        assert!(last.contains(text), "{printed}");
    }
}

#[tokio::test]
async fn what_the_guides_ask_by_curl_is_answered() {
    let users = Mesh::current().consul_get("catalog/service/users").await;
    let admin = users[0]["ServiceMeta"]["admin_port"].as_str().unwrap();
    let mut asked = 0;
    for entry in fs::read_dir(checkout().join("docs/runbooks")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let spans = text.split('`').skip(1).step_by(2);
        let reads = |span: &&str| span.starts_with("curl ") && !span.contains(" -X ");
        for command in spans.filter(reads) {
            asked += 1;
            let command = command
                .replace("127.0.0.1:8025", authority("mail_page"))
                .replace("<admin port>", admin);
            assert!(!command.contains('<'), "{command}");
            sh(&command);
        }
    }
    assert!(asked > 1, "the runbooks ask {asked} times");
}
