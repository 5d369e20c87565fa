//! Signing keys and logged-out tokens.

use chassis::{Error, clock};
use chrono::{DateTime, Utc};
use proto::users::Revocation;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _,
    sea_query::{Expr, OnConflict},
};

use super::{
    Store,
    entity::{revocation, signing_key},
};
use crate::keys::SigningKey;

impl Store {
    /// The keys whose tokens were good after `since`.
    pub(crate) async fn keys(&self, since: DateTime<Utc>) -> Result<Vec<SigningKey>, Error> {
        let alive = Condition::any()
            .add(signing_key::Column::ExpiresAt.is_null())
            .add(signing_key::Column::ExpiresAt.gt(since));
        let rows = signing_key::Entity::find()
            .filter(alive)
            .all(&self.connection)
            .await?;
        Ok(rows.into_iter().map(SigningKey::from).collect())
    }

    /// The key made last.
    pub(crate) async fn newest_key(&self) -> Result<Option<SigningKey>, Error> {
        let newest = signing_key::Entity::find().order_by_desc(signing_key::Column::Generation);
        Ok(newest.one(&self.connection).await?.map(SigningKey::from))
    }

    /// Adds a key and gives older ones their end; `false` when another instance was faster.
    pub(crate) async fn insert_key(
        &self,
        key: &SigningKey,
        old_ends: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let transaction = self.connection.begin().await?;
        let row = signing_key::ActiveModel {
            generation: Set(key.generation),
            kid: Set(key.kid.clone()),
            pkcs8: Set(key.pkcs8.clone()),
            public_key: Set(key.public.clone()),
            created_at: Set(key.created_at),
            expires_at: Set(None),
        };
        let inserted = signing_key::Entity::insert(row)
            .on_conflict(
                OnConflict::column(signing_key::Column::Generation)
                    .do_nothing()
                    .to_owned(),
            )
            .exec_without_returning(&transaction)
            .await?;
        if inserted == 0 {
            return Ok(false);
        }
        signing_key::Entity::update_many()
            .filter(signing_key::Column::Generation.lt(key.generation))
            .filter(signing_key::Column::ExpiresAt.is_null())
            .col_expr(signing_key::Column::ExpiresAt, Expr::value(old_ends))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends every key but the newest; how many that were.
    pub(crate) async fn end_older_keys(&self, now: DateTime<Utc>) -> Result<u64, Error> {
        let transaction = self.connection.begin().await?;
        let newest = signing_key::Entity::find().order_by_desc(signing_key::Column::Generation);
        let Some(newest) = newest.one(&transaction).await? else {
            return Ok(0);
        };
        let alive = Condition::any()
            .add(signing_key::Column::ExpiresAt.is_null())
            .add(signing_key::Column::ExpiresAt.gt(now));
        let ended = signing_key::Entity::update_many()
            .filter(signing_key::Column::Generation.lt(newest.generation))
            .filter(alive)
            .col_expr(signing_key::Column::ExpiresAt, Expr::value(now))
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(ended.rows_affected)
    }

    /// Remembers that a token was logged out.
    pub(crate) async fn insert_revocation(&self, jti: &str, expires_at: i64) -> Result<(), Error> {
        insert_revocation(&self.connection, jti, expires_at).await
    }

    /// Tokens logged out since a time, or ever, that have not ended yet.
    pub(crate) async fn revocations(
        &self,
        now: DateTime<Utc>,
        since: Option<DateTime<Utc>>,
    ) -> Result<Vec<Revocation>, Error> {
        let mut query =
            revocation::Entity::find().filter(revocation::Column::ExpiresAt.gt(now.timestamp()));
        if let Some(since) = since {
            query = query.filter(revocation::Column::RevokedAt.gt(since));
        }
        let rows = query.all(&self.connection).await?;
        Ok(rows
            .into_iter()
            .map(|row| Revocation {
                jti: row.jti,
                expires_at: row.expires_at,
            })
            .collect())
    }

    /// Forgets tokens and keys that ended before `now`.
    pub(crate) async fn remove_expired(&self, now: DateTime<Utc>) -> Result<(), Error> {
        revocation::Entity::delete_many()
            .filter(revocation::Column::ExpiresAt.lt(now.timestamp()))
            .exec(&self.connection)
            .await?;
        signing_key::Entity::delete_many()
            .filter(signing_key::Column::ExpiresAt.lt(now))
            .exec(&self.connection)
            .await?;
        Ok(())
    }
}

/// The same, as a part of a greater change.
pub(super) async fn insert_revocation(
    connection: &impl ConnectionTrait,
    jti: &str,
    expires_at: i64,
) -> Result<(), Error> {
    let row = revocation::ActiveModel {
        jti: Set(jti.to_owned()),
        expires_at: Set(expires_at),
        revoked_at: Set(clock::now()),
    };
    revocation::Entity::insert(row)
        .on_conflict(
            OnConflict::column(revocation::Column::Jti)
                .do_nothing()
                .to_owned(),
        )
        .exec_without_returning(connection)
        .await?;
    Ok(())
}
