//! Accounts that are no more, until every service has forgotten them.
//!
//! The number of an account is never given again, so whatever a service has of it belongs to nobody. Its name might be: some
//! services find things by it. So the name stays taken until all have answered. The address is kept nowhere.

use std::time::Duration;

use chassis::{Error, clock, token};
use chrono::{DateTime, Utc};
use messaging::{
    events::{UserDeleted, UserForgotten},
    farewell::SERVICES,
};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    sea_query::{Expr, OnConflict},
};

use super::{
    Store,
    entity::{deletion, farewell, user},
    tokens::insert_revocation,
};
use crate::model::{User, Username};

/// The round that finds what was on its way when the account was deleted: who answers it has forgotten everything.
const LAST_ROUND: i32 = 2;
/// How long services that do not answer are given before they are told once more.
const AGAIN: Duration = Duration::from_hours(6);
/// How long it is known that somebody was forgotten.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// A deletion that some service has not answered.
#[derive(Debug, Clone)]
pub(crate) struct Unanswered {
    pub(crate) user_id: i64,
    pub(crate) deleted_at: DateTime<Utc>,
    /// Who is waited for.
    pub(crate) services: Vec<&'static str>,
}

impl Store {
    /// Deletes an account with all that `users` has of it, ends its tokens until `tokens_end`, in seconds since the epoch, and
    /// tells everybody; `false` when somebody else just did.
    pub(crate) async fn delete_user(&self, user: &User, tokens_end: i64) -> Result<bool, Error> {
        let now = clock::now();
        let transaction = self.connection.begin().await?;
        // Follows, their versions and the networks go with it, by their foreign keys.
        let deleted = user::Entity::delete_by_id(user.id)
            .exec(&transaction)
            .await?;
        if deleted.rows_affected == 0 {
            return Ok(false);
        }
        let row = deletion::ActiveModel {
            user_id: Set(user.id),
            username_key: Set(Some(user.username.to_lowercase())),
            deleted_at: Set(now),
            round: Set(1),
            told_at: Set(now),
            finished_at: Set(None),
        };
        deletion::Entity::insert(row)
            .exec_without_returning(&transaction)
            .await?;
        insert_revocation(&transaction, &token::all_of(user.id), tokens_end).await?;
        let event = UserDeleted {
            user_id: user.id,
            username: user.username.to_lowercase(),
            round: 1,
        };
        self.outbox.insert(&transaction, &event).await?;
        self.outbox.commit(transaction).await?;
        Ok(true)
    }

