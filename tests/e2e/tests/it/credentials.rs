//! Claim: each service has users of its own at the stores, and nobody's processes hold the operator's.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::TcpStream,
};

use serde_json::Value;
use testkit::Mesh;

/// What the file of the mesh says of stores.
fn urls() -> Value {
    let path = Mesh::current().state.join("mesh.json");
    let file: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    file["stores"].clone()
}

/// Asks Redis as a service, one command a line; the first line of each answer.
fn redis(service: &str, commands: &[&str]) -> Vec<String> {
    let urls = urls();
    let url = urls[service]["redis"].as_str().unwrap();
    let (user, host) = url.trim_start_matches("redis://").split_once('@').unwrap();
    let (name, password) = user.split_once(':').unwrap();
    let stream = TcpStream::connect(host.trim_end_matches("/0")).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut ask = |command: &str| {
        writeln!(&stream, "{command}\r").unwrap();
        answers.next().unwrap().unwrap()
    };
    assert_eq!(ask(&format!("AUTH {name} {password}")), "+OK");
    commands.iter().map(|command| ask(command)).collect()
}

#[tokio::test]
async fn the_redis_of_the_mesh_refuses_a_service_the_keys_of_another() {
    let answers = redis(
        "likes",
        &["EXISTS likes:state", "EXISTS timelines:state", "FLUSHALL"],
    );
    assert!(answers[0].starts_with(':'), "{answers:?}");
    for refused in &answers[1..] {
        assert!(refused.starts_with("-NOPERM"), "{answers:?}");
    }
}

#[tokio::test]
async fn scripts_of_home_timelines_may_ask_which_redis_they_are_in() {
    let script = "EVAL \"return redis.call('INFO','server')\" 0";
    let told = redis("timelines", &[script]);
    assert!(told[0].starts_with('$'), "{told:?}");
}

#[tokio::test]
async fn no_service_is_given_the_operators_passwords() {
    let mesh = Mesh::current();
    let secret = |name: &str| {
        let path = mesh.state.join("secrets").join(name);
        fs::read_to_string(path).unwrap().trim().to_owned()
    };
    let operators = ["redis", "rabbitmq", "management"].map(secret);
    let file = fs::read(mesh.state.join("process-compose.json")).unwrap();
    let project: Value = serde_json::from_slice(&file).unwrap();
    for (service, entry) in &mesh.services {
        for instance in &entry.instances {
            let given = project["processes"][instance]["environment"].to_string();
            assert!(given.contains("AMQP_URL"), "{instance} is not what it was");
            for password in &operators {
                assert!(!given.contains(password), "{instance} has an operator's");
            }
            for store in ["redis", "rabbitmq"] {
                let own = secret(&format!("{store}-{service}"));
                assert!(given.contains(&own), "{instance} has no {store} user");
            }
        }
    }
}
