//! The listener in a real Envoy, with the script and the addresses of the checkout, in front of a service of the tests'.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::tools;

/// How long Envoy may take to start where much else runs.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the service answers after the request's head.
const PADDING: usize = 2000;

/// A running Envoy; it ends with the test.
struct Edge {
    envoy: Child,
    port: u16,
    _folder: TempDir,
}

impl Drop for Edge {
    fn drop(&mut self) {
        let _ = self.envoy.kill();
        let _ = self.envoy.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A service that answers with the head of the request as it came, and headers of the inside.
fn service() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || answer(stream));
        }
    });
    port
}

fn answer(mut stream: TcpStream) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).replace("\r\n", "|");
    let padding = "x".repeat(if head.contains("/posts/home") {
        0
    } else {
        PADDING
    });
    let body = json!({ "head": head, "padding": padding }).to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\netag: W/\"1\"\r\nx-content-type-options: nosniff\r\n\
         access-control-allow-origin: https://foe.example\r\nx-envoy-upstream-service-time: 1\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes()).ok()
}

fn cluster(name: &str, port: u16) -> Value {
    let address = json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let endpoints = json!([{ "lb_endpoints": [{ "endpoint": { "address": address } }] }]);
    json!({ "name": name, "type": "STATIC", "load_assignment": { "cluster_name": name, "endpoints": endpoints } })
}

