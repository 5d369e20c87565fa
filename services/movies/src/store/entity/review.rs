//! `reviews`: one row a person and movie.

use sea_orm::entity::prelude::*;

use crate::model::{self, Rating};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "reviews")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub movie_id: i64,
    pub user_id: i64,
    pub username: String,
    pub title: String,
    #[sea_orm(column_type = "Text")]
    pub body: String,
    /// In hundredths.
    pub rating: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    /// The request that made it; none of those that are older than this column.
    #[sea_orm(unique)]
    pub operation: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for model::Review {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            movie_id: row.movie_id,
            user_id: row.user_id,
            username: row.username,
            title: row.title,
            body: row.body,
            rating: Rating::from_hundredths(row.rating),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}
