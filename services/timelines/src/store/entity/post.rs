//! `posts`: one row a post.

use sea_orm::entity::prelude::*;

use crate::model;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "posts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: i64,
    pub username: String,
    pub username_key: String,
    #[sea_orm(column_type = "Text")]
    pub text: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub repost_original_url: Option<String>,
    /// What made it: a request, or a job.
    #[sea_orm(unique)]
    pub operation: String,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for model::Post {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            user_id: row.user_id,
            username: row.username,
            text: row.text,
            repost_original_url: row.repost_original_url,
            created_at: row.created_at,
        }
    }
}
