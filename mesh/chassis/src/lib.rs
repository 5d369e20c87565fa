//! What all services share, so that a service is only what makes it different.
//!
//! A service implements [`Service`] and its `main` is [`main`]. From its route table
//! ([`Route`]) and its client types ([`peer!`]) follow the HTTP filter, the OpenAPI document,
//! the ingress routes, the intentions, spans and metrics.

mod accept;
mod account;
mod address;
mod admin;
mod announce;
mod answer;
mod app;
mod body;
pub mod client;
pub mod clock;
mod connection;
pub mod docs;
#[cfg(feature = "documents")]
pub mod documents;
mod error;
pub mod flight;
mod follow;
mod front;
mod health;
pub mod json;
mod listen;
mod money;
mod objective;
mod openapi;
pub mod operation;
mod page;
mod patience;
mod query;
#[cfg(feature = "redis")]
pub mod redis;
mod reply;
mod request;
mod rest;
mod route;
mod schema;
mod server;
mod service;
mod settings;
pub mod socket;
#[cfg(feature = "sql")]
pub mod sql;
#[cfg(any(feature = "sql", feature = "documents", feature = "redis"))]
mod stores;
pub mod text;
pub mod token;
mod upstream;
mod web;
mod widest;

pub use account::{AccountId, USERNAME_LENGTH, is_username};
pub use address::{address_key, is_mailable};
pub use answer::Answer;
pub use app::{App, main};
pub use discovery::Place;
pub use error::{Code, Error, cause};
pub use money::{Money, Price};
pub use objective::Objective;
pub use operation::{Operations, Repeatable};
pub use page::{CursorTime, DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, Page, Paging};
pub use proto::Rpc;
pub use query::Parameter;
pub use reply::{Content, Negotiated, Nothing};
pub use request::Request;
pub use route::{Auth, DEFAULT_BODY_LIMIT, Route, RouteInfo};
pub use service::{Context, Service, TokenSource, describe};
pub use settings::{Algorithm, Environment, Registration, Roles, Settings};
pub use text::Text;
pub use token::{Claims, Identity, Tokens};
pub use upstream::{Address, Call, DEFAULT_DEADLINE, Upstream};
pub use web::{is_web_reference, is_web_url};
