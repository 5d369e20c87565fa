//! What is kept of somebody whose account is deleted: nothing.

use chassis::Error;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _,
};

use super::{
    Store,
    entity::{follow, job, post, reader, star},
};

/// Rows that are looked at together.
const BATCH: u64 = 200;

impl Store {
    /// Removes a person's posts, and tells of each; their jobs; and all about whom they follow and who follows them.
    pub(crate) async fn forget(&self, user_id: i64) -> Result<(), Error> {
        // First what makes posts.
        job::Entity::delete_many()
            .filter(job::Column::UserId.eq(user_id))
            .exec(&self.connection)
            .await?;
        self.forget_posts(user_id).await?;
        self.forget_graph(user_id).await
    }

    async fn forget_posts(&self, user_id: i64) -> Result<(), Error> {
        loop {
            let ids: Vec<i64> = post::Entity::find()
                .select_only()
                .column(post::Column::Id)
                .filter(post::Column::UserId.eq(user_id))
                .order_by_asc(post::Column::Id)
                .limit(BATCH)
                .into_tuple()
                .all(&self.connection)
                .await?;
            if ids.is_empty() {
                return Ok(());
            }
            for id in ids {
                self.remove_post(id).await?;
            }
        }
    }

    /// The home timelines of followers may still have numbers of posts, of which those that are deleted are never shown.
    async fn forget_graph(&self, user_id: i64) -> Result<(), Error> {
        let either = Condition::any()
            .add(follow::Column::FollowerId.eq(user_id))
            .add(follow::Column::FolloweeId.eq(user_id));
        let transaction = self.connection.begin().await?;
        follow::Entity::delete_many()
            .filter(either)
            .exec(&transaction)
            .await?;
        // What Redis has of their own home timeline is read by nobody any more, and expires within the hour.
        reader::Entity::delete_by_id(user_id)
            .exec(&transaction)
            .await?;
        star::Entity::delete_by_id(user_id)
            .exec(&transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}
