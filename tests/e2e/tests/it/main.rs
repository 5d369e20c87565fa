//! Claims that leave the mesh whole, side by side.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod acl;
mod bad_input;
mod canary;
mod credentials;
mod dashboards;
mod discovery;
mod discussions;
mod edge;
mod gateway;
mod golden;
mod guides;
mod identity;
mod intentions;
mod items;
mod journeys;
mod likes;
mod live;
mod live_page;
mod live_rules;
mod live_socketio;
mod metrics;
mod microblog;
mod movies;
mod mtls;
mod notifications;
mod operations;
mod ownership;
mod polls;
mod portal;
mod portal_figures;
mod postman;
mod registry;
mod separate;
mod shop;
mod sockets;
mod source_cars;
mod source_microblog;
mod source_shop;
mod strangers;
mod timelines;
mod tokens;
mod traces;
mod users;
