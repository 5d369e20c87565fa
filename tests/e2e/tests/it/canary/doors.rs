//! Where people register and log in, and what goes beside a request.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, mesh, unique};

use super::Canary;

const REGISTER: [&str; 5] = [
    "/api/users/register",
    "/users/register",
    "/register",
    "/api/auth/register",
    "/auth/register",
];
const LOGIN: [&str; 7] = [
    "/api/users/login",
    "/users/login",
    "/login",
    "/api/auth/login",
    "/auth/login",
    "/auth/signin",
    "/auth/validate",
];

pub(super) async fn knock(canary: &mut Canary) {
    for path in REGISTER.into_iter().chain(LOGIN) {
        wrong_types(canary, path).await;
        wrong_bodies(canary, path).await;
    }
    real_password(canary).await;
    beside_the_body(canary).await;
}

/// Every member in every type, the others as they should be.
async fn wrong_types(canary: &mut Canary, path: &str) {
    let name = unique("c");
    let good = json!({
        "name": name,
        "username": name,
        "email": format!("{name}@example.com"),
        "password": "correct horse battery",
        "confirm_password": "correct horse battery",
    });
    for shape in canary.shapes() {
        canary.post(path, &shape).await;
        for member in ["password", "confirm_password", "email", "username", "token"] {
            // A name that is a text may be shown; that of nobody is no secret either.
            if shape.is_string() && member != "confirm_password" {
                continue;
            }
            let mut body = good.clone();
            body[member] = shape.clone();
            // A good body would make one account for each.
            body["name"] = Value::Null;
            if path.starts_with("/api/users") || path.ends_with("login") {
                body["password"] = shape.clone();
            }
            canary.post(path, &body).await;
        }
    }
}

/// The secret as it comes when a program is wrong about the form of a body.
async fn wrong_bodies(canary: &mut Canary, path: &str) {
    let (text, number) = (canary.text.clone(), canary.number);
    let form = format!("username=nobody&password={text}&password={text}&email={number}");
    for (kind, body) in [
        ("application/json", text.clone()),
        ("application/json", format!("{{\"password\": {text}}}")),
        ("application/json", format!("{{\"password\":\"{text}")),
        (
            "application/json",
            format!("{{\"password\":\"{text}\\x\"}}"),
        ),
        (
            "application/json",
            format!("\u{feff}{{\"password\":\"{text}\"}}"),
        ),
        (
            "application/json",
            format!("{{\"password\":\"{text}\",\"password\":{number}}}"),
        ),
        ("application/json", form.clone()),
        ("application/x-www-form-urlencoded", form.clone()),
        ("application/x-www-form-urlencoded", text.clone()),
        (
            "application/x-www-form-urlencoded",
            format!("{{\"password\":\"{text}\"}}"),
        ),
        ("text/plain", text.clone()),
        (
            "multipart/form-data; boundary=x",
            format!("--x\r\n\r\n{text}\r\n--x--"),
        ),
        (text.as_str(), "{}".to_owned()),
    ] {
        let what = format!("POST {path} {kind} {body}");
        let request = Mesh::current().request(Method::POST, path);
        let request = request.header("content-type", kind).body(body);
        canary.ask(&what, request).await;
    }
}

/// A password that is one: of an account, wrong for another, and in the query, where existing clients send it.
async fn real_password(canary: &mut Canary) {
    let (name, text) = (unique("c"), canary.text.clone());
    let body = json!({"username": name, "email": format!("{name}@example.com"), "password": text});
    canary.post("/users/register", &body).await.expect(201);
    canary.post("/users/register", &body).await.problem(409);
    let query = [("username", name.as_str()), ("password", &text)];
    let request = Mesh::current()
        .request(Method::POST, "/login")
        .query(&query);
    let token = canary.ask("login by query", request).await.expect(200)["access_token"].clone();
    let request = Mesh::current()
        .request(Method::POST, "/login")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(format!("username={name}&password={text}"));
    canary.ask("login by form", request).await.expect(200);
    // The token of that login is as secret from here on; it goes where tokens go.
    let token = token.as_str().unwrap().to_owned();
    canary
        .tokens
        .push(token.rsplit('.').next().unwrap().to_owned());
    let mesh = Mesh::current();
    let own = mesh
        .request(Method::GET, "/api/users/me")
        .bearer_auth(&token);
    canary.ask("one's own profile", own).await.expect(200);
    let cut = mesh
        .request(Method::GET, "/api/users/me")
        .bearer_auth(&token[1..]);
    canary
        .ask("a token with a letter less", cut)
        .await
        .problem(401);
    let query = mesh
        .request(Method::GET, "/api/posts")
        .query(&[("access_token", &token)]);
    canary.ask("a token in the query", query).await;
    let path = format!("/ws/reviews?access_token={token}");
    let page = mesh
        .request(Method::GET, &path)
        .header("sec-websocket-protocol", format!("bearer, {token}"));
    canary.ask("a token for a socket that is none", page).await;
}

/// Headers and queries, where keys are put.
async fn beside_the_body(canary: &mut Canary) {
    let token = Mesh::current().person().await.token;
    in_headers(canary, &token).await;
    in_queries(canary, &token).await;
    let text = canary.text.clone();
    let registry = format!("{}/register", Mesh::current().address("registry"));
    let request = mesh::client()
        .post(registry)
        .bearer_auth(&text)
        .json(&json!({"service_name": [text]}));
    canary.ask("the registry's own port", request).await;
}

async fn in_headers(canary: &mut Canary, token: &str) {
    let text = canary.text.clone();
    for (header, value) in [
        ("authorization", format!("Bearer {text}")),
        ("authorization", format!("Bearer {text}.{text}.{text}")),
        ("authorization", format!("Basic {text}")),
        ("authorization", text.clone()),
        ("proxy-authorization", text.clone()),
        ("x-api-key", text.clone()),
        ("cookie", format!("session={text}")),
        ("idempotency-key", text.clone()),
        ("idempotency-key", format!("\"{text}\", \"{text}\"")),
        ("if-none-match", text.clone()),
        ("accept", text.clone()),
        ("content-encoding", text.clone()),
        ("origin", format!("https://{text}.example")),
        ("baggage", format!("secret={text}")),
    ] {
        for path in [
            "/api/posts",
            "/orders/",
            "/likes/999999999999",
            "/registry/register",
        ] {
            let what = format!("POST {path} {header}: {value}");
            let mut request = Mesh::current().request(Method::POST, path);
            if header != "authorization" {
                request = request.bearer_auth(token);
            }
            let request = request.header(header, value.as_str()).json(&json!({}));
            canary.ask(&what, request).await;
        }
    }
}

async fn in_queries(canary: &mut Canary, token: &str) {
    let text = canary.text.clone();
    for path in REGISTER.into_iter().chain(LOGIN) {
        let query = [
            ("email", "x@example.com"),
            ("password", &text),
            ("password", &text),
        ];
        let request = Mesh::current().request(Method::POST, path).query(&query);
        canary.ask(&format!("POST {path}?password"), request).await;
    }
    let lists = [
        "/api/posts",
        "/products/",
        "/item",
        "/api/movies",
        "/posts",
        "/polls/1",
        "/notifications",
    ];
    for path in lists {
        for query in [
            "limit",
            "cursor",
            "offset",
            "user_id",
            "kind",
            "car_model",
            "token",
            "min_rating",
        ] {
            let request = Mesh::current()
                .request(Method::GET, path)
                .bearer_auth(token);
            let request = request.query(&[(query, &text)]);
            canary.ask(&format!("GET {path}?{query}"), request).await;
        }
    }
}
