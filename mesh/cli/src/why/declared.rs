//! Who may call what, in the checkout and in Consul, and which line of code says so.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::consul::Consul;
use crate::mesh::Mesh;

/// Where declarations are.
#[derive(Debug, Default)]
pub struct Sources {
    checkout: PathBuf,
    mesh: Option<Mesh>,
}

/// What is declared of a call.
#[derive(Debug)]
pub struct Declared {
    /// Whether the intention in the checkout allows it.
    pub in_file: bool,
    /// Whether the intention in Consul allows it; nothing when Consul does not say.
    pub in_consul: Option<bool>,
    /// The line of code that declares it, or would have to.
    pub line: String,
    /// Those that may call something of the callee.
    pub callers: Vec<String>,
}

impl Sources {
    /// Those of a mesh.
    pub fn of(mesh: &Mesh) -> Self {
        Self {
            checkout: mesh.checkout.clone(),
            mesh: Some(mesh.clone()),
        }
    }

    /// Looks a call up.
    pub fn look_up(&self, caller: Option<&str>, callee: &str, path: &str) -> Declared {
        let text = fs::read(self.checkout.join(file(callee))).unwrap_or_default();
        let entry: Value = serde_json::from_slice(&text).unwrap_or_default();
        let callers =
            sources(&entry).filter_map(|source| source["Name"].as_str().map(str::to_owned));
        let line = match caller {
            Some("ingress") => self.routes(callee),
            Some(caller) => self.client(caller, callee, path),
            None => None,
        };
        Declared {
            in_file: caller.is_some_and(|caller| allows(&entry, caller, path)),
            in_consul: caller.and_then(|caller| Some(allows(&self.live(callee)?, caller, path))),
            line: line
                .unwrap_or_else(|| "the caller's `fn calls()` (its source is not here)".to_owned()),
            callers: callers.collect(),
        }
    }

    /// The intention as Consul has it.
    fn live(&self, callee: &str) -> Option<Value> {
        let mesh = self.mesh.as_ref()?;
        let token = mesh.secrets().ok()?.get("management").ok()?;
        let consul = Consul::new(mesh.target("consul_http"), token);
        let answer = consul
            .call(
                "GET",
                &format!("/v1/config/service-intentions/{callee}"),
                &Value::Null,
            )
            .ok()?;
        if answer.is_success() {
            answer.json().ok()
        } else {
            Some(Value::Null)
        }
    }

    /// The line where a caller's client type has a method, or where it would have to be.
    fn client(&self, caller: &str, callee: &str, path: &str) -> Option<String> {
        // The workers of a service are another caller with the same code.
        let caller = caller.strip_suffix("-work").unwrap_or(caller);
        let folder = self.checkout.join("services").join(caller).join("src");
        let rpc = type_of(path);
        let client = format!("proto::{callee}::");
        let places: [&dyn Fn(&str) -> bool; 3] = [
            &|line| {
                !rpc.is_empty() && line.contains(&format!("{client}{rpc}")) && line.contains("=>")
            },
            &|line| line.contains(&client) && line.contains("=>"),
            &|line| line.contains("fn calls()"),
        ];
        places.iter().find_map(|place| self.find(&folder, place))
    }

    /// The route table of a service.
    fn routes(&self, service: &str) -> Option<String> {
        let folder = self.checkout.join("services").join(service).join("src");
        let table = |line: &str| {
            line.contains("fn routes()") && line.contains("-> Vec<Route<") && !line.contains("Self")
        };
        self.find(&folder, &table)
            .or_else(|| self.find(&folder, &|line| line.contains("fn routes()")))
    }

    /// The first line below a folder that is wanted, as `path:line`.
    fn find(&self, folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Option<String> {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .ok()?
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect();
        entries.sort();
        entries.iter().find_map(|path| {
            if path.is_dir() {
                return self.find(path, wanted);
            }
            let text = fs::read_to_string(path).ok()?;
            let line = text.lines().position(wanted)? + 1;
            let shown = path.strip_prefix(&self.checkout).unwrap_or(path).display();
            Some(format!("{shown}:{line}"))
        })
    }
}

/// Returns the file of a service's intentions.
pub fn file(callee: &str) -> String {
    format!("consul/intentions/{callee}.json")
}

/// The name of the type that stands for a method: `/plaza.users.v1.Users/Get` is `UsersGet`.
fn type_of(path: &str) -> String {
    let last = path.rsplit('.').next().unwrap_or_default();
    if path.starts_with("/plaza.") {
        last.replace('/', "")
    } else {
        String::new()
    }
}

fn sources(entry: &Value) -> impl Iterator<Item = &Value> {
    entry["Sources"].as_array().into_iter().flatten()
}

/// Whether an intention lets a caller use a method. What the ingress may is given by patterns, which it made itself.
fn allows(entry: &Value, caller: &str, path: &str) -> bool {
    let ours = sources(entry).filter(|source| source["Name"] == caller);
    let mut permissions =
        ours.flat_map(|source| source["Permissions"].as_array().into_iter().flatten());
    permissions.any(|permission| permission["HTTP"]["PathExact"] == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources_here() -> Sources {
        Sources {
            checkout: crate::mesh::checkout().unwrap(),
            mesh: None,
        }
    }

    #[test]
    fn a_declared_call_is_found_at_its_line() {
        let path = "/plaza.discussions.v1.Discussions/CountByUser";
        let declared = sources_here().look_up(Some("users"), "discussions", path);
        assert!(
            declared.in_file && declared.in_consul.is_none(),
            "{declared:?}"
        );
        assert!(
            declared.line.starts_with("services/users/src/clients.rs:"),
            "{declared:?}"
        );
    }

    #[test]
    fn a_call_that_nobody_declared_belongs_beside_those_that_are() {
        let path = "/plaza.discussions.v1.Discussions/AddComment";
        let other_method = sources_here().look_up(Some("users"), "discussions", path);
        assert!(!other_method.in_file, "{other_method:?}");
        assert!(
            other_method
                .line
                .starts_with("services/users/src/clients.rs:"),
            "{other_method:?}"
        );
        let other_service = sources_here().look_up(Some("polls"), "discussions", path);
        assert!(
            other_service.line.starts_with("services/polls/src")
                || other_service.line.contains("fn calls"),
            "{other_service:?}"
        );
        assert!(
            other_service.callers.contains(&"live".to_owned()),
            "{other_service:?}"
        );
    }
}
