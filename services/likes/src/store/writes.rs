//! Likes given and taken back, and posts that turn out to be none.

use chassis::{Error, clock};
use messaging::events::PostLiked;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
    sea_query::Expr,
};

use super::{
    Store,
    entity::{
        like::{self, Notice},
        post,
    },
    lock,
};
use crate::model::{Count, Post, username_key};

/// Likes that are removed in one transaction.
const CHUNK: u64 = 1_000;

/// What became of a wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is so now.
    Changed(Count),
    /// It was so already.
    Unchanged,
    /// The post was deleted.
    Deleted,
}

impl Store {
    /// Notes that somebody likes a post, and tells of it.
    pub(crate) async fn insert_like(
        &self,
        post_id: i64,
        user_id: i64,
        username: &str,
    ) -> Result<Outcome, Error> {
        let transaction = self.connection.begin().await?;
        let post = lock(&transaction, post_id).await?;
        if post.deleted {
            transaction.rollback().await?;
            return Ok(Outcome::Deleted);
        }
        let before = find(&transaction, post_id, user_id).await?;
        if before.as_ref().is_some_and(|row| row.liked) {
            transaction.rollback().await?;
            return Ok(Outcome::Unchanged);
        }
        let version = post.next_version(clock::now());
        match before {
            Some(row) => set_liked(&transaction, &[row.id], true, version).await?,
            None => insert(&transaction, post_id, user_id, username, version).await?,
        }
        let count = set_count(&transaction, &post, post.likes + 1, version).await?;
        let event = PostLiked {
            post_id,
            user_id,
            username: username.to_owned(),
        };
        self.outbox.insert(&transaction, &event).await?;
        self.outbox.commit(transaction).await?;
        Ok(Outcome::Changed(count))
    }

    /// Notes that somebody likes a post no more.
    pub(crate) async fn remove_like(&self, post_id: i64, user_id: i64) -> Result<Outcome, Error> {
        let transaction = self.connection.begin().await?;
        let post = lock(&transaction, post_id).await?;
        let before = find(&transaction, post_id, user_id).await?;
        let Some(row) = before.filter(|row| row.liked) else {
            transaction.rollback().await?;
            return Ok(Outcome::Unchanged);
        };
        let version = post.next_version(clock::now());
        set_liked(&transaction, &[row.id], false, version).await?;
        let count = set_count(&transaction, &post, post.likes - 1, version).await?;
        transaction.commit().await?;
        Ok(Outcome::Changed(count))
    }

    /// Takes somebody's name out of what they took back; that they did stays for some days, by their number.
    pub(crate) async fn forget_name(&self, user_id: i64, username_key: &str) -> Result<(), Error> {
        like::Entity::update_many()
            .filter(like::Column::UsernameKey.eq(username_key))
            .filter(like::Column::UserId.eq(user_id))
            .filter(like::Column::Liked.eq(false))
            .col_expr(like::Column::Username, Expr::value(""))
            .col_expr(like::Column::UsernameKey, Expr::value(""))
            .exec(&self.connection)
            .await?;
        Ok(())
    }

    /// Notes whose post it is, and that it existed just now.
    pub(crate) async fn update_author(&self, post_id: i64, author_id: i64) -> Result<(), Error> {
        let now = clock::now().timestamp_micros();
        post::Entity::update_many()
            .filter(post::Column::PostId.eq(post_id))
            .col_expr(post::Column::AuthorId, Expr::value(author_id))
            .col_expr(post::Column::CheckedAt, Expr::value(now))
            .exec(&self.connection)
            .await?;
        Ok(())
    }

    /// Notes that a post is gone for ever: from now on nobody likes it.
    pub(crate) async fn mark_deleted(&self, post_id: i64) -> Result<Count, Error> {
        let transaction = self.connection.begin().await?;
        let mut post = lock(&transaction, post_id).await?;
        post.deleted = true;
        let version = post.next_version(clock::now());
        let count = set_count(&transaction, &post, 0, version).await?;
        transaction.commit().await?;
        Ok(count)
    }

    /// Takes some of the likes of a post that are not newer than a version; what is left, and
    /// whose they were. `None` when there are none.
    pub(crate) async fn drop_likes(
        &self,
        post_id: i64,
        up_to: i64,
    ) -> Result<Option<(Count, Vec<String>)>, Error> {
        let transaction = self.connection.begin().await?;
        let post = lock(&transaction, post_id).await?;
        let rows = like::Entity::find()
            .filter(like::Column::PostId.eq(post_id))
            .filter(like::Column::Liked.eq(true))
            .filter(like::Column::Version.lte(up_to))
            .order_by_asc(like::Column::Id)
            .limit(CHUNK)
            .all(&transaction)
            .await?;
        if rows.is_empty() {
            transaction.rollback().await?;
            return Ok(None);
        }
        let version = post.next_version(clock::now());
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        set_liked(&transaction, &ids, false, version).await?;
        let left = post.likes - i64::try_from(rows.len()).unwrap_or(i64::MAX);
        let count = set_count(&transaction, &post, left, version).await?;
        transaction.commit().await?;
        let usernames = rows.into_iter().map(|row| row.username_key).collect();
        Ok(Some((count, usernames)))
    }
}

async fn find(
    transaction: &DatabaseTransaction,
    post_id: i64,
    user_id: i64,
) -> Result<Option<like::Model>, DbErr> {
    like::Entity::find()
        .filter(like::Column::PostId.eq(post_id))
        .filter(like::Column::UserId.eq(user_id))
        .one(transaction)
        .await
}

async fn insert(
    transaction: &DatabaseTransaction,
    post_id: i64,
    user_id: i64,
    username: &str,
    version: i64,
) -> Result<(), DbErr> {
    let row = like::ActiveModel {
        id: NotSet,
        post_id: Set(post_id),
        user_id: Set(user_id),
        username: Set(username.to_owned()),
        username_key: Set(username_key(username)),
        liked: Set(true),
        version: Set(version),
        notice: Set(Notice::None),
    };
    like::Entity::insert(row)
        .exec_without_returning(transaction)
        .await?;
    Ok(())
}

async fn set_liked(
    transaction: &DatabaseTransaction,
    ids: &[i64],
    liked: bool,
    version: i64,
) -> Result<(), DbErr> {
    like::Entity::update_many()
        .filter(like::Column::Id.is_in(ids.iter().copied()))
        .col_expr(like::Column::Liked, Expr::value(liked))
        .col_expr(like::Column::Version, Expr::value(version))
        .exec(transaction)
        .await?;
    Ok(())
}

/// Writes the count of a post that is locked. A deleted one has none.
async fn set_count(
    transaction: &DatabaseTransaction,
    post: &Post,
    likes: i64,
    version: i64,
) -> Result<Count, DbErr> {
    let likes = if post.deleted { 0 } else { likes.max(0) };
    post::Entity::update_many()
        .filter(post::Column::PostId.eq(post.id))
        .col_expr(post::Column::Likes, Expr::value(likes))
        .col_expr(post::Column::Version, Expr::value(version))
        .col_expr(post::Column::Deleted, Expr::value(post.deleted))
        .exec(transaction)
        .await?;
    Ok(Count {
        post_id: post.id,
        likes,
        version,
    })
}
