//! Lists and counts.

use chassis::Error;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, FromQueryResult, QueryFilter as _,
    QueryOrder as _, QuerySelect as _,
};

use super::{
    Store,
    entity::{like, post},
};
use crate::model::{Count, Liked, LikesOf, Post, Ranked};

/// A like that was given or taken back.
#[derive(Debug, FromQueryResult)]
pub(crate) struct Change {
    pub(crate) id: i64,
    pub(crate) version: i64,
    pub(crate) post_id: i64,
    pub(crate) username_key: String,
}

impl Store {
    /// What is known of a post.
    pub(crate) async fn find_post(&self, post_id: i64) -> Result<Option<Post>, Error> {
        let row = post::Entity::find_by_id(post_id).one(&self.connection);
        Ok(row.await?.map(Post::from))
    }

    /// How many like a post; none where nothing is known of it.
    pub(crate) async fn count(&self, post_id: i64) -> Result<Count, Error> {
        let row = post::Entity::find_by_id(post_id).one(&self.connection);
        let nothing = Count {
            post_id,
            likes: 0,
            version: 0,
        };
        Ok(row.await?.map_or(nothing, Count::from))
    }

    /// How many like each of these posts, as far as anything is known of them.
    pub(crate) async fn list_counts(&self, post_ids: &[i64]) -> Result<Vec<Count>, Error> {
        let rows = post::Entity::find()
            .filter(post::Column::PostId.is_in(post_ids.iter().copied()))
            .all(&self.connection);
        Ok(rows.await?.into_iter().map(Count::from).collect())
    }

    /// The posts with the most likes, after those with more likes than `after` and `offset` others.
    pub(crate) async fn list_popular(
        &self,
        limit: u64,
        after: Option<(i64, i64)>,
        offset: u64,
    ) -> Result<Vec<Ranked>, Error> {
        let mut query = post::Entity::find()
            .filter(post::Column::Likes.gt(0))
            .order_by_desc(post::Column::Likes)
            .order_by_desc(post::Column::PostId)
            .offset(offset)
            .limit(limit);
        if let Some((likes, post_id)) = after {
            let equals = Condition::all()
                .add(post::Column::Likes.eq(likes))
                .add(post::Column::PostId.lt(post_id));
            query = query.filter(
                Condition::any()
                    .add(post::Column::Likes.lt(likes))
                    .add(equals),
            );
        }
        let rows = query.all(&self.connection).await?;
        let ranked = rows.into_iter().map(|row| Ranked {
            post_id: row.post_id,
            likes: row.likes,
        });
        Ok(ranked.collect())
    }

    /// What a person likes, the newest first; `None` where that is nothing.
    pub(crate) async fn list_likes_of(
        &self,
        username_key: &str,
        limit: u64,
        after: Option<(i64, i64)>,
        offset: u64,
    ) -> Result<Option<LikesOf>, Error> {
        let mut query = like::Entity::find()
            .filter(like::Column::UsernameKey.eq(username_key))
            .filter(like::Column::Liked.eq(true))
            .order_by_desc(like::Column::Version)
            .order_by_desc(like::Column::PostId)
            .offset(offset)
            .limit(limit);
        if let Some((version, post_id)) = after {
            let same_time = Condition::all()
                .add(like::Column::Version.eq(version))
                .add(like::Column::PostId.lt(post_id));
            query = query.filter(
                Condition::any()
                    .add(like::Column::Version.lt(version))
                    .add(same_time),
            );
        }
        let rows = query.all(&self.connection).await?;
        let username = rows.first().map(|row| row.username.clone());
        let likes = rows.into_iter().map(|row| Liked {
            post_id: row.post_id,
            version: row.version,
        });
        let likes = likes.collect();
        Ok(username.map(|username| LikesOf { username, likes }))
    }

    /// Posts that somebody likes, some of them.
    pub(crate) async fn list_liked(
        &self,
        user_id: i64,
        username_key: &str,
        limit: u64,
    ) -> Result<Vec<i64>, Error> {
        let posts = like::Entity::find()
            .select_only()
            .column(like::Column::PostId)
            .filter(like::Column::UsernameKey.eq(username_key))
            .filter(like::Column::UserId.eq(user_id))
            .filter(like::Column::Liked.eq(true))
            .order_by_asc(like::Column::Id)
            .limit(limit)
            .into_tuple()
            .all(&self.connection);
        Ok(posts.await?)
    }

    /// The version of the last change of a person's likes; 0 where there was none.
    pub(crate) async fn newest_version_of(&self, username_key: &str) -> Result<i64, Error> {
        let newest = like::Entity::find()
            .filter(like::Column::UsernameKey.eq(username_key))
            .order_by_desc(like::Column::Version)
            .limit(1)
            .one(&self.connection)
            .await?;
        Ok(newest.map_or(0, |row| row.version))
    }

    /// What has changed after a version (and a number, among equals), in this order.
    pub(crate) async fn list_changes(
        &self,
        after: (i64, i64),
        limit: u64,
    ) -> Result<Vec<Change>, Error> {
        let (version, id) = after;
        let equals = Condition::all()
            .add(like::Column::Version.eq(version))
            .add(like::Column::Id.gt(id));
        let changes = like::Entity::find()
            .select_only()
            .columns([
                like::Column::Id,
                like::Column::Version,
                like::Column::PostId,
                like::Column::UsernameKey,
            ])
            .filter(like::Column::Version.gte(version))
            .filter(
                Condition::any()
                    .add(like::Column::Version.gt(version))
                    .add(equals),
            )
            .order_by_asc(like::Column::Version)
            .order_by_asc(like::Column::Id)
            .limit(limit)
            .into_model::<Change>()
            .all(&self.connection);
        Ok(changes.await?)
    }
}
