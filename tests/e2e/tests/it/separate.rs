//! Claims: every service is a program of its own with a store of its own (S1-11, S1-14, S4-18), and
//! one gateway is in front of all of them (S1-17).

use std::{collections::BTreeMap, fs};

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Process, mesh, send};

/// Services with a relational store.
const RELATIONAL: [&str; 7] = [
    "likes",
    "movies",
    "notifications",
    "orders",
    "products",
    "timelines",
    "users",
];

/// The databases that the process of an instance has: files that are open, or those of a server that it was given.
fn databases(pid: u32) -> Vec<String> {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let files = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let files = files.filter(|file| file.extension().is_some_and(|kind| kind == "db"));
    let mut databases: Vec<String> = files.map(|file| file.display().to_string()).collect();
    let variables = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    let variables = variables
        .split('\0')
        .filter_map(|pair| pair.split_once('='));
    let urls = variables.filter(|(name, _)| name.ends_with("_DATABASE_URL"));
    databases.extend(urls.map(|(_, url)| url.to_owned()));
    databases.sort();
    databases.dedup();
    databases
}

#[tokio::test]
async fn s1_14_every_service_has_a_database_of_its_own() {
    let mesh = Mesh::current();
    let mut owners = BTreeMap::new();
    for (service, entry) in &mesh.services {
        let pid = mesh.process(&entry.instances[0]).expect("it runs");
        let found = databases(pid);
        let relational = RELATIONAL.contains(&service.as_str());
        assert_eq!(found.len(), usize::from(relational), "{service}: {found:?}");
        for database in found {
            let other = owners.insert(database.clone(), service);
            assert_eq!(other, None, "{database} is {service}'s too");
        }
    }
    assert_eq!(owners.len(), RELATIONAL.len());
}

#[tokio::test]
async fn s4_18_every_service_is_a_program_of_its_own() {
    let mesh = Mesh::current();
    let mut programs = BTreeMap::new();
    for (service, entry) in &mesh.services {
        for instance in &entry.instances {
            let pid = mesh.process(instance).expect("it runs");
            let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
            let owner = programs.entry(program.clone()).or_insert(service);
            assert_eq!(*owner, service, "{}", program.display());
        }
    }
    assert_eq!(programs.len(), mesh.services.len());
}

#[tokio::test]
async fn s1_15_each_service_of_the_shop_runs_alone_from_a_shell() {
    // Port 1 is never ours: nobody answers.
    let peers =
        ["users", "discussions", "products"].map(|peer| format!("{peer}=http://127.0.0.1:1"));
    for (service, path, status) in [
        ("users", "/api/auth/status", 200),
        ("products", "/products/", 200),
        ("orders", "/orders/", 401),
        ("notifications", "/notifications", 401),
    ] {
        let binary = Mesh::current().services[service].binary.to_str().unwrap();
        let alone = Process::start(binary, &["serve"], &[("UPSTREAM_URLS", &peers.join(","))]);
        let url = format!("http://{}{path}", alone.address());
        let reply = send(mesh::client().get(url)).await;
        assert_eq!(reply.status, status, "{service}: {}", reply.text);
        let store = alone.data().join(format!("{service}.db"));
        assert!(store.is_file(), "{service} has no SQLite of its own");
    }
}

#[tokio::test]
async fn s1_17_one_gateway_is_in_front_of_users_products_and_orders() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let call = |path: &'static str| mesh.call(Method::GET, path, &person.token, &Value::Null);
    assert_eq!(
        call("/api/users/me").await.expect(200)["user_id"],
        person.id
    );
    assert!(call("/products/").await.expect(200).is_array());
    assert_eq!(call("/orders/").await.expect(200), &json!([]));
}

#[tokio::test]
async fn s4_28_the_doors_of_s4_are_its_own() {
    let mesh = Mesh::current();
    let document = mesh.get("/openapi.json").await;
    let paths = &document.expect(200)["paths"];
    for (path, method, open) in [
        ("/auth/register", "post", true),
        ("/auth/login", "post", true),
        ("/auth/validate", "get", false),
        ("/item", "get", true),
        ("/item", "post", false),
        ("/item/{id}", "get", true),
        ("/item/{id}", "put", false),
        ("/item/{id}", "delete", false),
        ("/buy/{id}", "post", false),
    ] {
        let operation = &paths[path][method];
        assert!(operation.is_object(), "{method} {path}");
        // S4-25: the document says what needs a token.
        assert_eq!(operation["security"] == json!([]), open, "{method} {path}");
    }
}

#[tokio::test]
async fn s1_20_whoever_registers_has_a_profile() {
    let mesh = Mesh::current();
    let person = mesh.person().await;
    let by_name = mesh.get(&format!("/users/{}", person.username)).await;
    assert_eq!(by_name.expect(200)["user_id"], person.id);
    let by_id = mesh.get(&format!("/api/users/{}", person.id)).await;
    assert_eq!(by_id.expect(200)["name"], json!(person.username));
}
