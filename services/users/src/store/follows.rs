//! Who follows whom.

use std::collections::HashMap;

use chassis::{CursorTime, Error, Page, clock};
use chrono::{DateTime, Utc};
use messaging::events::{UserFollowed, UserUnfollowed};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, DatabaseTransaction, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, SqlErr,
    sea_query::{Expr, OnConflict},
};

use super::{
    Store,
    entity::{follow, follow_version},
};

/// Which side of a person's follows.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Direction {
    /// Those whom the person follows.
    Followees,
    /// Those who follow the person.
    Followers,
}

/// One entry of a list of follows.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    pub(crate) id: i64,
    pub(crate) username: String,
    pub(crate) since: DateTime<Utc>,
}

/// How many there are on each side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) followers: u64,
    pub(crate) followees: u64,
}

/// Where a page of follows ends: the time, then the id of the person.
pub(crate) type FollowKey = (CursorTime, i64);

impl Store {
    /// Follows; `false` when it was so already.
    pub(crate) async fn insert_follow(
        &self,
        follower_id: i64,
        followee_id: i64,
    ) -> Result<bool, Error> {
        let row = follow::ActiveModel {
            follower_id: Set(follower_id),
            followee_id: Set(followee_id),
            created_at: Set(clock::now()),
        };
        let once = OnConflict::columns([follow::Column::FollowerId, follow::Column::FolloweeId])
            .do_nothing()
            .to_owned();
        let transaction = self.connection.begin().await?;
        let inserted = follow::Entity::insert(row)
            .on_conflict(once)
            .exec_without_returning(&transaction)
            .await
            .map_err(or_nobody)?;
        if inserted > 0 {
            let version = next_version(&transaction, follower_id).await?;
            let event = UserFollowed {
                follower_id,
                followee_id,
                version: Some(version),
            };
            self.outbox.insert(&transaction, &event).await?;
        }
        self.outbox.commit(transaction).await?;
        Ok(inserted > 0)
    }

    /// Unfollows; `false` when it was so already.
    pub(crate) async fn remove_follow(
        &self,
        follower_id: i64,
        followee_id: i64,
    ) -> Result<bool, Error> {
        let transaction = self.connection.begin().await?;
        let removed = follow::Entity::delete_by_id((follower_id, followee_id));
        let removed = removed.exec(&transaction).await?.rows_affected;
        if removed > 0 {
            let version = next_version(&transaction, follower_id).await?;
            let event = UserUnfollowed {
                follower_id,
                followee_id,
                version: Some(version),
            };
            self.outbox.insert(&transaction, &event).await?;
        }
        self.outbox.commit(transaction).await?;
        Ok(removed > 0)
    }

    /// How many follow and are followed.
    pub(crate) async fn follow_counts(&self, id: i64) -> Result<Counts, Error> {
        let count = |column: follow::Column| {
            follow::Entity::find()
                .filter(column.eq(id))
                .count(&self.connection)
        };
        Ok(Counts {
            followers: count(follow::Column::FolloweeId).await?,
            followees: count(follow::Column::FollowerId).await?,
        })
    }

    /// One side of a person's follows, the newest first.
    pub(crate) async fn list_follows(
        &self,
        id: i64,
        direction: Direction,
        page: &Page<FollowKey>,
    ) -> Result<Vec<Person>, Error> {
        let (own, other) = match direction {
            Direction::Followees => (follow::Column::FollowerId, follow::Column::FolloweeId),
            Direction::Followers => (follow::Column::FolloweeId, follow::Column::FollowerId),
        };
        let mut query = follow::Entity::find()
            .filter(own.eq(id))
            .order_by_desc(follow::Column::CreatedAt)
            .order_by_desc(other)
            .offset(page.offset)
            .limit(page.fetch());
        if let Some((since, person)) = page.after {
            let since = since.time();
            let same_time = Condition::all()
                .add(follow::Column::CreatedAt.eq(since))
                .add(other.lt(person));
            query = query.filter(
                Condition::any()
                    .add(follow::Column::CreatedAt.lt(since))
                    .add(same_time),
            );
        }
        let rows = query.all(&self.connection).await?;
        let person = |row: &follow::Model| match direction {
            Direction::Followees => row.followee_id,
            Direction::Followers => row.follower_id,
        };
        let ids: Vec<i64> = rows.iter().map(person).collect();
        let users = self.list_by_ids(&ids).await?;
        let usernames: HashMap<i64, String> = users
            .into_iter()
            .map(|user| (user.id, user.username))
            .collect();
        Ok(rows
            .iter()
            .filter_map(|row| {
                let id = person(row);
                Some(Person {
                    id,
                    username: usernames.get(&id)?.clone(),
                    since: row.created_at,
                })
            })
            .collect())
    }
}

/// 404 for who deleted their account at this very moment.
fn or_nobody(error: DbErr) -> Error {
    match error.sql_err() {
        Some(SqlErr::ForeignKeyConstraintViolation(_)) => Error::not_found("User not found"),
        _ => error.into(),
    }
}

/// The version of a change of whom somebody follows, greater than all before: the time in microseconds, but one more than
/// the last where the clock says less. The time alone would make a change that is later seem earlier once the clock is set
/// back; a number alone would begin again with what a restored copy of the store has.
async fn next_version(transaction: &DatabaseTransaction, follower_id: i64) -> Result<i64, Error> {
    let row = follow_version::ActiveModel {
        follower_id: Set(follower_id),
        version: Set(clock::now().timestamp_micros()),
    };
    let later = "CASE WHEN follow_versions.version < excluded.version \
         THEN excluded.version ELSE follow_versions.version + 1 END";
    let next = OnConflict::column(follow_version::Column::FollowerId)
        .value(follow_version::Column::Version, Expr::cust(later))
        .to_owned();
    let row = follow_version::Entity::insert(row)
        .on_conflict(next)
        .exec_with_returning(transaction)
        .await?;
    Ok(row.version)
}
