//! The few calls of Consul's HTTP API that the command needs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::http::{self, Answer, Target};

const PATIENCE: Duration = Duration::from_secs(10);

/// A client of the local agent with one token.
pub struct Consul {
    target: Target,
    token: String,
}

impl Consul {
    /// Makes a client.
    pub fn new(agent: impl Into<Target>, token: String) -> Self {
        Self {
            target: agent.into(),
            token,
        }
    }

    /// Sends a request and returns the answer, whatever its status.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Result<Answer> {
        let body = if body.is_null() {
            Vec::new()
        } else {
            serde_json::to_vec(body)?
        };
        let headers = [("x-consul-token", self.token.as_str())];
        http::send(&self.target, method, path, &headers, &body, PATIENCE)
            .with_context(|| format!("Consul does not answer {method} {path}"))
    }

    fn write(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let answer = self.call(method, path, body)?;
        if !answer.is_success() {
            bail!(
                "Consul refused {method} {path}: {} {}",
                answer.status,
                answer.text()
            );
        }
        Ok(answer.json().unwrap_or(Value::Null))
    }

    /// Reads a path as JSON.
    pub fn read(&self, path: &str) -> Result<Value> {
        self.write("GET", path, &Value::Null)
    }

    /// Waits until Consul has a leader and takes the token.
    pub fn wait(&self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let leader = self.call("GET", "/v1/status/leader", &Value::Null);
            let led = leader.is_ok_and(|answer| answer.is_success() && answer.text().len() > 2);
            if led
                && self
                    .call("GET", "/v1/acl/token/self", &Value::Null)
                    .is_ok_and(|answer| answer.is_success())
            {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "Consul has no leader, or does not know its management token, after {} s",
                    limit.as_secs()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Creates a policy or changes it to these rules.
    pub fn put_policy(&self, name: &str, rules: &str) -> Result<()> {
        let known = self.call("GET", &format!("/v1/acl/policy/name/{name}"), &Value::Null)?;
        let path = match known.json().ok().filter(|_| known.is_success()) {
            Some(policy) if policy["Rules"] == rules => return Ok(()),
            Some(policy) => format!(
                "/v1/acl/policy/{}",
                policy["ID"].as_str().unwrap_or_default()
            ),
            None => "/v1/acl/policy".to_owned(),
        };
        self.write("PUT", &path, &json!({ "Name": name, "Rules": rules }))
            .map(drop)
    }

    /// Creates a token with this secret, or gives an existing one these rights.
    pub fn put_token(&self, secret: &str, description: &str, rights: &Value) -> Result<()> {
        let owner = Self {
            target: self.target.clone(),
            token: secret.to_owned(),
        };
        let known = owner.call("GET", "/v1/acl/token/self", &Value::Null)?;
        let mut token = json!({ "Description": description, "SecretID": secret, "Local": false });
        merge(&mut token, rights);
        let known = known.json().ok().filter(|_| known.is_success());
        let Some(known) = known else {
            return self.write("PUT", "/v1/acl/token", &token).map(drop);
        };
        if known["Description"] == description {
            return Ok(()); // the description carries the rights' fingerprint
        }
        let accessor = known["AccessorID"].as_str().unwrap_or_default();
        self.write("PUT", &format!("/v1/acl/token/{accessor}"), &token)
            .map(drop)
    }

    /// Ends a token.
    pub fn delete_token(&self, accessor: &str) -> Result<()> {
        let path = format!("/v1/acl/token/{accessor}");
        self.write("DELETE", &path, &Value::Null).map(drop)
    }

    /// Returns whether Consul knows this client's token.
    pub fn is_known(&self) -> Result<bool> {
        let asked = self.call("GET", "/v1/acl/token/self", &Value::Null)?;
        Ok(asked.is_success())
    }

    /// Returns whether every check of an instance of a service passes, and those of its sidecar.
    pub fn is_passing(&self, service: &str, instance: &str) -> bool {
        let passing = |name: &str, id: &str| {
            let path = format!("/v1/health/service/{name}?passing");
            let found = self.read(&path).unwrap_or_default();
            let mut entries = found.as_array().into_iter().flatten();
            entries.any(|entry| entry["Service"]["ID"] == id)
        };
        let sidecar = format!("{instance}-sidecar-proxy");
        passing(service, instance) && passing(&format!("{service}-sidecar-proxy"), &sidecar)
    }

    /// Writes a config entry.
    pub fn put_config(&self, entry: &Value) -> Result<()> {
        self.write("PUT", "/v1/config", entry).map(drop)
    }

    /// Removes a config entry.
    pub fn delete_config(&self, kind: &str, name: &str) -> Result<()> {
        self.write("DELETE", &format!("/v1/config/{kind}/{name}"), &Value::Null)
            .map(drop)
    }

    /// Returns the names of the config entries of a kind.
    pub fn config_names(&self, kind: &str) -> Result<Vec<String>> {
        let entries = self.read(&format!("/v1/config/{kind}"))?;
        let names = entries
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|entry| entry["Name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Registers a service with the local agent.
    pub fn register(&self, service: &Value) -> Result<()> {
        self.write(
            "PUT",
            "/v1/agent/service/register?replace-existing-checks=true",
            service,
        )
        .map(drop)
    }

    /// Returns whether the local agent has a service with this id.
    pub fn has(&self, id: &str) -> bool {
        self.call("GET", &format!("/v1/agent/service/{id}"), &Value::Null)
            .is_ok_and(|answer| answer.is_success())
    }
}

/// Reads a client's token from its file.
pub fn with_token_file(agent: impl Into<Target>, file: &Path) -> Result<Consul> {
    let token =
        std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Consul::new(agent, token.trim().to_owned()))
}

fn merge(target: &mut Value, more: &Value) {
    if let (Some(target), Some(more)) = (target.as_object_mut(), more.as_object()) {
        target.extend(more.clone());
    }
}
