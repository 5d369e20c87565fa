//! The tables behind the limits of logins and registrations.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, integer, string},
};

/// What was tried lately, and the networks from which accounts were used.
pub(super) struct Attempts;

impl MigrationName for Attempts {
    fn name(&self) -> &'static str {
        "m0002_attempts"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Attempts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(attempts()).await?;
        manager.create_table(known_networks()).await?;
        // Both are pruned by time.
        for (table, column) in [("attempts", "ends_at"), ("known_networks", "used_at")] {
            let index = Index::create()
                .name(format!("{table}_by_time"))
                .if_not_exists()
                .table(table)
                .col(column)
                .to_owned();
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn attempts() -> TableCreateStatement {
    Table::create()
        .table("attempts")
        .if_not_exists()
        .col(string("scope").primary_key())
        .col(integer("made"))
        .col(big_integer("ends_at"))
        .to_owned()
}

fn known_networks() -> TableCreateStatement {
    let mut user = ForeignKey::create()
        .from("known_networks", "user_id")
        .to("users", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    Table::create()
        .table("known_networks")
        .if_not_exists()
        .col(big_integer("user_id"))
        .col(string("network"))
        .col(big_integer("used_at"))
        .primary_key(Index::create().col("user_id").col("network"))
        .foreign_key(&mut user)
        .to_owned()
}
