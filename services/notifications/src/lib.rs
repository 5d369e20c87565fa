//! `notifications` owns mails and text messages: what is said to whom, and what became of it.
//!
//! Its contract is S1-05, S1-08, S2-37, S2-61, S2-62, S4-13 and S4-14, with D10, D13, D14, D18 and
//! D27: people ask for a notification, and events of other services become mails. Each is a row
//! first, and a job that the broker keeps until it is done; `docs/adr/0015` says why no mail goes
//! out twice.

mod clients;
mod events;
mod header;
mod http;
mod jobs;
mod letters;
mod metrics;
pub mod model;
mod sender;
mod smtp;
mod store;

use std::{sync::Arc, time::Duration};

use chassis::{Call, Context, Error, Operations, Repeatable, Route, Service};
use messaging::{Broker, Subscription, farewell};

pub use sender::{BEFORE_CLAIM, BEFORE_SEND, BEFORE_SENT};
pub use smtp::Encryption;

use crate::{events::Teller, letters::Letters, sender::Sender, smtp::Mailer, store::Store};

/// A day of tries: a mail server may be away for a night, and no mail is lost for it.
const PAUSES: &str = "1,5,30,120,600,1800,3600,7200,14400,28800,28800";

/// Settings of this service alone.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// URL of the relational store [default: SQLite, `notifications.db` in `DATA_DIR`]
    #[arg(long, env = "NOTIFICATIONS_DATABASE_URL", hide_env_values = true)]
    pub notifications_database_url: Option<String>,
    /// Days after which sent and failed notifications are forgotten
    #[arg(long, env = "NOTIFICATIONS_KEPT_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..))]
    pub notifications_kept_days: u16,
    /// Seconds before each further try of what failed; after the last one it is a dead letter
    #[arg(long, env = "MAIL_RETRY_SECONDS", value_delimiter = ',', value_parser = seconds, default_value = PAUSES)]
    pub mail_retry_seconds: Vec<Duration>,
    /// Where mail goes.
    #[command(flatten)]
    pub smtp: smtp::Settings,
    /// Where events come from.
    #[command(flatten)]
    pub messaging: messaging::Settings,
}

fn seconds(text: &str) -> anyhow::Result<Duration> {
    let pause = Duration::try_from_secs_f64(text.trim().parse()?)?;
    anyhow::ensure!(
        (Duration::from_millis(1)..=Duration::from_hours(24)).contains(&pause),
        "a pause is from 0.001 to 86400 seconds"
    );
    Ok(pause)
}

/// The service.
#[derive(Debug)]
pub struct Notifications {
    store: Store,
    letters: Arc<Letters>,
}

impl Repeatable for Notifications {
    fn operations(&self) -> &Operations {
        &self.store.operations
    }
}

impl Service for Notifications {
    const NAME: &'static str = "notifications";
    const DESCRIPTION: &'static str = "Mails and text messages, and what became of them";
    const PORT: u16 = 5003;
    const ROLES: &'static [&'static str] = &["events", "mail"];
    type Settings = Settings;

    fn routes() -> Vec<Route<Self>> {
        http::routes()
    }

    fn calls() -> Vec<Call> {
        clients::calls()
    }

    fn subscriptions() -> Vec<Subscription> {
        vec![
            sender::MAILS,
            events::CONCERNED,
            events::SUBSCRIBED,
            farewell::DELETED,
        ]
    }

    async fn declare(settings: &Settings, context: &Context) -> anyhow::Result<()> {
        let pauses = &settings.mail_retry_seconds;
        let broker = Broker::with_delays(Self::NAME, &settings.messaging, context, pauses)?;
        messaging::declare(&broker, &Self::subscriptions()).await
    }

    async fn build(settings: Settings, context: &Context) -> anyhow::Result<Self> {
        let pauses = &settings.mail_retry_seconds;
        let broker = Broker::with_delays(Self::NAME, &settings.messaging, context, pauses)?;
        // Wrong settings end the process before anything is opened.
        let mailer = Mailer::new(&settings.smtp, context)?;
        let letters = Arc::new(Letters::new()?);
        let url = settings.notifications_database_url.as_deref();
        let store = Store::open(context, url, &broker).await?;
        context.spawn(store.clone().prune(settings.notifications_kept_days));
        if context.works("mail") {
            Sender::start(store.clone(), mailer, &broker, context).await;
        }
        if context.works("events") {
            Teller::start(store.clone(), Arc::clone(&letters), &broker, context).await?;
        }
        let own = store.clone();
        farewell::listen(&broker, context, move |gone| {
            let store = own.clone();
            async move { store.forget(gone.user_id).await }
        });
        Ok(Self { store, letters })
    }

    async fn ready(&self) -> Result<(), Error> {
        self.store.ping().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        settings: Settings,
    }

    #[test]
    fn s2_61_the_mail_server_is_localhost_unless_it_is_named() {
        let cli = Cli::try_parse_from(["x"]).unwrap();
        assert_eq!(cli.settings.smtp.smtp_host, "localhost");
        let cli = Cli::try_parse_from(["x", "--smtp-host", "mail.example.com"]).unwrap();
        assert_eq!(cli.settings.smtp.smtp_host, "mail.example.com");
    }

    #[test]
    fn a_mail_server_that_is_away_for_a_night_loses_no_mail() {
        let cli = Cli::try_parse_from(["x"]).unwrap();
        let patience: Duration = cli.settings.mail_retry_seconds.iter().sum();
        assert!(patience > Duration::from_hours(14), "{patience:?}");
    }

    #[test]
    fn s2_62_its_port_is_25_unless_it_is_named() {
        let cli = Cli::try_parse_from(["x"]).unwrap();
        assert_eq!(cli.settings.smtp.smtp_port, 25);
        assert!(Cli::try_parse_from(["x", "--smtp-port", "65536"]).is_err());
    }

    #[test]
    fn settings_that_cannot_work_are_refused_and_secrets_are_not_printed() {
        for bad in [
            ["--mail-retry-seconds", "0"],
            ["--mail-retry-seconds", "1,x"],
            ["--mail-retry-seconds", "-1"],
            ["--mail-from", "nobody"],
            ["--mail-from", "a@example.com\r\nBcc: b@example.com"],
            ["--smtp-password", "alone"],
        ] {
            let flags = std::iter::once("x").chain(bad);
            assert!(Cli::try_parse_from(flags).is_err(), "{bad:?}");
        }
        let flags = ["x", "--smtp-username", "u", "--smtp-password", "canary"];
        let cli = Cli::try_parse_from(flags).unwrap();
        assert!(!format!("{cli:?}").contains("canary"));
    }
}
