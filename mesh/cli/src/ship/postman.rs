//! Collections to try the API with: every operation of the `OpenAPI` document once, in an order in which each finds what it needs,
//! from an empty system on. Postman shows them, and its newman runs them in the tests.

use std::collections::BTreeSet;

use anyhow::Result;
use serde_json::{Value, json};

use super::schema::{members, resolve};
use crate::generate::{Files, pretty};
use crate::services::{self, Description, PUBLIC, Route};

const FOLDER: &str = "docs/postman";

/// The collections, and which paths are in them: clients of the movie platform know theirs by this name (S3-39).
const COLLECTIONS: &[(&str, &[&str])] = &[
    ("Plaza", &["/"]),
    (
        "Movie-Review-Platform",
        &["/api/auth/", "/api/movies", "/ws/reviews"],
    ),
];

/// What later requests need of an answer: the request, the variable, and the member of the answer.
const KEPT: &[(&str, &str, &str)] = &[
    ("POST /api/users/login", "token", "token"),
    ("POST /api/auth/login", "token", "access_token"),
    ("POST /api/users/login", "user", "user_id"),
    ("POST /api/posts", "discussion", "post_id"),
    (
        "POST /api/posts/{post_id}/comments",
        "comment",
        "comment_id",
    ),
    ("POST /api/movies", "movie", "id"),
    ("POST /api/movies/{id}/reviews", "review", "id"),
    ("POST /item", "item", "item.id"),
    (
        "POST /notifications/send",
        "notification",
        "notification.id",
    ),
    ("POST /orders/", "order", "order.id"),
    ("POST /polls", "poll", "poll_id"),
    ("POST /posts", "post", "post_id"),
    ("POST /posts/async", "job", "job_id"),
    ("POST /products/", "product", "product.id"),
    ("POST /registry/register", "instance", "instance_id"),
];

/// What stands for a parameter, by the end of the path up to it; the first that fits.
const PARAMETERS: &[(&str, &str)] = &[
    ("/api/posts/{post_id}", "{{discussion}}"),
    ("/ws/posts/{post_id}", "{{discussion}}"),
    ("{post_id}", "{{post}}"),
    ("{comment_id}", "{{comment}}"),
    ("{room}", "posts:{{discussion}}"),
    ("{car_model}", "Zoe"),
    ("/movies/{id}", "{{movie}}"),
    ("{review_id}", "{{review}}"),
    ("/item/{id}", "{{item}}"),
    ("/buy/{id}", "{{item}}"),
    ("/notifications/{id}", "{{notification}}"),
    ("/orders/{id}", "{{order}}"),
    ("{poll_id}", "{{poll}}"),
    ("{job_id}", "{{job}}"),
    ("/products/{id}", "{{product}}"),
    ("{instance_id}", "{{instance}}"),
    ("{service_name}", "users"),
    ("/docs/{file}", "swagger-ui.css"),
    ("/portal/{file}", "portal.css"),
    ("{user_id}", "{{user}}"),
    ("follow/{username}", "{{other}}"),
    ("{username}", "{{username}}"),
];

/// Parameters of a query without which nothing is answered.
const NEEDED: &[(&str, &str, &str)] = &[
    ("/api/topics/subscription", "car_model", "208/2008"),
    ("/ws/presence", "room", "posts:{{discussion}}"),
];

/// What stands for a member of a body, whatever its example is.
const MEMBERS: &[(&str, &str)] = &[
    ("username", "{{username}}"),
    ("email", "{{username}}@example.com"),
    ("product_id", "{{product}}"),
    ("token", "{{token}}"),
];

/// What cannot succeed here: the request, the status that it gets, and why.
const REFUSED: &[(&str, u16, &str)] = &[
    (
        "POST /buy/{id}",
        403,
        "Nobody buys an item of their own, and all of this is one person.",
    ),
    (
        "GET /socket.io/",
        400,
        "Clients of Socket.IO say what this asks for, by their own protocol.",
    ),
];

