//! Claim: after `up --demo` every list of every service shows something, and doing it again adds nothing.

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};
use testkit::eventually;

use crate::own_mesh::OwnMesh;

/// Lists that follow from others, some time later.
const LATER: [&str; 3] = ["/likes/popular", "/notifications", "/posts/home/{username}"];

/// Somebody of the demo world, by the name and the password that `up --demo` prints.
struct Visitor<'a> {
    mesh: &'a OwnMesh,
    name: String,
    token: String,
}

impl<'a> Visitor<'a> {
    async fn log_in(mesh: &'a OwnMesh, printed: &str) -> Self {
        let line = |name: &str| {
            let mut lines = printed.lines().map(str::trim);
            let line = lines.find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name}: {printed}")).trim()
        };
        let name = line("people").split(',').next().unwrap().to_owned();
        let password = line("password").split("   ").next().unwrap();
        let login = json!({ "username": name, "password": password });
        let login = mesh.call(Method::POST, "/login", "", &login).await;
        let token = login.expect(200)["access_token"].as_str().unwrap();
        let token = token.to_owned();
        Self { mesh, name, token }
    }

    async fn get(&self, path: &str) -> Value {
        let reply = self
            .mesh
            .call(Method::GET, path, &self.token, &Value::Null)
            .await;
        reply.expect(200).clone()
    }

    /// How much every list has that there is, by its template.
    async fn lists(&self) -> BTreeMap<String, usize> {
        let document = self.get("/openapi.json").await;
        let mut lists = BTreeMap::new();
        for (template, methods) in document["paths"].as_object().unwrap() {
            let parameters = methods["get"]["parameters"].as_array();
            let paged = |parameter: &Value| parameter["name"] == "limit";
            if parameters.is_some_and(|parameters| parameters.iter().any(paged)) {
                let path = self.fill(template).await;
                let list = self.get(&format!("{path}?limit=200")).await;
                lists.insert(template.clone(), length(&list));
            }
        }
        lists
    }

    /// A path of what is newest.
    async fn fill(&self, template: &str) -> String {
        let path = template.replace("{username}", &self.name);
        let Some((before, rest)) = path.split_once('{') else {
            return path;
        };
        let (name, after) = rest.split_once('}').unwrap();
        // The owner of an item is its seller.
        let member = if name == "owner" { "seller_id" } else { name };
        let newest = self.get(before).await[0][member].clone();
        let id = newest.as_str().map_or(newest.to_string(), str::to_owned);
        format!("{before}{id}{after}")
    }
}

/// The length of a list, or of the longest one in an object.
fn length(list: &Value) -> usize {
    match list {
        Value::Array(list) => list.len(),
        Value::Object(object) => object.values().map(length).max().unwrap_or(0),
        _ => 0,
    }
}

/// What a person of that name has ordered and bought in the world.
fn orders_of(name: &str) -> usize {
    let world: toml::Table = toml::from_str(include_str!("../../src/demo/world.toml")).unwrap();
    let lists = [("products", "orders"), ("items", "purchases")];
    let entries = lists.iter().flat_map(|(list, member)| {
        let entries = world[*list].as_array().unwrap().iter();
        entries.filter_map(|entry| entry.get(*member)?.as_array())
    });
    entries
        .flatten()
        .filter(|entry| entry["by"].as_str() == Some(name))
        .count()
}

pub async fn fills_every_list_once(mesh: &OwnMesh) {
    let printed = mesh.succeeds(&["up", "--demo"]);
    assert!(printed.contains("things are new"), "{printed}");
    let visitor = Visitor::log_in(mesh, &printed).await;
    let orders = orders_of(&visitor.name);
    let mut first = eventually("every list shows something", || async {
        let lists = visitor.lists().await;
        let filled = lists.values().all(|length| *length > 0) && lists["/orders"] == orders;
        if filled {
            Ok(lists)
        } else {
            Err(format!("{lists:?}"))
        }
    })
    .await;
    assert!(first.len() > 15, "{first:?}");
    let printed = mesh.succeeds(&["up", "--demo"]);
    assert!(printed.contains("was there already"), "{printed}");
    let mut second = visitor.lists().await;
    for lists in [&mut first, &mut second] {
        lists.retain(|list, _| !LATER.contains(&list.as_str()));
    }
    assert_eq!(second, first, "nothing is written twice");
}
