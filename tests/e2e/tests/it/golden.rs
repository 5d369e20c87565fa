//! Claim: each use case has a trace of a known shape: ingress, sidecars, services, SQL, documents,
//! Redis, the broker's hops and sockets' frames in one tree. Where one line of propagation is cut,
//! a path of the table below is missing.

use std::{collections::BTreeMap, fmt::Write as _};

use futures_util::future::BoxFuture;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Reply, eventually, mesh, mesh::Person, send, unique};

use crate::live::{bearer, heard, open, post, say};

/// What somebody does, and the paths that its trace must have, from the root on. A step is a
/// process, and words that are in the span's name or in its SQL operation.
struct UseCase {
    name: &'static str,
    /// Does it, and gives the id of its trace.
    act: fn() -> BoxFuture<'static, String>,
    paths: &'static [&'static str],
}

const USE_CASES: &[UseCase] = &[
    UseCase {
        name: "a profile, with what another service knows",
        act: || Box::pin(profile()),
        paths: &[
            "ingress > users-sidecar > users GET /api/users/{user_id} > users sea_orm SELECT",
            "ingress > users-sidecar > users GET /api/users/{user_id} > users CountByUser > users-sidecar \
             > discussions-sidecar > discussions CountByUser > discussions db.",
        ],
    },
    UseCase {
        name: "a post, into the home of a follower",
        act: || Box::pin(microblog_post()),
        paths: &[
            "ingress > timelines-sidecar > timelines POST /posts > timelines sea_orm INSERT",
            "ingress > timelines-sidecar > timelines POST /posts > timelines amqp.timelines.posted.publish \
             > timelines amqp.timelines.posted.consume > timelines redis.home.add",
        ],
    },
    UseCase {
        name: "a post by a job",
        act: || Box::pin(post_by_job()),
        paths: &[
            "ingress > timelines-sidecar > timelines POST /posts/async > timelines amqp.timelines.queued.publish \
             > timelines amqp.timelines.queued.consume > timelines sea_orm INSERT",
            "ingress > timelines-sidecar > timelines POST /posts/async > timelines amqp.timelines.queued.publish \
             > timelines amqp.timelines.queued.consume > timelines amqp.timelines.posted.publish \
             > timelines amqp.timelines.posted.consume",
        ],
    },
    UseCase {
        name: "a like",
        act: || Box::pin(like()),
        paths: &[
            "ingress > likes-sidecar > likes POST /likes/{post_id} > likes sea_orm INSERT",
            "ingress > likes-sidecar > likes POST /likes/{post_id} > likes redis.likes.write_counts",
            "ingress > likes-sidecar > likes POST /likes/{post_id} > likes amqp.likes.liked.publish \
             > likes amqp.likes.liked.consume > likes Timelines/Get > likes-sidecar > timelines-sidecar \
             > timelines Timelines/Get > timelines sea_orm SELECT",
        ],
    },
    UseCase {
        name: "a vote",
        act: || Box::pin(vote()),
        paths: &[
            "ingress > polls-sidecar > polls POST /polls/{poll_id}/vote > polls db.ballots.insert",
        ],
    },
    UseCase {
        name: "a purchase, into orders and mails",
        act: || Box::pin(purchase()),
        paths: &[
            "ingress > items-sidecar > items POST /buy/{id} > items db.",
            "ingress > items-sidecar > items POST /buy/{id} > items amqp.items.bought.publish \
             > orders amqp.items.bought.consume > orders sea_orm INSERT",
            "ingress > items-sidecar > items POST /buy/{id} > items amqp.items.bought.publish \
             > notifications amqp.items.bought.consume > notifications Users/Contact > notifications-sidecar \
             > users-sidecar > users Users/Contact > users sea_orm SELECT",
            "ingress > items-sidecar > items POST /buy/{id} > items amqp.items.bought.publish \
             > notifications amqp.items.bought.consume > notifications amqp.notifications.queued.publish \
             > notifications amqp.notifications.queued.consume > notifications smtp.send",
        ],
    },
    UseCase {
        name: "movies, looked for in the cache and then in SQL",
        act: || Box::pin(movies()),
        paths: &[
            "ingress > movies-sidecar > movies GET /api/movies/search > movies redis.movies.find",
            "ingress > movies-sidecar > movies GET /api/movies/search > movies sea_orm SELECT",
        ],
    },
    UseCase {
        name: "a comment over a socket, to other sockets",
        act: || Box::pin(comment()),
        paths: &[
            "live socket.comment > live AddComment > live-sidecar > discussions-sidecar \
             > discussions AddComment > discussions db.comments.append",
            "live socket.comment > live AddComment > live-sidecar > discussions-sidecar \
             > discussions AddComment > discussions redis.comments.tell",
            "live socket.comment > live AddComment > live-sidecar > discussions-sidecar \
             > discussions AddComment > live socket.deliver",
        ],
    },
];