/// A success that needs a WebSocket, and what others get.
const SOCKET: (&str, u16, &str) = (
    "101",
    426,
    "A WebSocket: who does not ask for one is told so.",
);

/// Ends the token.
const SIGN_OUT: &str = "POST /api/auth/logout";
/// Ends the account, and so the collection: with the password, since the token is no good any more.
const LEAVE: &str = "DELETE /auth/delete";

/// Before somebody registers: a name that nobody has, and the one before is somebody else's.
const NEW_PERSON: &[&str] = &[
    "const unique = Date.now().toString(36) + Math.random().toString(36).slice(2, 7);",
    "pm.collectionVariables.set('other', pm.collectionVariables.get('username'));",
    "pm.collectionVariables.set('username', 'postman-' + unique);",
];

/// What is done one after the other, by all services.
#[derive(Clone, Copy, PartialEq)]
enum Step {
    SignIn,
    Make,
    Read,
    Change,
    Remove,
    SignOut,
    Leave,
}

const STEPS: &[(Step, &str)] = &[
    (Step::SignIn, "1 sign in"),
    (Step::Make, "2 make"),
    (Step::Read, "3 read"),
    (Step::Change, "4 change"),
    (Step::Remove, "5 remove"),
    (Step::SignOut, "6 sign out"),
    (Step::Leave, "7 leave"),
];

/// Returns the collections, and the environment that they run in.
pub fn files(descriptions: &[Description]) -> Result<Files> {
    let environment = json!({
        "name": "Plaza on this machine",
        "values": [{ "key": "ingress", "value": "http://localhost:8080", "enabled": true }],
    });
    let mut files = Files::from([(
        format!("{FOLDER}/local.postman_environment.json"),
        pretty(&environment)?,
    )]);
    let services = services::in_order(descriptions);
    for (name, paths) in COLLECTIONS {
        let path = format!("{FOLDER}/{name}.postman_collection.json");
        files.insert(path, pretty(&collection(name, paths, &services))?);
    }
    Ok(files)
}

fn collection(name: &str, paths: &[&str], services: &[&Description]) -> Value {
    let folders = STEPS.iter().map(|(step, title)| {
        let mut of_services: Vec<_> = services
            .iter()
            .filter_map(|service| folder(service, *step, paths))
            .collect();
        if *step == Step::Remove {
            of_services.reverse();
        }
        json!({ "name": title, "item": of_services })
    });
    json!({
        "info": {
            "name": name,
            "description": "Run as a whole, in its order. Written by `cargo mesh generate`.",
            "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json",
        },
        "auth": { "type": "bearer", "bearer": [{ "key": "token", "value": "{{token}}", "type": "string" }] },
        "item": folders.collect::<Vec<_>>(),
    })
}

/// Returns what a service does in one step; what was made last goes first.
fn folder(service: &Description, step: Step, paths: &[&str]) -> Option<Value> {
    let wanted = |route: &&Route| {
        route.listener == PUBLIC && paths.iter().any(|path| route.template.starts_with(path))
    };
    let operations = service.routes.iter().filter(wanted).map(|route| Operation {
        route,
        document: &service.openapi,
        spec: &service.openapi["paths"][route.documented()][route.method.to_lowercase()],
    });
    // Routes that share a path with another's operation are not documented.
    let mut names = BTreeSet::new();
    let shown =
        operations.filter(|operation| operation.spec.is_object() && names.insert(operation.name()));
    let mut items: Vec<_> = shown
        .filter(|operation| operation.step() == step)
        .map(|operation| operation.item())
        .collect();
    if step == Step::Remove {
        items.reverse();
    }
    (!items.is_empty())
        .then(|| json!({ "name": service.name, "description": service.about, "item": items }))
}

/// An operation of a service's document.
struct Operation<'a> {
    route: &'a Route,
    document: &'a Value,
    spec: &'a Value,
}

