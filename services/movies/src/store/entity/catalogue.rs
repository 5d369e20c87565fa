//! `catalogue`: one row, which says what version of all movies this is.

use sea_orm::entity::prelude::*;

/// The id of the row.
pub const ONLY: i64 = 1;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "catalogue")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: i64,
    /// The store's own id, for others may use the same Redis.
    pub store: String,
    /// Changes with every change that a list of movies shows.
    pub version: String,
    /// Changes when all caches shall be empty.
    pub cleared: String,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
