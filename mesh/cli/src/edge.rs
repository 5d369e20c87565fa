//! The ingress: Consul's API gateway with a listener of ours in front of its routes.
//!
//! Consul 1.22 sets none of what Envoy advises for an edge on a gateway's listener (no header timeout, client addresses and
//! `x-envoy-*` headers believed, no tracing, answers in plain text) and lets no extension change it. So the gateway binds no
//! listener itself; one from `consul/ingress/listener.json` takes its place and asks Consul for the same routes and clusters.

pub mod addresses;
pub mod readers;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use self::readers::Outside;
use crate::mesh::{self, Mesh};
use crate::setup;
use crate::template::{self, Values};

/// Returns the gateway's registration with its listeners.
pub fn registration(mesh: &Mesh) -> Result<Value> {
    let values = mesh.values()?;
    let mut registration = template::fill(&read(mesh, "registration.json")?, &values)?;
    let outside = Outside::of_environment(mesh)?;
    let listeners = listeners(mesh, &values, &outside)?;
    let text: Vec<_> = listeners.iter().map(Value::to_string).collect();
    registration["Proxy"]["Config"]["envoy_extra_static_listeners_json"] = json!(text.join(","));
    Ok(registration)
}

/// Returns a listener for each one of the gateway that some route uses: Consul has no routes for the others.
fn listeners(mesh: &Mesh, values: &Values, outside: &Outside) -> Result<Vec<Value>> {
    let gateway = template::fill(&read(mesh, "api-gateway.json")?, values)?;
    let used = used_listeners(mesh)?;
    let mut values = values.clone();
    values.insert("tracing_provider".to_owned(), tracing_provider(mesh)?);
    let problems = problems(mesh)?;
    values.insert("local_replies".to_owned(), local_replies(&problems));
    values.insert("problems".to_owned(), json!(table(&problems)?));
    values.insert("no_websocket".to_owned(), no_websocket());
    values.insert("trusted_hops".to_owned(), json!(outside.hops));
    outside.fill(&mut values)?;
    let mut listeners = Vec::new();
    for listener in gateway["Listeners"].as_array().into_iter().flatten() {
        let name = listener["Name"].as_str().unwrap_or_default();
        if used.contains(name) {
            values.insert("listener".to_owned(), json!(name));
            values.insert("listener_port".to_owned(), listener["Port"].clone());
            values.insert(
                "listener_route".to_owned(),
                json!(listener["Port"].to_string()),
            ); // Consul names routes by port
            let addresses = addresses::table(&read(mesh, "addresses.json")?, name)?;
            values.insert("addresses".to_owned(), json!(addresses));
            let script = template::fill_text(&read(mesh, "edge.lua")?, &values)?;
            values.insert("script".to_owned(), json!(script));
            let mut listener = template::fill(&read(mesh, "listener.json")?, &values)?;
            if let Some(folder) = mesh::certificates() {
                listener["filter_chains"][0]["transport_socket"] = tls(&folder);
            }
            if outside.hops > 0 {
                believe_proxies(&mut listener);
            }
            listeners.push(listener);
        }
    }
    Ok(listeners)
}

/// Keeps what proxies in front say of the client: Envoy counts from the last one.
fn believe_proxies(listener: &mut Value) {
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    let early = &mut manager["early_header_mutation_extensions"][0]["typed_config"];
    if let Some(mutations) = early["mutations"].as_array_mut() {
        let of_proxies = ["x-forwarded-for", "x-forwarded-proto"];
        mutations.retain(|mutation| {
            let removed = mutation["remove"].as_str().unwrap_or_default();
            !of_proxies.contains(&removed)
        });
    }
}

/// Returns what fits every protocol but `websocket`, without regard to case. Envoy's expressions have no negation and a bound of
/// their size, so there is one for each letter that differs.
fn no_websocket() -> Value {
    const NAME: &str = "websocket";
    let others = NAME.char_indices().map(|(index, letter)| {
        let before = &NAME[..index];
        format!("(?i)(?:{before}|{before}[^{letter}].*)")
    });
    others
        .chain([format!("(?i){NAME}.+")])
        .map(|regex| json!({ "safe_regex": { "regex": regex } }))
        .collect()
}