impl Operation<'_> {
    fn name(&self) -> String {
        format!("{} {}", self.route.method, self.route.template)
    }

    /// Returns the status of success.
    fn success(&self) -> &str {
        let statuses = members(&self.spec["responses"]).map(|(status, _)| status.as_str());
        statuses.min().unwrap_or_default()
    }

    fn step(&self) -> Step {
        match self.route.method.as_str() {
            "GET" => Step::Read,
            "DELETE" if self.name() == LEAVE => Step::Leave,
            "DELETE" => Step::Remove,
            "POST" if self.name() == SIGN_OUT => Step::SignOut,
            "POST" if self.route.auth == "none" => Step::SignIn,
            "POST" if matches!(self.success(), "201" | "202") => Step::Make,
            _ => Step::Change,
        }
    }

    fn item(&self) -> Value {
        let name = self.name();
        let refused = REFUSED.iter().find(|(request, ..)| *request == name);
        let refused = refused.or((self.success() == SOCKET.0).then_some(&SOCKET));
        let mut tests = match refused {
            Some((_, status, _)) => expect(
                &status.to_string(),
                "pm.expect(pm.response.json()).to.have.property('message');",
            ),
            None => expect(self.success(), &self.kind()),
        };
        let kept = KEPT.iter().filter(|(request, ..)| *request == name);
        tests.extend(kept.map(|(_, variable, member)| {
            format!("pm.collectionVariables.set('{variable}', pm.response.json().{member});")
        }));
        let mut events = vec![script("test", tests)];
        if self.step() == Step::SignIn && self.success() == "201" {
            events.push(script("prerequest", NEW_PERSON.to_vec()));
        }
        let mut request = self.request();
        if let Some((.., why)) = refused {
            request["description"] = json!(why);
        }
        let summary = self.spec["summary"].as_str().unwrap_or_default();
        json!({ "name": format!("{name}: {summary}"), "request": request, "event": events })
    }

    fn request(&self) -> Value {
        let mut request = json!({ "method": self.route.method, "url": self.url() });
        if self.route.auth == "none" || self.name() == LEAVE {
            request["auth"] = json!({ "type": "noauth" });
        }
        let body = &self.spec["requestBody"]["content"]["application/json"]["example"];
        if !body.is_null() {
            request["header"] = json!([{ "key": "content-type", "value": "application/json" }]);
            let options = json!({ "raw": { "language": "json" } });
            let raw = with_variables(body.clone());
            request["body"] = json!({ "mode": "raw", "raw": raw, "options": options });
        }
        request
    }

    fn url(&self) -> Value {
        let (mut so_far, mut path, mut variables) = (String::new(), Vec::new(), Vec::new());
        for segment in self.route.template.split('/').skip(1) {
            so_far += "/";
            so_far += segment;
            let name = segment
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            let Some(name) = name else {
                path.push(segment.to_owned());
                continue;
            };
            path.push(format!(":{name}"));
            let value = PARAMETERS.iter().find(|(end, _)| so_far.ends_with(end));
            let value = value.map_or("1", |(_, value)| value);
            variables.push(json!({ "key": name, "value": value }));
        }
        let parameters = self.spec["parameters"].as_array().into_iter().flatten();
        let query = parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| {
                let (name, about) = (&parameter["name"], &parameter["description"]);
                let needed = NEEDED.iter().find(|(template, needed, _)| {
                    self.route.template == *template && name == needed
                });
                let value = needed.map_or("", |(.., value)| value);
                json!({ "key": name, "value": value, "description": about, "disabled": needed.is_none() })
            });
        json!({
            "raw": format!("{{{{ingress}}}}/{}", path.join("/")),
            "host": ["{{ingress}}"],
            "path": path,
            "variable": variables,
            "query": query.collect::<Vec<_>>(),
        })
    }

    /// Says in a test what kind of answer the document promises.
    fn kind(&self) -> String {
        if self.success() == "204" {
            return "pm.expect(pm.response.text()).to.equal('');".to_owned();
        }
        let content = &self.spec["responses"][self.success()]["content"];
        let json = &content["application/json"]["schema"];
        if json.is_null() {
            let kinds: Vec<_> = members(content).map(|(kind, _)| kind).collect();
            return format!(
                "pm.expect({}).to.include(pm.response.headers.get('content-type').split(';')[0]);",
                json!(kinds)
            );
        }
        let schema = resolve(json, self.document);
        if schema["type"] == "array" {
            return "pm.expect(pm.response.json()).to.be.an('array');".to_owned();
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let required: Vec<_> = required.collect();
        if required.is_empty() {
            return "pm.expect(pm.response.json()).to.be.an('object');".to_owned();
        }
        let required = json!(required);
        format!("pm.expect(pm.response.json()).to.include.all.keys({required});")
    }
}