async fn done(person: &Person, method: Method, path: &str, body: &Value) -> Reply {
    let reply = Mesh::current().call(method, path, &person.token, body);
    let reply = reply.await;
    assert!((200..300).contains(&reply.status), "{path}: {}", reply.text);
    reply
}

/// The trace in which something was answered, as the ingress says.
fn trace_of(reply: &Reply) -> String {
    reply.header("x-trace-id").to_owned()
}

async fn profile() -> String {
    let person = Mesh::current().person().await;
    let path = format!("/api/users/{}", person.id);
    trace_of(&done(&person, Method::GET, &path, &Value::Null).await)
}

async fn microblog_post() -> String {
    let mesh = Mesh::current();
    let (author, reader) = (mesh.person().await, mesh.person().await);
    let follow = format!("/users/follow/{}", author.username);
    done(&reader, Method::POST, &follow, &Value::Null).await;
    let first = json!({"text": unique("first ")});
    done(&author, Method::POST, "/posts", &first).await;
    // From now on the reader's home is kept current.
    let home = format!("/posts/home/{}", reader.username);
    eventually("the follower reads the author", || async {
        let shown = done(&reader, Method::GET, &home, &Value::Null).await;
        let found = shown.text.contains(first["text"].as_str().unwrap());
        found.then_some(()).ok_or(shown.text)
    })
    .await;
    let second = json!({"text": unique("second ")});
    trace_of(&done(&author, Method::POST, "/posts", &second).await)
}

async fn post_by_job() -> String {
    let author = Mesh::current().person().await;
    let body = json!({"text": unique("later ")});
    trace_of(&done(&author, Method::POST, "/posts/async", &body).await)
}

async fn like() -> String {
    let author = Mesh::current().person().await;
    let body = json!({"text": unique("to be liked ")});
    let posted = done(&author, Method::POST, "/posts", &body).await;
    let path = format!("/likes/{}", posted.json["post_id"]);
    trace_of(&done(&author, Method::POST, &path, &Value::Null).await)
}

async fn vote() -> String {
    let person = Mesh::current().person().await;
    let body = json!({"question": "Which?", "options": ["a", "b"]});
    let poll = done(&person, Method::POST, "/polls", &body).await;
    let id = poll.json["poll_id"].to_string();
    let path = format!("/polls/{}/vote", id.trim_matches('"'));
    trace_of(&done(&person, Method::POST, &path, &json!({"choice_index": 0})).await)
}

async fn purchase() -> String {
    let mesh = Mesh::current();
    let (seller, buyer) = (mesh.person().await, mesh.person().await);
    let item = json!({"name": unique("Lamp "), "price": 1, "quantity": 3});
    let created = done(&seller, Method::POST, "/item", &item).await;
    let path = format!("/buy/{}", created.json["item"]["id"]);
    trace_of(&done(&buyer, Method::POST, &path, &json!({})).await)
}

async fn movies() -> String {
    let person = Mesh::current().person().await;
    let path = format!("/api/movies/search?title={}", unique("never"));
    trace_of(&done(&person, Method::GET, &path, &Value::Null).await)
}

async fn comment() -> String {
    let person = Mesh::current().person().await;
    let post_id = post(&person, "Zoe").await;
    let path = format!("/ws/posts/{post_id}/comments");
    let mut writer = open(&path, &bearer(&person)).await.unwrap();
    let mut reader = open(&path, &[]).await.unwrap();
    say(&mut writer, json!({"comment_text": "So true"})).await;
    assert_eq!(heard(&mut reader).await["comment_text"], "So true");
    // Who speaks over a socket is told no id; the room is in the spans.
    let tags = json!({"socket.room": format!("posts:{post_id}")}).to_string();
    let jaeger = Mesh::current().address("jaeger");
    let url = format!("{jaeger}/api/traces?service=live&lookback=1h&limit=5");
    eventually("the trace of a frame", || async {
        let request = mesh::client().get(&url).query(&[("tags", &tags)]);
        let found = send(request).await;
        let id = found.json["data"][0]["traceID"].as_str();
        id.map(str::to_owned).ok_or(found.text)
    })
    .await
}

