//! `attempts`: how often something was tried in the minute that ends at `ends_at`.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "attempts")]
pub struct Model {
    /// What is counted, and whose.
    #[sea_orm(primary_key, auto_increment = false)]
    pub scope: String,
    pub made: i32,
    /// In milliseconds since 1970: whoever gives an attempt back names the minute by it.
    pub ends_at: i64,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
