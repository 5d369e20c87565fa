//! `portal` is what somebody meets first: `/` for programs and for operators, `/health`, and the
//! documentation of all services in one.
//!
//! Its contract is S2-01 to S2-04, S2-64 and S2-76 with decision D15. It has no store: Consul
//! tells it what runs, Prometheus how it does, and the documents of the other services are built in.

mod document;
mod figures;
mod http;
pub mod model;
mod page;
mod plot;

use chassis::{Context, Error, Route, Service};
use discovery::Catalog;

use crate::{
    figures::Figures,
    model::{Link, Overview},
};

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// Tools for operators that the page links to: `Consul=http://127.0.0.1:8500/ui/,…`
    #[arg(long, env = "PORTAL_LINKS", value_delimiter = ',')]
    pub portal_links: Vec<Link>,
    /// Prometheus, of which the page shows the main figures
    #[arg(
        long,
        env = "PROMETHEUS_URL",
        default_value = "http://prometheus.service.consul"
    )]
    pub prometheus_url: String,
}

/// The service.
#[derive(Debug)]
pub struct Portal {
    catalog: Catalog,
    links: Vec<Link>,
    figures: Figures,
}

impl Portal {
    fn overview(&self) -> Overview {
        let view = self.catalog.view();
        let away = view.away_since.is_some();
        Overview::of(document::services(), view.snapshot.as_deref(), away)
    }
}

impl Service for Portal {
    const NAME: &'static str = "portal";
    const DESCRIPTION: &'static str =
        "The entrance: status, health and documentation of all services";
    const PORT: u16 = 8080;
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let (catalog, kept_current) = context.consul()?.catalog();
        context.spawn(kept_current);
        Ok(Self {
            catalog,
            links: settings.portal_links,
            figures: Figures::new(settings.prometheus_url, context)?,
        })
    }

    async fn ready(&self) -> Result<(), Error> {
        Ok(())
    }
}