/// A span, with what the table asks of it.
struct Span {
    parent: Option<String>,
    process: String,
    name: String,
}

impl Span {
    fn read(span: &Value, processes: &Value) -> (String, Self) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let process = span["processID"].as_str().unwrap_or_default();
        let references = span["references"].as_array().into_iter().flatten();
        // Others are links to other traces.
        let mut parents = references.filter(|reference| reference["refType"] == "CHILD_OF");
        let tags = span["tags"].as_array().into_iter().flatten();
        let mut operation = tags.filter(|tag| tag["key"] == "db.operation");
        let operation = operation.next().map(|tag| text(&tag["value"]));
        let read = Self {
            parent: parents.next().map(|parent| text(&parent["spanID"])),
            process: text(&processes[process]["serviceName"]),
            name: format!(
                "{} {}",
                text(&span["operationName"]),
                operation.unwrap_or_default()
            ),
        };
        (text(&span["spanID"]), read)
    }

    fn is(&self, step: &str) -> bool {
        let mut words = step.split(' ');
        words.next() == Some(&self.process)
            && words.all(|word| self.name.split(' ').any(|name| name.contains(word)))
    }
}

/// A trace as it is now.
struct Tree(BTreeMap<String, Span>);

impl Tree {
    async fn of(trace_id: &str) -> Self {
        let jaeger = Mesh::current().address("jaeger");
        let url = format!("{jaeger}/api/traces/{trace_id}");
        let reply = send(mesh::client().get(url)).await;
        let trace = &reply.json["data"][0];
        let spans = trace["spans"].as_array().into_iter().flatten();
        Self(
            spans
                .map(|span| Span::read(span, &trace["processes"]))
                .collect(),
        )
    }

    fn has(&self, path: &str) -> bool {
        self.0.values().any(|leaf| {
            let mut next = Some(leaf);
            for step in path.rsplit('>') {
                match next {
                    Some(span) if span.is(step.trim()) => next = self.parent(span),
                    _ => return false,
                }
            }
            next.is_none()
        })
    }

    fn parent(&self, span: &Span) -> Option<&Span> {
        self.0.get(span.parent.as_ref()?)
    }

    /// How many spans hang in the air: their parents are not there yet, or never come.
    fn torn(&self) -> usize {
        let spans = self.0.values();
        spans
            .filter(|span| span.parent.is_some() && self.parent(span).is_none())
            .count()
    }

    fn print(&self) -> String {
        let mut text = String::new();
        let roots = self.0.iter();
        for (id, root) in roots.filter(|(_, span)| self.parent(span).is_none()) {
            self.print_below(&mut text, id, root, 1);
        }
        text
    }

    fn print_below(&self, text: &mut String, id: &str, span: &Span, depth: usize) {
        let _ = writeln!(text, "{:depth$}{} {}", "", span.process, span.name);
        for (below, child) in &self.0 {
            if child.parent.as_deref() == Some(id) {
                self.print_below(text, below, child, depth + 2);
            }
        }
    }
}

#[tokio::test]
async fn every_use_case_is_one_tree_of_its_shape() {
    let mut traces = Vec::new();
    for case in USE_CASES {
        traces.push((case, (case.act)().await));
    }
    for (case, trace_id) in &traces {
        // Each process sends its spans in batches of its own, in any order.
        eventually("the whole of a trace", || async {
            match faults_of(case, trace_id).await {
                faults if faults.is_empty() => Ok(()),
                faults => Err(faults),
            }
        })
        .await;
    }
}

/// What a trace still lacks; nothing when it is whole.
async fn faults_of(case: &UseCase, trace_id: &str) -> String {
    let tree = Tree::of(trace_id).await;
    let missing = case.paths.iter().filter(|path| !tree.has(path));
    let missing: Vec<&&str> = missing.collect();
    match tree.torn() {
        0 if missing.is_empty() => String::new(),
        torn => format!(
            "\n{}: trace {trace_id} has no {missing:#?} and {torn} spans without their parents in\n{}",
            case.name,
            tree.print()
        ),
    }
}
