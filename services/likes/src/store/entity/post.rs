//! `posts`: what is known of each post that was liked, with its count.

use sea_orm::entity::prelude::*;

use crate::model;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "posts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: i64,
    pub likes: i64,
    pub version: i64,
    pub deleted: bool,
    pub author_id: Option<i64>,
    pub checked_at: Option<i64>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for model::Post {
    fn from(row: Model) -> Self {
        Self {
            id: row.post_id,
            likes: row.likes,
            version: row.version,
            deleted: row.deleted,
            author_id: row.author_id,
            checked_at: row.checked_at,
        }
    }
}

impl From<Model> for model::Count {
    fn from(row: Model) -> Self {
        Self {
            post_id: row.post_id,
            likes: row.likes,
            version: row.version,
        }
    }
}
