//! `movies`: one row a movie or TV show.

use sea_orm::entity::prelude::*;

use crate::model::{self, Kind, Rating, ReleaseDate};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "movies")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub title: String,
    pub title_key: String,
    #[sea_orm(column_type = "Text")]
    pub description: String,
    /// In hundredths.
    pub rating: i32,
    pub genre: String,
    pub genre_key: String,
    #[sea_orm(column_type = "Text")]
    pub poster_url: String,
    pub release_date: Date,
    pub kind: String,
    pub created_by: i64,
    pub created_at: DateTimeUtc,
    pub review_count: i64,
    /// Of all its reviews, in hundredths.
    pub review_sum: i64,
    /// Changes with every change of its reviews.
    pub reviews_version: String,
    /// The request that made it; none of those that are older than this column.
    #[sea_orm(unique)]
    pub operation: Option<String>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for model::Movie {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            title: row.title,
            description: row.description,
            rating: Rating::from_hundredths(row.rating),
            genre: row.genre,
            poster_url: row.poster_url,
            release_date: ReleaseDate::new(row.release_date),
            // What a newer version of ours wrote is a movie to this one.
            kind: row.kind.parse().unwrap_or(Kind::Movie),
            created_by: row.created_by,
            review_count: row.review_count,
            review_rating: Rating::mean(row.review_sum, row.review_count),
        }
    }
}
