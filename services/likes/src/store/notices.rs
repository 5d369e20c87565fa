//! What authors are still to be told (S2-37, D18).
//!
//! A row says when the author of a post is due; the likes themselves say whether they are pending.
//! Whoever removes the row tells, in the same transaction: nobody else can.

use chassis::Error;
use chrono::{DateTime, Utc};
use messaging::events::LikesNoticed;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
    sea_query::{Expr, OnConflict},
};

use super::{
    Store,
    entity::{
        like::{self, Notice},
        notice,
    },
    lock,
};

/// Names that a notice carries.
const NAMES: u64 = 3;

impl Store {
    /// Puts a like among those that the author is told of, unless it was already once; the first
    /// one of a post says when.
    pub(crate) async fn insert_notice(
        &self,
        post_id: i64,
        user_id: i64,
        due: DateTime<Utc>,
    ) -> Result<bool, Error> {
        let row = notice::ActiveModel {
            post_id: Set(post_id),
            due_at: Set(due.timestamp_micros()),
        };
        // Not `do_nothing`: the row has to be locked, or it is told and gone before this like is in.
        let hold = OnConflict::column(notice::Column::PostId)
            .update_column(notice::Column::PostId)
            .to_owned();
        let transaction = self.connection.begin().await?;
        notice::Entity::insert(row)
            .on_conflict(hold)
            .exec_without_returning(&transaction)
            .await?;
        let pending = like::Entity::update_many()
            .filter(like::Column::PostId.eq(post_id))
            .filter(like::Column::UserId.eq(user_id))
            .filter(like::Column::Liked.eq(true))
            .filter(like::Column::Notice.eq(Notice::None))
            .col_expr(like::Column::Notice, Expr::value(Notice::Pending))
            .exec(&transaction)
            .await?
            .rows_affected
            > 0;
        if pending {
            transaction.commit().await?;
        } else {
            transaction.rollback().await?;
        }
        Ok(pending)
    }

    /// Posts whose authors are due, the longest waiting first.
    pub(crate) async fn list_due_notices(
        &self,
        now: DateTime<Utc>,
        limit: u64,
    ) -> Result<Vec<i64>, Error> {
        let rows = notice::Entity::find()
            .filter(notice::Column::DueAt.lte(now.timestamp_micros()))
            .order_by_asc(notice::Column::DueAt)
            .limit(limit)
            .all(&self.connection);
        Ok(rows.await?.into_iter().map(|row| row.post_id).collect())
    }

    /// Takes a notice that is due and tells the author of all that is pending; of how many likes.
    /// `None` when another process did, or all of them were taken back.
    pub(crate) async fn remove_notice(
        &self,
        post_id: i64,
        now: DateTime<Utc>,
    ) -> Result<Option<u32>, Error> {
        let transaction = self.connection.begin().await?;
        let post = lock(&transaction, post_id).await?;
        let taken = notice::Entity::delete_many()
            .filter(notice::Column::PostId.eq(post_id))
            .filter(notice::Column::DueAt.lte(now.timestamp_micros()))
            .exec(&transaction)
            .await?;
        if taken.rows_affected == 0 {
            transaction.rollback().await?;
            return Ok(None);
        }
        let pending = Condition::all()
            .add(like::Column::PostId.eq(post_id))
            .add(like::Column::Notice.eq(Notice::Pending));
        let newest = like::Entity::find()
            .filter(pending.clone())
            .filter(like::Column::Liked.eq(true))
            .order_by_desc(like::Column::Version)
            .limit(NAMES)
            .all(&transaction)
            .await?;
        let mark = |notice, liked: bool| {
            like::Entity::update_many()
                .filter(pending.clone())
                .filter(like::Column::Liked.eq(liked))
                .col_expr(like::Column::Notice, Expr::value(notice))
                .exec(&transaction)
        };
        let told = mark(Notice::Told, true).await?.rows_affected;
        // Who took it back in time may come again, as if for the first time.
        mark(Notice::None, false).await?;
        let likes = u32::try_from(told).unwrap_or(u32::MAX);
        let author = post.author_id.filter(|_| likes > 0 && !post.deleted);
        if let Some(author_id) = author {
            let event = LikesNoticed {
                post_id,
                author_id,
                likes,
                usernames: newest.into_iter().map(|row| row.username).collect(),
            };
            self.outbox.insert(&transaction, &event).await?;
        }
        self.outbox.commit(transaction).await?;
        Ok(author.map(|_| likes))
    }
}
