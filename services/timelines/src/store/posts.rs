//! Posts.

use chassis::{Error, Page, clock};
use messaging::events::{PostCreated, PostDeleted};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DatabaseTransaction, DbErr, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select, SqlErr,
};
use uuid::Uuid;

use super::{Store, entity::post};
use crate::model::{NewPost, Post, RepostUrl, Username};

/// Why a post could not be made.
#[derive(Debug)]
pub(super) enum NotInserted {
    /// The operation made one before.
    Repeated(DbErr),
    /// The store failed.
    Store(Error),
}

impl From<Error> for NotInserted {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

impl From<NotInserted> for Error {
    fn from(error: NotInserted) -> Self {
        match error {
            NotInserted::Repeated(error) => Self::internal(error),
            NotInserted::Store(error) => error,
        }
    }
}

fn repeated(error: DbErr) -> NotInserted {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(_)) => NotInserted::Repeated(error),
        _ => NotInserted::Store(error.into()),
    }
}

impl Store {
    /// Makes a post, and tells of it; the one that the operation made before, if it did.
    pub(crate) async fn insert_post(&self, new: &NewPost, operation: Uuid) -> Result<Post, Error> {
        let transaction = self.connection.begin().await?;
        match self.insert_post_in(&transaction, new, operation).await {
            Ok(post) => {
                self.outbox.commit(transaction).await?;
                Ok(post)
            }
            Err(NotInserted::Repeated(error)) => {
                transaction.rollback().await?;
                let made = post::Column::Operation.eq(operation.to_string());
                let row = post::Entity::find().filter(made).one(&self.connection);
                let made_before = row.await?.map(Post::from);
                made_before.ok_or_else(|| Error::internal(error))
            }
            Err(NotInserted::Store(error)) => Err(error),
        }
    }

    /// The same, as a part of a greater change.
    pub(super) async fn insert_post_in(
        &self,
        transaction: &DatabaseTransaction,
        new: &NewPost,
        operation: Uuid,
    ) -> Result<Post, NotInserted> {
        let row = post::ActiveModel {
            id: NotSet,
            user_id: Set(new.user_id),
            username: Set(new.username.clone()),
            username_key: Set(new.username.to_ascii_lowercase()),
            text: Set(new.text.as_str().to_owned()),
            repost_original_url: Set(new
                .repost_original_url
                .as_ref()
                .map(|url| RepostUrl::as_str(url).to_owned())),
            operation: Set(operation.to_string()),
            created_at: Set(clock::now()),
        };
        let post = Post::from(row.insert(transaction).await.map_err(repeated)?);
        let event = PostCreated {
            post_id: post.id,
            user_id: post.user_id,
            username: post.username.clone(),
        };
        self.outbox.insert(transaction, &event).await?;
        Ok(post)
    }

    /// The post with this number.
    pub(crate) async fn find_post(&self, id: i64) -> Result<Option<Post>, Error> {
        let row = post::Entity::find_by_id(id).one(&self.connection).await?;
        Ok(row.map(Post::from))
    }

    /// Those of `ids` that exist, newest first.
    pub(crate) async fn list_posts_by_ids(&self, ids: &[i64]) -> Result<Vec<Post>, Error> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let named = post::Column::Id.is_in(ids.iter().copied());
        let query = post::Entity::find().filter(named);
        let rows = query.order_by_desc(post::Column::Id).all(&self.connection);
        Ok(rows.await?.into_iter().map(Post::from).collect())
    }

    /// A page of all posts, newest first.
    pub(crate) async fn list_posts(&self, page: &Page<i64>) -> Result<Vec<Post>, Error> {
        self.newest(post::Entity::find(), page).await
    }

    /// A page of a person's posts, newest first.
    pub(crate) async fn list_posts_of(
        &self,
        username: &Username,
        page: &Page<i64>,
    ) -> Result<Vec<Post>, Error> {
        let own = post::Column::UsernameKey.eq(username.key());
        self.newest(post::Entity::find().filter(own), page).await
    }

    async fn newest(
        &self,
        mut query: Select<post::Entity>,
        page: &Page<i64>,
    ) -> Result<Vec<Post>, Error> {
        if let Some(after) = page.after {
            query = query.filter(post::Column::Id.lt(after));
        }
        let query = query.order_by_desc(post::Column::Id);
        let query = query.offset(page.offset).limit(page.fetch());
        let rows = query.all(&self.connection).await?;
        Ok(rows.into_iter().map(Post::from).collect())
    }

    /// Deletes a post, and tells of it; `false` when it was gone already.
    pub(crate) async fn remove_post(&self, id: i64) -> Result<bool, Error> {
        let transaction = self.connection.begin().await?;
        let Some(row) = post::Entity::find_by_id(id).one(&transaction).await? else {
            return Ok(false);
        };
        let removed = post::Entity::delete_by_id(id).exec(&transaction).await?;
        // Two who delete at once: one of them did.
        if removed.rows_affected == 0 {
            return Ok(false);
        }
        let event = PostDeleted {
            post_id: id,
            user_id: row.user_id,
        };
        self.outbox.insert(&transaction, &event).await?;
        self.outbox.commit(transaction).await?;
        Ok(true)
    }
}
