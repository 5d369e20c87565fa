//! What was tried lately, counted for all instances together; and the networks that people use.

use std::{net::IpAddr, time::Duration};

use chassis::{Error, clock};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _,
    sea_query::{Expr, LockBehavior, LockType, OnConflict},
};

use super::{
    Store,
    entity::{attempt, known_network},
};

/// How long attempts count.
pub(crate) const WINDOW: Duration = Duration::from_mins(1);
/// How long a network is known after somebody logged in from it.
const KNOWN_FOR: Duration = Duration::from_hours(60 * 24);
/// How often it is noted that a network is still used.
const NOTED_EVERY: Duration = Duration::from_hours(24);
/// Networks that are known of one account; those used last stay.
const MOST_KNOWN: u64 = 20;

/// Something that is counted, and how much of it there may be in a [`WINDOW`].
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    /// What is counted, and whose.
    pub(crate) scope: String,
    pub(crate) most: u32,
}

/// An attempt that was counted; who succeeds gives it back.
#[derive(Debug, Clone)]
pub(crate) struct Counted {
    pub(crate) scope: String,
    /// Which minute it was counted in, by its end in milliseconds since 1970.
    pub(crate) ends_at: i64,
}

/// Whether an attempt is within all limits.
pub(crate) type Within = Result<Vec<Counted>, TooMany>;

/// One that is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooMany {
    /// When all limits that are reached are open again.
    pub(crate) wait: Duration,
}

impl TooMany {
    /// The wait from one time to another, in milliseconds since 1970.
    pub(crate) fn until(end: i64, now: i64) -> Self {
        let wait = u64::try_from(end - now).unwrap_or_default();
        Self {
            // The minute may have begun at another instance, a moment later than `now`.
            wait: Duration::from_millis(wait).min(WINDOW),
        }
    }
}

impl Store {
    /// Counts an attempt, unless a limit is reached: then nothing is.
    pub(crate) async fn count(&self, limits: &[Limit]) -> Result<Within, Error> {
        let now = clock::now().timestamp_millis();
        // Looked at first, so that a flood of what is refused does not write.
        let made = current(&self.connection, limits, now).await?;
        if let Some(refused) = reached(limits, &made, now, |made, most| made >= most) {
            return Ok(Err(refused));
        }
        let transaction = self.connection.begin().await?;
        // It may have waited for its turn.
        let now = clock::now().timestamp_millis();
        // Everybody goes from the account to the network, so nobody waits for a row in a circle.
        for limit in limits {
            let row = attempt::ActiveModel {
                scope: Set(limit.scope.clone()),
                made: Set(1),
                ends_at: Set(now + millis(WINDOW)),
            };
            attempt::Entity::insert(row)
                .on_conflict(one_more(now))
                .exec_without_returning(&transaction)
                .await?;
        }
        let made = current(&transaction, limits, now).await?;
        if let Some(refused) = reached(limits, &made, now, |made, most| made > most) {
            transaction.rollback().await?;
            return Ok(Err(refused));
        }
        transaction.commit().await?;
        // In the same order, in which they will be given back.
        let counted = limits.iter().filter_map(|limit| {
            let row = made.iter().find(|row| row.scope == limit.scope)?;
            Some(Counted {
                scope: row.scope.clone(),
                ends_at: row.ends_at,
            })
        });
        Ok(Ok(counted.collect()))
    }

