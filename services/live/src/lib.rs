//! `live` holds the sockets: comments on posts, discussions of car models, rooms of movies.
//!
//! Its contract is S0-11, S0-16, S0-23, S0-27 and S3-19 to S3-25 with decisions D8, D10, D22,
//! D23 and D23b. It stores nothing. Any instance serves any room: what is said reaches the others by
//! Redis. Comments are stored and numbered by `discussions`, which tells of each over Redis too;
//! where Redis lost one, it is fetched (`docs/adr/0021-live-rooms.md`).

mod bus;
mod clients;
mod comments;
mod events;
mod http;
mod hub;
mod limits;
mod line;
mod metrics;
pub mod model;
mod presence;
mod reviews;
mod room;
mod session;
mod socketio;
mod topics;
mod trace;

use std::{sync::Arc, time::Duration};

use chassis::{Call, Context, Error, Route, Service, Tokens, redis};
use messaging::{Broker, Subscription};

use crate::{
    bus::Bus,
    clients::Discussions,
    hub::Hub,
    limits::{Limits, Seats},
    presence::Presence,
    socketio::Door,
};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Where what is said passes between instances.
    #[command(flatten)]
    pub redis: redis::Settings,
    /// Where events come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
    /// Who may have how much.
    #[command(flatten)]
    pub limits: Limits,
    /// Milliseconds between looks at the store for comments that nobody told of, a room
    #[arg(long, env = "LIVE_LOOK_MILLIS", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(50..=60_000))]
    pub look_millis: u64,
}

/// The service.
#[derive(Debug)]
pub struct Live {
    hub: Arc<Hub>,
    presence: Arc<Presence>,
    seats: Arc<Seats>,
    door: Door,
    limits: Limits,
    tokens: Arc<Tokens>,
}

impl Service for Live {
    const NAME: &'static str = "live";
    const DESCRIPTION: &'static str = "Sockets: live comments, topics and movie rooms";
    const HEARS: &'static [&'static str] = &["discussions"];
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        Discussions::CALLS.to_vec()
    }

    fn subscriptions() -> Vec<Subscription> {
        vec![events::ROOMS]
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let discussions = Discussions::connect(context)?;
        let broker = Broker::new(Self::NAME, &settings.messaging, context)?;
        let (bus, heard, stored) = Bus::connect(&settings.redis, context).await;
        let look = Duration::from_millis(settings.look_millis);
        let hub = Hub::new(bus.clone(), discussions, look, context);
        context.spawn(Arc::clone(&hub).listen(heard));
        context.spawn(Arc::clone(&hub).follow(stored));
        let door = Door::new(bus.redis().clone(), settings.limits.clone());
        let presence = Presence::new(bus, Arc::clone(&hub), &context.instance);
        context.spawn(Arc::clone(&presence).keep_current());
        events::told(Arc::clone(&hub)).start(&broker, context).await;
        Ok(Self {
            hub,
            presence,
            seats: Seats::new(settings.limits.clone()),
            door,
            limits: settings.limits,
            tokens: Arc::clone(&context.tokens),
        })
    }

    /// Redis is not asked: without it, comments come from the store.
    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}