/// Two tests: the status, and something about the answer.
fn expect(status: &str, kind: &str) -> Vec<String> {
    vec![
        format!("pm.test('{status}', () => pm.response.to.have.status({status}));"),
        format!("pm.test('the answer is as documented', () => {{ {kind} }});"),
    ]
}

fn script(listen: &str, lines: impl Into<Value>) -> Value {
    json!({ "listen": listen, "script": { "type": "text/javascript", "exec": lines.into() } })
}

/// Writes a body, with variables for the members that have one. A number's is written bare.
fn with_variables(mut body: Value) -> String {
    let mut numbers = Vec::new();
    for (name, variable) in MEMBERS {
        if let Some(member) = body.get_mut(name) {
            if member.is_number() {
                numbers.push(variable);
            }
            *member = json!(variable);
        }
    }
    let text = format!("{body:#}");
    numbers.iter().fold(text, |text, variable| {
        text.replace(&format!("\"{variable}\""), variable)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop() -> Vec<Description> {
        let created = |member: &str| json!({ "201": { "content": { "application/json": { "schema": { "type": "object", "required": [member] } } } } });
        let body =
            |example: Value| json!({ "content": { "application/json": { "example": example } } });
        let order = json!({ "product_id": 1, "quantity": 2 });
        let orders = json!({
            "name": "orders",
            "calls": [{ "service": "products", "path": "/plaza.products.v1.Products/Get" }],
            "routes": [{ "method": "POST", "template": "/orders/", "auth": "required" }],
            "openapi": { "paths": { "/orders": { "post": { "requestBody": body(order), "responses": created("order") } } } },
        });
        let product = json!({ "name": "example" });
        let products = json!({
            "name": "products",
            "routes": [
                { "method": "GET", "template": "/products/{id}", "auth": "none" },
                { "method": "POST", "template": "/products/", "auth": "required" },
                { "method": "GET", "template": "/hidden", "auth": "none" },
            ],
            "openapi": { "paths": {
                "/products": { "post": { "requestBody": body(product), "responses": created("product") } },
                "/products/{id}": { "get": { "responses": { "404": {}, "200": {} } } },
            } },
        });
        [orders, products]
            .map(|service| serde_json::from_value(service).unwrap())
            .into()
    }

    #[test]
    fn s3_39_what_is_made_is_there_for_those_who_need_it() {
        let services = shop();

        let collection = collection("Shop", &["/"], &services::in_order(&services));

        let steps = collection["item"].as_array().unwrap();
        let requests = steps
            .iter()
            .flat_map(|step| step["item"].as_array().unwrap())
            .flat_map(|of| of["item"].as_array().unwrap());
        let requests: Vec<_> = requests.collect();
        let names: Vec<_> = requests
            .iter()
            .map(|request| request["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            [
                "POST /products/: ",
                "POST /orders/: ",
                "GET /products/{id}: "
            ]
        );
        let kept = "pm.collectionVariables.set('product', pm.response.json().product.id);";
        assert!(requests[0]["event"].to_string().contains(kept));
        let body = requests[1]["request"]["body"]["raw"].as_str().unwrap();
        assert_eq!(
            body,
            "{\n  \"product_id\": {{product}},\n  \"quantity\": 2\n}"
        );
        let url = &requests[2]["request"]["url"];
        assert_eq!(url["raw"], "{{ingress}}/products/:id");
        assert_eq!(
            url["variable"],
            json!([{ "key": "id", "value": "{{product}}" }])
        );
    }
}
