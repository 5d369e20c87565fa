//! `users`: one row an account.

use sea_orm::entity::prelude::*;

use crate::model;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub username: String,
    #[sea_orm(unique)]
    pub username_key: String,
    pub email: String,
    #[sea_orm(unique)]
    pub email_key: String,
    pub name: String,
    pub bio: String,
    pub avatar_url: String,
    pub password_hash: String,
    pub created_at: DateTimeUtc,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for model::User {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            username: row.username,
            email: row.email,
            name: row.name,
            bio: row.bio,
            avatar_url: row.avatar_url,
            password_hash: row.password_hash,
            created_at: row.created_at,
        }
    }
}
