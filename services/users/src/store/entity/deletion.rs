//! `deletions`: accounts that are no more, and which services have been told.

use sea_orm::entity::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "deletions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: i64,
    /// The name that nobody may take yet; none once every service has forgotten who had it.
    pub username_key: Option<String>,
    pub deleted_at: DateTimeUtc,
    /// How often services were told.
    pub round: i32,
    pub told_at: DateTimeUtc,
    /// When the last service had answered.
    pub finished_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
