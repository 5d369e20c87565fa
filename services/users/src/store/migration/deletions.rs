//! Accounts that are no more, and which services have forgotten them.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, integer, string, string_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null,
    },
};

pub(crate) struct Deletions;

impl MigrationName for Deletions {
    fn name(&self) -> &'static str {
        "m0003_deletions"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Deletions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let deletions = Table::create()
            .table("deletions")
            .if_not_exists()
            .col(big_integer("user_id").primary_key())
            .col(string_null("username_key"))
            .col(timestamp_with_time_zone("deleted_at"))
            .col(integer("round"))
            .col(timestamp_with_time_zone("told_at"))
            .col(timestamp_with_time_zone_null("finished_at"))
            .to_owned();
        manager.create_table(deletions).await?;
        // A registration looks for the name.
        let names = Index::create()
            .name("deletions_username_key")
            .if_not_exists()
            .table("deletions")
            .col("username_key")
            .to_owned();
        manager.create_index(names).await?;
        let farewells = Table::create()
            .table("farewells")
            .if_not_exists()
            .col(big_integer("user_id"))
            .col(string("service"))
            .col(integer("round"))
            .col(timestamp_with_time_zone("answered_at"))
            .primary_key(Index::create().col("user_id").col("service"))
            .to_owned();
        manager.create_table(farewells).await
    }
}