/// Returns what makes a listener speak TLS, with the certificate of a folder.
fn tls(folder: &str) -> Value {
    let file = |name: &str| json!({ "filename": format!("{folder}/{name}") });
    json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "alpn_protocols": ["h2", "http/1.1"],
                "tls_params": { "tls_minimum_protocol_version": "TLSv1_2" },
                "tls_certificates": [{ "certificate_chain": file("tls.crt"), "private_key": file("tls.key") }],
            },
        },
    })
}

/// Returns the names of the listeners that the generated routes are for.
fn used_listeners(mesh: &Mesh) -> Result<BTreeSet<String>> {
    let mut used = BTreeSet::new();
    for file in setup::files(&mesh.checkout.join("consul/routes"), "json") {
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let route: Value = serde_json::from_slice(&text)
            .with_context(|| format!("{} is no route", file.display()))?;
        let parents = route["Parents"].as_array().into_iter().flatten();
        used.extend(parents.filter_map(|parent| parent["SectionName"].as_str().map(str::to_owned)));
    }
    Ok(used)
}

/// Traces at the edge go where those of all sidecars go.
fn tracing_provider(mesh: &Mesh) -> Result<Value> {
    let path = mesh.checkout.join("consul/config/proxy-defaults.json");
    let defaults: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
    Ok(defaults["Config"]["envoy_listener_tracing_json"]["provider"].clone())
}

type Problems = Map<String, Value>;

fn problems(mesh: &Mesh) -> Result<Problems> {
    serde_json::from_str(&read(mesh, "problems.json")?)
        .context("consul/ingress/problems.json is no table of problems")
}

/// Returns the problem document (RFC 9457, with `message`) of a status.
fn document(status: &Value, problem: &Value) -> Value {
    json!({
        "type": "about:blank",
        "title": problem["title"],
        "status": status,
        "detail": problem["message"],
        "message": problem["message"],
    })
}

/// Makes Envoy's own answers problem documents.
fn local_replies(problems: &Problems) -> Value {
    let format =
        |body: Value| json!({ "json_format": body, "content_type": "application/problem+json" });
    // What the script says has its own words.
    let said = json!({
        "filter": { "metadata_filter": {
            "matcher": { "filter": "plaza", "path": [{ "key": "said" }], "value": { "bool_match": true } },
            "match_if_key_not_found": false,
        } },
        "body_format_override": {
            "text_format_source": { "inline_string": "%LOCAL_REPLY_BODY%" },
            "content_type": "application/problem+json",
        },
    });
    let of_status = problems.iter().map(|(status, problem)| {
        let status: u16 = status.parse().unwrap_or_default();
        let value =
            json!({ "default_value": status, "runtime_key": format!("edge.problem.{status}") });
        let mut mapper = json!({
            "filter": { "status_code_filter": { "comparison": { "op": "EQ", "value": value } } },
            "body_format_override": format(document(&json!(status), problem)),
        });
        if let Some(seconds) = problem["retry_after"].as_u64() {
            mapper["headers_to_add"] =
                json!([{ "header": { "key": "retry-after", "value": seconds.to_string() } }]);
        }
        mapper
    });
    let mappers: Vec<_> = std::iter::once(said).chain(of_status).collect();
    let other = json!({ "title": "Error", "message": "The request could not be answered." });
    json!({ "mappers": mappers, "body_format": format(document(&json!("%RESPONSE_CODE%"), &other)) })
}

/// Returns the same for the script, which knows what sidecars answer in plain text.
fn table(problems: &Problems) -> Result<String> {
    let mut table = String::new();
    for (status, problem) in problems {
        let body = document(&json!(status.parse::<u16>()?), problem).to_string();
        let retry = problem["retry_after"]
            .as_u64()
            .map_or_else(String::new, |seconds| {
                format!(", retry_after = \"{seconds}\"")
            });
        let _ = write!(
            table,
            "[\"{status}\"] = {{ body = [==[{body}]==]{retry} }},\n  "
        );
    }
    Ok(table.trim_end().to_owned())
}

fn read(mesh: &Mesh, name: &str) -> Result<String> {
    let path = mesh.checkout.join("consul/ingress").join(name);
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}