    /// Notes that a service has forgotten somebody; whether all have now.
    pub(crate) async fn note_farewell(
        &self,
        service: &str,
        answer: &UserForgotten,
    ) -> Result<bool, Error> {
        let transaction = self.connection.begin().await?;
        // An update to what it is, for the lock: of two answers at once the second shall see the first.
        let open = deletion::Entity::update_many()
            .filter(deletion::Column::UserId.eq(answer.user_id))
            .filter(deletion::Column::FinishedAt.is_null())
            .col_expr(deletion::Column::UserId, Expr::value(answer.user_id))
            .exec(&transaction)
            .await?;
        if open.rows_affected == 0 {
            return Ok(false);
        }
        write_answer(&transaction, service, answer).await?;
        let missing = missing(&transaction, answer.user_id).await?;
        if missing.is_empty() {
            deletion::Entity::update_many()
                .filter(deletion::Column::UserId.eq(answer.user_id))
                .col_expr(deletion::Column::FinishedAt, Expr::value(clock::now()))
                .col_expr(
                    deletion::Column::UsernameKey,
                    Expr::value(Option::<String>::None),
                )
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(missing.is_empty())
    }

    /// Tells of deletions once more: all of them `sweep` after the first time, and those that are not answered later too.
    pub(crate) async fn tell_again(&self, sweep: Duration) -> Result<(), Error> {
        let now = clock::now();
        let due = deletion::Entity::find()
            .filter(deletion::Column::FinishedAt.is_null())
            .filter(deletion::Column::ToldAt.lte(now - sweep))
            .all(&self.connection);
        for row in due.await? {
            if row.round < LAST_ROUND || row.told_at <= now - AGAIN {
                self.tell_round(&row, now).await?;
            }
        }
        Ok(())
    }

    /// Tells the round after the one of `row`, unless another instance did.
    async fn tell_round(&self, row: &deletion::Model, now: DateTime<Utc>) -> Result<(), Error> {
        let round = row.round + 1;
        let transaction = self.connection.begin().await?;
        let told = deletion::Entity::update_many()
            .filter(deletion::Column::UserId.eq(row.user_id))
            .filter(deletion::Column::Round.eq(row.round))
            .col_expr(deletion::Column::Round, Expr::value(round))
            .col_expr(deletion::Column::ToldAt, Expr::value(now))
            .exec(&transaction)
            .await?;
        if told.rows_affected > 0 {
            let event = UserDeleted {
                user_id: row.user_id,
                username: row.username_key.clone().unwrap_or_default(),
                round,
            };
            self.outbox.insert(&transaction, &event).await?;
        }
        self.outbox.commit(transaction).await
    }

    /// Deletions that are not answered by all.
    pub(crate) async fn unanswered(&self) -> Result<Vec<Unanswered>, Error> {
        let open = deletion::Entity::find().filter(deletion::Column::FinishedAt.is_null());
        let mut unanswered = Vec::new();
        for row in open.all(&self.connection).await? {
            unanswered.push(Unanswered {
                user_id: row.user_id,
                deleted_at: row.deleted_at,
                services: missing(&self.connection, row.user_id).await?,
            });
        }
        Ok(unanswered)
    }

    /// Forgets deletions that were answered long ago.
    pub(crate) async fn prune_deletions(&self) -> Result<(), Error> {
        let transaction = self.connection.begin().await?;
        let past = deletion::Entity::find()
            .filter(deletion::Column::FinishedAt.lt(clock::now() - KEPT))
            .all(&transaction)
            .await?;
        let ids: Vec<i64> = past.iter().map(|row| row.user_id).collect();
        farewell::Entity::delete_many()
            .filter(farewell::Column::UserId.is_in(ids.iter().copied()))
            .exec(&transaction)
            .await?;
        deletion::Entity::delete_many()
            .filter(deletion::Column::UserId.is_in(ids))
            .exec(&transaction)
            .await?;
        Ok(transaction.commit().await?)
    }
}

/// Whether a name was somebody's whom not every service has forgotten.
pub(super) async fn holds(
    connection: &impl ConnectionTrait,
    username: &Username,
) -> Result<bool, Error> {
    let held = deletion::Entity::find()
        .filter(deletion::Column::UsernameKey.eq(username.key()))
        .one(connection);
    Ok(held.await?.is_some())
}

async fn write_answer(
    transaction: &DatabaseTransaction,
    service: &str,
    answer: &UserForgotten,
) -> Result<(), Error> {
    let row = farewell::ActiveModel {
        user_id: Set(answer.user_id),
        service: Set(service.to_owned()),
        round: Set(answer.round),
        answered_at: Set(clock::now()),
    };
    // Answers may come in any order, and twice.
    let later =
        "CASE WHEN farewells.round < excluded.round THEN excluded.round ELSE farewells.round END";
    let once = OnConflict::columns([farewell::Column::UserId, farewell::Column::Service])
        .value(farewell::Column::Round, Expr::cust(later))
        .update_column(farewell::Column::AnsweredAt)
        .to_owned();
    farewell::Entity::insert(row)
        .on_conflict(once)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

/// The services that have not answered the last round.
async fn missing(
    connection: &impl ConnectionTrait,
    user_id: i64,
) -> Result<Vec<&'static str>, Error> {
    let answered = farewell::Entity::find()
        .filter(farewell::Column::UserId.eq(user_id))
        .filter(farewell::Column::Round.gte(LAST_ROUND))
        .all(connection)
        .await?;
    let is_missing = |service: &&str| !answered.iter().any(|row| row.service == **service);
    Ok(SERVICES.into_iter().filter(is_missing).collect())
}