    /// Takes back what was counted, where its minute is not over.
    pub(crate) async fn give_back(&self, counted: &[Counted]) -> Result<(), Error> {
        let transaction = self.connection.begin().await?;
        for Counted { scope, ends_at } in counted {
            attempt::Entity::update_many()
                .filter(attempt::Column::Scope.eq(scope.as_str()))
                .filter(attempt::Column::EndsAt.eq(*ends_at))
                .filter(attempt::Column::Made.gt(0))
                .col_expr(
                    attempt::Column::Made,
                    Expr::col(attempt::Column::Made).sub(1),
                )
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// When an account was used from a network, in milliseconds since 1970.
    pub(crate) async fn network_used_at(
        &self,
        user_id: i64,
        network: IpAddr,
    ) -> Result<Option<i64>, Error> {
        let since = clock::now().timestamp_millis() - millis(KNOWN_FOR);
        let key = (user_id, network.to_string());
        let row = known_network::Entity::find_by_id(key).one(&self.connection);
        let used_at = row.await?.map(|row| row.used_at);
        Ok(used_at.filter(|used_at| *used_at > since))
    }

    /// Notes that an account was used from a network, unless that was noted lately.
    pub(crate) async fn remember_network(
        &self,
        user_id: i64,
        network: IpAddr,
        noted: Option<i64>,
    ) -> Result<(), Error> {
        let now = clock::now().timestamp_millis();
        if noted.is_some_and(|noted| noted > now - millis(NOTED_EVERY)) {
            return Ok(());
        }
        let row = known_network::ActiveModel {
            user_id: Set(user_id),
            network: Set(network.to_string()),
            used_at: Set(now),
        };
        let key = [
            known_network::Column::UserId,
            known_network::Column::Network,
        ];
        let again = OnConflict::columns(key)
            .update_column(known_network::Column::UsedAt)
            .to_owned();
        let transaction = self.connection.begin().await?;
        known_network::Entity::insert(row)
            .on_conflict(again)
            .exec_without_returning(&transaction)
            .await?;
        let own = known_network::Column::UserId.eq(user_id);
        let surplus: Vec<String> = known_network::Entity::find()
            .select_only()
            .column(known_network::Column::Network)
            .filter(own.clone())
            .order_by_desc(known_network::Column::UsedAt)
            .offset(MOST_KNOWN)
            .limit(MOST_KNOWN)
            .into_tuple()
            .all(&transaction)
            .await?;
        if !surplus.is_empty() {
            known_network::Entity::delete_many()
                .filter(own)
                .filter(known_network::Column::Network.is_in(surplus))
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets what does not count any more. It waits for no row that a login holds: one that it passes by, it finds
    /// the next time.
    pub(crate) async fn prune_attempts(&self) -> Result<(), Error> {
        let now = clock::now().timestamp_millis();
        let transaction = self.connection.begin().await?;
        let over = attempt::Entity::find()
            .select_only()
            .column(attempt::Column::Scope)
            .filter(attempt::Column::EndsAt.lte(now))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        attempt::Entity::delete_many()
            .filter(attempt::Column::Scope.in_subquery(over.into_query()))
            .exec(&transaction)
            .await?;
        let key = [
            known_network::Column::UserId,
            known_network::Column::Network,
        ];
        let unused = known_network::Entity::find()
            .select_only()
            .columns(key)
            .filter(known_network::Column::UsedAt.lte(now - millis(KNOWN_FOR)))
            .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
        let key = Expr::tuple(key.map(Expr::col));
        known_network::Entity::delete_many()
            .filter(key.in_subquery(unused.into_query()))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// One more in the minute that runs, or the first of a new one.
fn one_more(now: i64) -> OnConflict {
    let own = |column| Expr::col((attempt::Entity, column));
    let over = || own(attempt::Column::EndsAt).lte(now);
    let made = Expr::case(over(), 1).finally(own(attempt::Column::Made).add(1));
    let ends_at = Expr::case(over(), now + millis(WINDOW)).finally(own(attempt::Column::EndsAt));
    OnConflict::column(attempt::Column::Scope)
        .values([
            (attempt::Column::Made, made.into()),
            (attempt::Column::EndsAt, ends_at.into()),
        ])
        .to_owned()
}

/// The rows of minutes that are not over.
async fn current(
    connection: &impl ConnectionTrait,
    limits: &[Limit],
    now: i64,
) -> Result<Vec<attempt::Model>, Error> {
    let scopes = limits.iter().map(|limit| limit.scope.as_str());
    let rows = attempt::Entity::find()
        .filter(attempt::Column::Scope.is_in(scopes))
        .filter(attempt::Column::EndsAt.gt(now))
        .all(connection);
    Ok(rows.await?)
}

/// The wait for the last of the limits that are reached.
fn reached(
    limits: &[Limit],
    made: &[attempt::Model],
    now: i64,
    is_too_much: impl Fn(u32, u32) -> bool,
) -> Option<TooMany> {
    let most = |scope: &str| limits.iter().find(|limit| limit.scope == scope);
    let reached = made.iter().filter(|row| {
        let made = u32::try_from(row.made).unwrap_or_default();
        most(&row.scope).is_some_and(|limit| is_too_much(made, limit.most))
    });
    let ends_at = reached.map(|row| row.ends_at).max()?;
    Some(TooMany::until(ends_at, now))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
