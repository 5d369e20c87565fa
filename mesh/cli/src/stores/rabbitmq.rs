//! Definitions of RabbitMQ: it loads them when it starts, before it listens, so that no event comes before its queue.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use topology::{
    Arguments, EXCHANGE, consumer_arguments, dead_arguments, dead_name, own_exchange, queue_name,
};

use super::readers;
use crate::services::Description;

/// Where they are in the checkout.
pub const FILE: &str = "stores/rabbitmq.json";

/// The virtual host of everything.
const HOST: &str = "/";

/// Who may do everything, and is no service.
pub const OPERATOR: &str = "plaza";

/// Returns exchanges, queues, bindings and users.
pub fn definitions(descriptions: &[Description]) -> Value {
    let mut exchanges = vec![exchange(EXCHANGE, "topic")];
    let (mut queues, mut bindings) = (Vec::new(), Vec::new());
    for service in descriptions {
        let own = own_exchange(&service.name);
        if !service.subscriptions.is_empty() {
            exchanges.push(exchange(&own, "direct"));
        }
        for subscription in &service.subscriptions {
            let name = queue_name(&service.name, &subscription.name);
            let dead = dead_name(&name);
            let arguments = consumer_arguments(&own, &dead, !subscription.shared);
            queues.push(queue(&name, &arguments));
            queues.push(queue(&dead, &dead_arguments()));
            bindings.push(binding(&own, &name, &name));
            bindings.push(binding(&own, &dead, &dead));
            let events = subscription.events.iter();
            bindings.extend(events.map(|kind| binding(EXCHANGE, &name, kind)));
        }
    }
    let services: Vec<_> = readers(descriptions, "AMQP_URL").collect();
    let operator =
        json!({ "name": OPERATOR, "password": "${secret.rabbitmq}", "tags": "administrator" });
    let mut users = vec![operator];
    users.extend(services.iter().map(|service| {
        let password = format!("${{secret.rabbitmq-{}}}", service.name);
        json!({ "name": service.name, "password": password, "tags": "" })
    }));
    let mut permissions = vec![rights(OPERATOR, ".*", ".*", ".*")];
    permissions.extend(services.iter().copied().map(own_rights));
    let topics: Vec<_> = services.iter().copied().map(topics).collect();
    json!({
        "vhosts": [{ "name": HOST }],
        "users": users,
        "permissions": permissions,
        "topic_permissions": topics,
        "exchanges": exchanges,
        "queues": queues,
        "bindings": bindings,
    })
}

fn rights(user: &str, configure: &str, write: &str, read: &str) -> Value {
    json!({ "user": user, "vhost": HOST, "configure": configure, "write": write, "read": read })
}

/// A service makes, fills and empties what has its name; one without consumers only tells.
fn own_rights(service: &Description) -> Value {
    let (name, events) = (&service.name, escaped(EXCHANGE));
    if service.subscriptions.is_empty() {
        return rights(name, "^$", &format!("^({events})$"), "^$");
    }
    let own = format!(r"{}\..*", escaped(name));
    let used = format!("^({events}|{own})$");
    rights(name, &format!("^{own}$"), &used, &used)
}

/// A service tells what happened in it and nowhere else, and hears what its consumers handle.
fn topics(service: &Description) -> Value {
    let subscriptions = service.subscriptions.iter();
    let heard: BTreeSet<_> = subscriptions
        .flat_map(|one| one.events.iter().chain(&one.dropped))
        .map(|kind| escaped(kind))
        .collect();
    let heard = Vec::from_iter(heard).join("|");
    let read = if heard.is_empty() {
        "^$".to_owned()
    } else {
        format!("^({heard})$")
    };
    json!({
        "user": service.name, "vhost": HOST, "exchange": EXCHANGE,
        "write": format!(r"^{}\.", escaped(&service.name)), "read": read,
    })
}

/// Names are words of letters, digits, `-` and `_`, parted by dots.
fn escaped(name: &str) -> String {
    name.replace('.', r"\.")
}

fn exchange(name: &str, kind: &str) -> Value {
    json!({
        "name": name, "vhost": HOST, "type": kind,
        "durable": true, "auto_delete": false, "internal": false, "arguments": {},
    })
}

fn queue(name: &str, arguments: &Arguments) -> Value {
    json!({ "name": name, "vhost": HOST, "durable": true, "auto_delete": false, "arguments": arguments })
}

fn binding(exchange: &str, queue: &str, key: &str) -> Value {
    json!({
        "source": exchange, "vhost": HOST, "destination": queue, "destination_type": "queue",
        "routing_key": key, "arguments": {},
    })
}
