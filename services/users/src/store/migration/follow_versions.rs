//! Versions of changes of whom somebody follows, so that their order does not come from a clock.

use sea_orm_migration::{prelude::*, schema::big_integer};

pub(crate) struct FollowVersions;

impl MigrationName for FollowVersions {
    fn name(&self) -> &'static str {
        "m0002_follow_versions"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for FollowVersions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let user = ForeignKey::create()
            .from("follow_versions", "follower_id")
            .to("users", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned();
        let table = Table::create()
            .table("follow_versions")
            .if_not_exists()
            .col(big_integer("follower_id").primary_key())
            .col(big_integer("version"))
            .foreign_key(&mut user.clone())
            .to_owned();
        manager.create_table(table).await
    }
}
