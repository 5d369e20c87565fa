//! The copy of the follow graph, and what home timelines are made from.

use chassis::Error;
use chrono::{DateTime, Utc};
use messaging::inbox;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, ConnectionTrait as _, DatabaseTransaction, DbBackend, EntityTrait as _,
    FromQueryResult, QueryFilter as _, QuerySelect as _, Statement,
    sea_query::{Expr, OnConflict},
};

use super::{
    Store,
    entity::{follow, reader, star},
};

/// Somebody follows somebody, or no more, since a time that orders the changes of one follower.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) follower_id: i64,
    pub(crate) followee_id: i64,
    pub(crate) following: bool,
    pub(crate) at: DateTime<Utc>,
}

/// Somebody with a home timeline, and how often those whom they follow have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub(crate) struct Reader {
    pub(crate) user_id: i64,
    pub(crate) version: i64,
}

/// Which of the authors whom somebody follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authors {
    /// Those whose posts are written into home timelines.
    Ordinary,
    /// Those whose posts are merged when a home timeline is read.
    Stars,
}

impl Store {
    /// Takes in a change of the graph, once, and never over a later one.
    pub(crate) async fn apply_follow(
        &self,
        consumer: &str,
        event_id: &str,
        change: Change,
    ) -> Result<(), Error> {
        let transaction = self.connection.begin().await?;
        if inbox::once(&transaction, consumer, event_id).await? {
            if write_follow(&transaction, change).await? {
                bump(&transaction, change.follower_id).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// The version of somebody's home timeline.
    pub(crate) async fn reader(&self, user_id: i64) -> Result<Reader, Error> {
        let row = reader::Entity::find_by_id(user_id)
            .one(&self.connection)
            .await?;
        Ok(Reader {
            user_id,
            version: row.map_or(0, |row| row.version),
        })
    }

    /// Followers of an author with ids above `after`, in the order of their ids.
    pub(crate) async fn followers(
        &self,
        author: i64,
        after: i64,
        limit: u64,
    ) -> Result<Vec<Reader>, Error> {
        // `following = TRUE`, not `following`: only so does SQLite go down its index.
        let sql = "SELECT f.follower_id AS user_id, r.version FROM follows f \
             JOIN readers r ON r.user_id = f.follower_id \
             WHERE f.followee_id = $1 AND f.following = TRUE AND f.follower_id > $2 \
             ORDER BY f.follower_id LIMIT $3";
        let values = [author.into(), after.into(), limit.cast_signed().into()];
        let backend = self.connection.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = Reader::find_by_statement(statement).all(&self.connection);
        Ok(rows.await?)
    }

    /// Whether an author's posts are merged when they are read.
    pub(crate) async fn is_star(&self, author: i64) -> Result<bool, Error> {
        let row = star::Entity::find_by_id(author).one(&self.connection);
        Ok(row.await?.is_some())
    }

    /// Whether an author has more followers than `limit`; looks at no more than that.
    pub(crate) async fn has_more_followers(&self, author: i64, limit: u64) -> Result<bool, Error> {
        let one_more = follow::Entity::find()
            .select_only()
            .column(follow::Column::FollowerId)
            .filter(follow::Column::FolloweeId.eq(author))
            .filter(follow::Column::Following.eq(true))
            .offset(limit)
            .limit(1)
            .into_tuple::<i64>();
        Ok(one_more.one(&self.connection).await?.is_some())
    }

    /// From now on, an author's posts are merged when they are read.
    pub(crate) async fn insert_star(&self, author: i64) -> Result<(), Error> {
        let row = star::ActiveModel {
            user_id: Set(author),
        };
        let once = OnConflict::column(star::Column::UserId)
            .do_nothing()
            .to_owned();
        star::Entity::insert(row)
            .on_conflict(once)
            .exec_without_returning(&self.connection)
            .await?;
        Ok(())
    }

    /// Numbers below `before` of the newest posts of those whom somebody follows, newest first.
    ///
    /// It looks at no more than `limit` posts of each author, by index: an author with very many
    /// posts costs no more than one with a few.
    pub(crate) async fn home_ids(
        &self,
        reader: i64,
        authors: Authors,
        before: i64,
        limit: u64,
    ) -> Result<Vec<i64>, Error> {
        let backend = self.connection.get_database_backend();
        let newest = "SELECT id FROM posts \
             WHERE user_id = f.followee_id AND id < $2 ORDER BY id DESC LIMIT $3";
        let posts = if backend == DbBackend::Postgres {
            format!("CROSS JOIN LATERAL ({newest}) p")
        } else {
            // SQLite has no LATERAL; its CROSS JOIN keeps the order that is written.
            format!("CROSS JOIN posts p ON p.id IN ({newest})")
        };
        let negation = match authors {
            Authors::Ordinary => "NOT",
            Authors::Stars => "",
        };
        let sql = format!(
            "SELECT p.id FROM follows f {posts} WHERE f.follower_id = $1 AND f.following = TRUE \
             AND f.followee_id {negation} IN (SELECT user_id FROM stars) \
             ORDER BY p.id DESC LIMIT $3"
        );
        let values = [reader.into(), before.into(), limit.cast_signed().into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.connection.query_all_raw(statement).await?;
        let ids = rows.iter().map(|row| row.try_get_by_index::<i64>(0));
        Ok(ids.collect::<Result<_, _>>()?)
    }
}

/// Writes a change down, unless it is older than what is known; whether anything changed.
async fn write_follow(transaction: &DatabaseTransaction, change: Change) -> Result<bool, Error> {
    let key = (change.follower_id, change.followee_id);
    let Some(known) = follow::Entity::find_by_id(key).one(transaction).await? else {
        let row = follow::ActiveModel {
            follower_id: Set(change.follower_id),
            followee_id: Set(change.followee_id),
            following: Set(change.following),
            changed_at: Set(change.at),
        };
        follow::Entity::insert(row)
            .exec_without_returning(transaction)
            .await?;
        return Ok(change.following);
    };
    if known.changed_at > change.at {
        return Ok(false);
    }
    follow::Entity::update_many()
        .filter(follow::Column::FollowerId.eq(change.follower_id))
        .filter(follow::Column::FolloweeId.eq(change.followee_id))
        .col_expr(follow::Column::Following, Expr::value(change.following))
        .col_expr(follow::Column::ChangedAt, Expr::value(change.at))
        .exec(transaction)
        .await?;
    Ok(known.following != change.following)
}

/// The home timeline of `user_id` is another one from now on.
async fn bump(transaction: &DatabaseTransaction, user_id: i64) -> Result<(), Error> {
    let row = reader::ActiveModel {
        user_id: Set(user_id),
        version: Set(1),
    };
    let next = OnConflict::column(reader::Column::UserId)
        .value(reader::Column::Version, Expr::cust("readers.version + 1"))
        .to_owned();
    reader::Entity::insert(row)
        .on_conflict(next)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}