/// The public listener with routes of its own in the place of Consul's.
fn bootstrap(mesh: &Mesh, outside: &Outside) -> Value {
    let values = mesh.values().unwrap();
    let mut listener = listeners(mesh, &values, outside).unwrap().remove(0);
    let manager = &mut listener["filter_chains"][0]["filters"][0]["typed_config"];
    manager.as_object_mut().unwrap().remove("rds");
    let routes = [
        ("/users/away", "away"),
        ("/posts", "service"),
        ("/ws", "service"),
        ("/openapi.json", "service"),
        ("/api", "service"),
    ];
    let routes = routes
        .map(|(prefix, cluster)| json!({ "match": { "prefix": prefix }, "route": { "cluster": cluster } }));
    manager["route_config"] =
        json!({ "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] });
    let clusters = [
        cluster("service", service()),
        cluster("away", free_port()),
        cluster("otlp", free_port()),
    ];
    json!({ "static_resources": { "listeners": [listener], "clusters": clusters } })
}

fn edge(origins: &str, development: bool, hops: u32) -> Edge {
    let folder = tempfile::tempdir().unwrap();
    let checkout = mesh::checkout().unwrap();
    let port = free_port();
    let ports = [("ingress", port), ("registry", free_port())];
    let mesh = Mesh {
        name: "edge".to_owned(),
        state: folder.path().to_owned(),
        run: folder.path().to_owned(),
        ports: ports.map(|(name, port)| (name.to_owned(), port)).into(),
        hosts: std::collections::BTreeMap::new(),
        release: false,
        programs: tools::programs(&checkout).unwrap(),
        checkout,
    };
    let outside = Outside {
        origins: origins.to_owned(),
        development,
        hops,
    };
    let file = folder.path().join("envoy.json");
    fs::write(&file, bootstrap(&mesh, &outside).to_string()).unwrap();
    let envoy = Command::new(mesh.program("envoy").unwrap())
        .args([
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
            "-l",
            "error",
            "-c",
        ])
        .arg(&file)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let edge = Edge {
        envoy,
        port,
        _folder: folder,
    };
    let started = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(started.elapsed() < PATIENCE, "Envoy does not listen");
        std::thread::yield_now();
    }
    edge
}

impl Edge {
    /// Sends bytes and reads what comes until the connection ends.
    fn raw(&self, bytes: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn ask(&self, request: &str, headers: &str) -> String {
        self.raw(&format!(
            "{request} HTTP/1.1\r\nhost: plaza.example\r\nconnection: close\r\n{headers}\r\n"
        ))
    }

    fn preflight(&self, path: &str, origin: &str, method: &str) -> String {
        let headers = format!(
            "origin: {origin}\r\naccess-control-request-method: {method}\r\naccess-control-request-headers: authorization\r\n"
        );
        self.ask(&format!("OPTIONS {path}"), &headers)
    }
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

/// The values of a header.
fn all<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let head = answer.split("\r\n\r\n").next().unwrap_or_default();
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .filter(|(found, _)| found.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn old_clients_are_answered_and_ambiguous_ones_refused() {
    let edge = edge("", false, 0);
    for host in ["", "Host: plaza\r\n"] {
        let answer = edge.raw(&format!("GET /posts HTTP/1.0\r\n{host}\r\n"));
        assert_eq!(status(&answer), "200", "{answer}");
    }
    for upgrade in ["TLS/1.2", "h2c", "foo", "WEBSOCKETS", "websocket/13", "web"] {
        let headers = format!("Connection: Upgrade\r\nUpgrade: {upgrade}\r\n");
        let answer = edge.ask("GET /posts", &headers);
        assert_eq!(status(&answer), "200", "{upgrade}: {answer}");
        assert!(!answer.contains("|upgrade"), "{upgrade}: {answer}");
    }
    for hosts in ["host: other.example\r\n", "host: plaza.example\r\n"] {
        let answer = edge.ask("GET /posts", hosts);
        assert_eq!(status(&answer), "400", "{answer}");
    }
}

#[test]
fn a_websocket_opens_where_sockets_are_and_nowhere_else() {
    let edge = edge("", false, 0);
    let upgrade =
        "GET /api/movies HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
    let answer = edge.raw(upgrade);
    assert_eq!(status(&answer), "400", "{answer}");
    assert!(answer.contains("No WebSocket is served"), "{answer}");
    let old = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 12\r\n";
    for (path, headers) in [
        ("/ws/reviews", ""),
        ("/ws/posts/x/comments", ""),
        ("/ws/topics/Zoe/", ""),
        ("/ws/reviews", old),
    ] {
        let answer = edge.ask(&format!("GET {path}"), headers);
        assert_eq!(status(&answer), "426", "{path}: {answer}");
        assert_eq!(all(&answer, "upgrade"), ["websocket"], "{path}: {answer}");
        assert_eq!(all(&answer, "sec-websocket-version"), ["13"]);
    }
}

#[test]
fn a_preflight_is_answered_with_exactly_the_methods_of_its_path() {
    let edge = edge("https://friend.example", false, 0);
    let friend = "https://friend.example";
    for (path, method, methods) in [
        ("/posts?limit=1", "POST", "GET, HEAD, POST"),
        ("/posts/async", "POST", "POST"),
        ("/api/posts/x/", "DELETE", "DELETE, GET, HEAD, PUT"),
    ] {
        let answer = edge.preflight(path, friend, method);
        assert_eq!(status(&answer), "204", "{path}: {answer}");
        assert_eq!(all(&answer, "access-control-allow-methods"), [methods]);
        assert_eq!(all(&answer, "access-control-allow-origin"), [friend]);
        assert_eq!(
            all(&answer, "access-control-allow-headers"),
            ["authorization"]
        );
        assert!(all(&answer, "access-control-allow-credentials").is_empty());
    }
    for (path, origin, method, refused) in [
        ("/posts/async", friend, "GET", "405"),
        ("/ws/reviews", friend, "GET", "405"),
        ("/nothing", friend, "GET", "404"),
        ("/posts", "https://foe.example", "POST", "403"),
        ("/posts", "http://localhost:3000", "POST", "403"),
        ("/posts", "null", "POST", "403"),
    ] {
        let answer = edge.preflight(path, origin, method);
        assert_eq!(status(&answer), refused, "{path} {origin}: {answer}");
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    let tool = edge.preflight("/openapi.json", "https://foe.example", "GET");
    assert_eq!(
        (status(&tool), all(&tool, "access-control-allow-origin")),
        ("204", vec!["*"])
    );
}

#[test]
fn pages_of_allowed_origins_read_answers_also_those_of_the_edge_itself() {
    let production = edge(
        "https://friend.example,https://other.example:8443",
        false,
        0,
    );
    let development = edge("", true, 0);
    let every = edge("*", false, 0);
    for (edge, origin, reader) in [
        (
            &production,
            "https://friend.example",
            Some("https://friend.example"),
        ),
        (
            &production,
            "https://other.example:8443",
            Some("https://other.example:8443"),
        ),
        (&production, "https://other.example", None),
        (&production, "https://foe.example", None),
        (&production, "http://localhost:3000", None),
        (
            &development,
            "http://localhost:3000",
            Some("http://localhost:3000"),
        ),
        (
            &development,
            "http://127.0.0.1:5173",
            Some("http://127.0.0.1:5173"),
        ),
        (&development, "http://localhost.foe.example", None),
        (&development, "http://localhost:80@foe.example", None),
        (&every, "https://foe.example", Some("*")),
    ] {
        for (path, expected) in [
            ("/posts", "200"),
            ("/nothing", "404"),
            ("/users/away", "503"),
        ] {
            let answer = edge.ask(&format!("GET {path}"), &format!("origin: {origin}\r\n"));
            assert_eq!(status(&answer), expected, "{answer}");
            let found = all(&answer, "access-control-allow-origin");
            assert_eq!(found, Vec::from_iter(reader), "{path} {origin}");
            let varies = all(&answer, "vary").join(", ").contains("Origin");
            assert_eq!(varies, reader != Some("*"), "{path} {origin}");
            let exposed = all(&answer, "access-control-expose-headers").join("");
            assert_eq!(
                exposed.contains("Link, ETag, Location, Retry-After"),
                reader.is_some()
            );
        }
    }
    let open = production.ask("GET /openapi.json", "origin: https://foe.example\r\n");
    assert_eq!(all(&open, "access-control-allow-origin"), ["*"]);
}

#[test]
fn every_answer_is_of_a_known_kind_and_tells_nothing_of_proxies() {
    let edge = edge("", false, 0);
    let gzip = "accept-encoding: gzip\r\nx-envoy-upstream-rq-timeout-ms: 1\r\n";
    let compressed = edge.ask("GET /posts", gzip);
    assert_eq!(
        all(&compressed, "content-encoding"),
        ["gzip"],
        "{compressed}"
    );
    assert_eq!(all(&compressed, "etag"), ["W/\"1\""], "{compressed}");
    assert!(
        all(&compressed, "vary")
            .join(", ")
            .contains("Accept-Encoding")
    );
    let small = edge.ask("GET /posts/home", gzip);
    assert!(all(&small, "content-encoding").is_empty(), "{small}");
    assert!(!small.contains("rq-timeout"), "{small}");
    let malformed = edge.raw("GET /posts HTTP/1.1\r\nhost : x\r\n\r\n");
    let others = ["/posts", "/nothing", "/users/away", "/ws/reviews", "/%00"];
    let others = others.map(|path| edge.ask(&format!("GET {path}"), ""));
    for answer in others.iter().chain([&compressed, &small, &malformed]) {
        assert_eq!(
            all(answer, "x-content-type-options"),
            ["nosniff"],
            "{answer}"
        );
        assert_eq!(all(answer, "via"), ["1.1 plaza"], "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("x-envoy-"), "{answer}");
    }
}

#[test]
fn behind_a_proxy_the_address_of_a_client_is_the_one_that_the_proxy_saw() {
    let claims = "x-forwarded-for: 203.0.113.9, 203.0.113.1\r\n";
    for (hops, address) in [(0, "127.0.0.1"), (1, "203.0.113.1"), (2, "203.0.113.9")] {
        let answer = edge("", false, hops).ask("GET /posts", claims);
        let expected = format!("|x-forwarded-for: {address}|");
        assert!(answer.contains(&expected), "{hops}: {answer}");
    }
}

#[test]
fn an_unavailable_service_says_when_to_come_back() {
    let problems: Problems =
        serde_json::from_str(r#"{"503":{"title":"Down","message":"no","retry_after":1}}"#).unwrap();

    let replies = local_replies(&problems);

    assert_eq!(
        replies["mappers"][1]["headers_to_add"][0]["header"]["key"],
        "retry-after"
    );
    assert_eq!(
        replies["mappers"][1]["body_format_override"]["json_format"]["status"],
        503
    );
    assert_eq!(
        replies["body_format"]["content_type"],
        "application/problem+json"
    );
}
