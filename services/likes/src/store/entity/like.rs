//! `likes`: who likes what. A like that was taken back stays for some days, so that its change
//! can be found by its version, and nobody is told of it a second time.

use sea_orm::entity::prelude::*;

/// Whether the author of the post knows of the like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(8))")]
pub enum Notice {
    /// Nobody has thought of it yet.
    #[sea_orm(string_value = "none")]
    None,
    /// To be told with the others of its post.
    #[sea_orm(string_value = "pending")]
    Pending,
    /// Told.
    #[sea_orm(string_value = "told")]
    Told,
}

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "likes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub post_id: i64,
    pub user_id: i64,
    pub username: String,
    pub username_key: String,
    pub liked: bool,
    pub version: i64,
    pub notice: Notice,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
