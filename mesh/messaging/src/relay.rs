//! The relay: takes events out of the outbox and gives them to the broker, in order.
//!
//! Several relays may run over one outbox. Each takes the oldest rows there are, publishes them
//! in order, waits until the broker has them, and only then deletes them. On Postgres an advisory
//! lock lets one work at a time (not `SKIP LOCKED`: two relays with different rows of one subject
//! would overtake each other). Where there is no lock (SQLite, or a lock that was lost), two
//! relays repeat each other's events at worst: both begin with the oldest row, so that the first
//! copies are in order all the same, and the inbox ignores the others.

use std::time::Duration;

use chassis::{clock, sql::Database};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, FromQueryResult,
    QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::{
    Broker, Outbox,
    backoff::Backoff,
    failpoint, metrics,
    outbox::{RELAY_LOCK, row},
    publish::{Fate, Message},
    trace,
};

/// Events that are published before their confirms are waited for.
const BATCH: u64 = 256;
/// How often the outbox is looked at without being woken, for rows of an instance that died.
const SWEEP: Duration = Duration::from_secs(1);
/// How often what waits is counted.
const MEASURING: Duration = Duration::from_secs(2);
/// What the last events get at shutdown.
const FAREWELL: Duration = Duration::from_secs(2);

/// The relay of one process.
#[derive(Debug)]
pub(crate) struct Relay {
    broker: Broker,
    connection: Database,
    outbox: Outbox,
}

/// What waits.
#[derive(Debug, Default, FromQueryResult)]
struct Backlog {
    rows: i64,
    oldest: Option<DateTime<Utc>>,
}

impl Backlog {
    fn age(&self) -> Duration {
        let age = self.oldest.map(|oldest| clock::now() - oldest);
        age.and_then(|age| age.to_std().ok()).unwrap_or_default()
    }
}

impl Relay {
    pub(crate) fn new(broker: &Broker, connection: &Database, outbox: &Outbox) -> Self {
        Self {
            broker: broker.clone(),
            connection: connection.clone(),
            outbox: outbox.clone(),
        }
    }

    /// Empties the outbox until `shutdown`, and once more then.
    pub(crate) async fn run(self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.relay() => {}
            () = self.measure() => {}
        }
        let last = tokio::time::timeout(FAREWELL, self.drain()).await;
        if !matches!(last, Ok(Ok(()))) {
            tracing::warn!("events stay in the outbox for another instance or the next start");
        }
    }

    /// Endless: empties the outbox when woken, and now and then.
    async fn relay(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        // What an earlier run left.
        let mut due = true;
        let mut seen = None;
        loop {
            if due && let Err(error) = self.drain().await {
                tracing::warn!(cause = format!("{error:#}"), "events wait in the outbox");
                tokio::time::sleep(backoff.pause()).await;
                continue;
            }
            backoff.reset();
            due = tokio::select! {
                () = self.outbox.woken() => true,
                () = tokio::time::sleep(SWEEP) => self.abandoned(&mut seen).await,
            };
        }
    }

    /// Endless: shows what waits.
    async fn measure(&self) {
        loop {
            if let Ok(backlog) = self.backlog().await {
                metrics::outbox(backlog.rows, backlog.age());
            }
            tokio::time::sleep(MEASURING).await;
        }
    }

    async fn backlog(&self) -> anyhow::Result<Backlog> {
        let found = row::Entity::find()
            .select_only()
            .column_as(row::Column::Id.count(), "rows")
            .column_as(row::Column::CreatedAt.min(), "oldest")
            .into_model::<Backlog>()
            .one(&self.connection)
            .await?;
        Ok(found.unwrap_or_default())
    }

    /// Whether the oldest row is the same as a while ago: nobody is at work on it, then. This asks
    /// no clock, which may have been set back since.
    async fn abandoned(&self, seen: &mut Option<i64>) -> bool {
        let oldest = row::Entity::find()
            .select_only()
            .column(row::Column::Id)
            .order_by_asc(row::Column::Id)
            .into_tuple::<i64>()
            .one(&self.connection)
            .await;
        match oldest {
            Ok(oldest) => std::mem::replace(seen, oldest) == oldest && oldest.is_some(),
            Err(_) => true,
        }
    }

    async fn drain(&self) -> anyhow::Result<()> {
        while self.batch().await? == BATCH {}
        Ok(())
    }

    /// Publishes the oldest events; how many there were.
    async fn batch(&self) -> anyhow::Result<u64> {
        // First the broker: no transaction is held open for one that is away.
        self.broker.publisher().ready(&self.broker).await?;
        if self.connection.get_database_backend() != DbBackend::Postgres {
            // SQLite has one writer, so nothing is held while the broker is waited for.
            return self.publish_oldest(&self.connection).await;
        }
        let transaction = self.connection.begin().await?;
        // The lock ends with the transaction, also when this process or its machine dies. A
        // deletion that a crash of Postgres undoes only repeats an event: no need to wait for the disk.
        let lock = format!(
            "SET LOCAL idle_in_transaction_session_timeout = '30s';
             SET LOCAL synchronous_commit = off;
             SELECT pg_advisory_xact_lock({RELAY_LOCK})"
        );
        transaction.execute_unprepared(&lock).await?;
        let published = self.publish_oldest(&transaction).await?;
        transaction.commit().await?;
        Ok(published)
    }

    async fn publish_oldest(&self, store: &impl ConnectionTrait) -> anyhow::Result<u64> {
        let rows = row::Entity::find()
            .order_by_asc(row::Column::Id)
            .limit(BATCH)
            .all(store)
            .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let failpoints = self.broker.failpoints();
        failpoints.reach(failpoint::BEFORE_PUBLISH).await;
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        self.publish(rows).await?;
        failpoints.reach(failpoint::BEFORE_MARK).await;
        let published = ids.len() as u64;
        row::Entity::delete_many()
            .filter(row::Column::Id.is_in(ids))
            .exec(store)
            .await?;
        Ok(published)
    }

    async fn publish(&self, rows: Vec<row::Model>) -> anyhow::Result<()> {
        let kinds: Vec<String> = rows.iter().map(|row| row.kind.clone()).collect();
        // The spans end when the broker has the events.
        let (_spans, messages): (Vec<Span>, Vec<Message>) =
            rows.into_iter().map(|row| self.message(row)).unzip();
        let fates = self
            .broker
            .publisher()
            .publish(&self.broker, messages)
            .await?;
        for (kind, fate) in kinds.iter().zip(fates) {
            if fate == Fate::Unrouted {
                tracing::debug!(event.r#type = kind, "no queue wants this event");
            }
        }
        Ok(())
    }

    fn message(&self, row: row::Model) -> (Span, Message) {
        let span = trace::publish_span(&row.kind, &row.event_id, row.traceparent.as_deref());
        let body = row.body.into_bytes();
        let mut message = Message::event(&self.broker, &row.kind, &row.event_id, body);
        span.in_scope(|| trace::inject(&mut message.headers));
        (span, message)
    }
}
