use std::collections::BTreeMap;

use super::*;
use crate::why::trace::Span;

/// Process, name and tags of a span.
type Step<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

/// A span of a chain: each is below the one before.
fn chain(steps: &[Step<'_>]) -> Story {
    let mut story = Story::default();
    for (number, (process, name, tags)) in steps.iter().enumerate() {
        let tags: BTreeMap<String, String> = tags
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        story.spans.push(Span {
            id: number.to_string(),
            parent: number.checked_sub(1).map(|parent| parent.to_string()),
            process: (*process).to_owned(),
            name: (*name).to_owned(),
            start_us: 1,
            duration_us: 2_000_000,
            tags,
            depth: number,
        });
    }
    story
}

fn first(story: &Story) -> Cause {
    causes(story, &Sources::default(), &Now::default()).remove(0)
}

const PROXY: (&str, &str) = ("component", "proxy");

#[test]
fn a_refusal_by_rbac_names_caller_and_callee() {
    let call = "plaza.discussions.v1.Discussions/AddComment";
    let story = chain(&[
        (
            "users",
            "GET /api/users/{id}",
            &[("http.response.status_code", "500")],
        ),
        (
            "users",
            call,
            &[("span.kind", "client"), ("peer.service", "discussions")],
        ),
        (
            "users-sidecar",
            "egress",
            &[PROXY, ("grpc.status_code", "7")],
        ),
        (
            "discussions-sidecar",
            "ingress",
            &[PROXY, ("grpc.status_code", "7")],
        ),
    ]);
    let found = first(&story);
    assert_eq!(found.kind, "denied call");
    for word in [
        "users may not call discussions",
        call,
        "consul/intentions/discussions.json",
    ] {
        assert!(found.text.contains(word), "{word}: {found:?}");
    }
}

#[test]
fn what_the_client_did_is_told_with_the_words_of_the_answer() {
    for (status, said, kind) in [
        ("401", "The token has expired", "expired token"),
        ("401", "The token was logged out", "revoked token"),
        ("413", "The body is larger than 64 KiB", "too large"),
        ("429", "Too many attempts", "rate limited"),
        ("404", "Post not found", "refused"),
    ] {
        let app: &[(&str, &str)] = &[
            ("http.response.status_code", status),
            ("error.message", said),
        ];
        let story = chain(&[
            ("ingress", "ingress", &[PROXY, ("http.status_code", status)]),
            ("users", "GET /x", app),
        ]);
        let found = first(&story);
        assert_eq!(found.kind, kind, "{found:?}");
        assert!(found.text.contains(said), "{found:?}");
    }
}

#[test]
fn a_store_that_hangs_and_a_service_that_is_dead_are_told_apart() {
    let app: &[(&str, &str)] = &[
        ("http.response.status_code", "503"),
        ("error.message", "The store is too slow; try again"),
    ];
    let find: &[(&str, &str)] = &[("db.system", "mongodb"), ("span.kind", "client")];
    let story = chain(&[
        ("items", "GET /item", app),
        ("items", "db.items.find", find),
    ]);
    let found = first(&story);
    assert_eq!(found.kind, "slow store");
    assert!(
        found
            .text
            .contains("db.items.find (documents) took 2000 ms"),
        "{found:?}"
    );
    let gone: &[(&str, &str)] = &[PROXY, ("http.status_code", "503"), ("response_flags", "UH")];
    let found = first(&chain(&[("polls-sidecar", "ingress", gone)]));
    assert_eq!(found.kind, "dead service");
    assert!(found.text.starts_with("polls does not answer"), "{found:?}");
    let open: &[(&str, &str)] = &[PROXY, ("http.status_code", "503"), ("response_flags", "UO")];
    assert_eq!(
        first(&chain(&[("ingress", "ingress", open)])).kind,
        "open circuit"
    );
}

#[test]
fn an_event_that_nobody_took_waits_and_one_below_it_does_not() {
    let id: &[(&str, &str)] = &[("messaging.message.id", "7")];
    let mut story = chain(&[
        (
            "items",
            "POST /buy/{id}",
            &[("http.response.status_code", "200")],
        ),
        ("items", "amqp.items.bought.publish", id),
    ]);
    story.spans[0].duration_us = 10;
    let found = first(&story);
    assert_eq!(
        (found.kind, found.text.contains("items.bought (7)")),
        ("event waiting", true),
        "{found:?}"
    );
    let mut taken = chain(&[
        ("items", "amqp.items.bought.publish", id),
        ("orders", "amqp.items.bought.consume", &[]),
    ]);
    taken.spans[0].duration_us = 10;
    assert_eq!(first(&taken).kind, "fine");
}
