//! The schema, step by step; a step that has shipped is never changed.

mod address_keys;
mod deletions;
mod follow_versions;

use super::migration_attempts::Attempts;
use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, binary, pk_auto, string, text, timestamp_with_time_zone,
        timestamp_with_time_zone_null,
    },
};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Accounts),
            Box::new(messaging::outbox::Migration),
            Box::new(follow_versions::FollowVersions),
            Box::new(Attempts),
            Box::new(deletions::Deletions),
            Box::new(address_keys::AddressKeys),
        ]
    }
}

/// Accounts, follows, signing keys and logged-out tokens.
struct Accounts;

impl MigrationName for Accounts {
    fn name(&self) -> &'static str {
        "m0001_accounts"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Accounts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(users()).await?;
        for column in ["username_key", "email_key"] {
            let index = Index::create()
                .name(format!("users_{column}"))
                .table("users")
                .col(column)
                .unique()
                .to_owned();
            manager.create_index(index).await?;
        }
        manager.create_table(follows()).await?;
        // Both directions are listed newest first.
        for (name, column) in [
            ("follows_of_follower", "follower_id"),
            ("follows_of_followee", "followee_id"),
        ] {
            let index = Index::create()
                .name(name)
                .table("follows")
                .col(column)
                .col("created_at")
                .to_owned();
            manager.create_index(index).await?;
        }
        manager.create_table(signing_keys()).await?;
        manager.create_table(revocations()).await?;
        let index = Index::create()
            .name("revocations_by_time")
            .table("revocations")
            .col("revoked_at")
            .to_owned();
        manager.create_index(index).await
    }
}

fn users() -> TableCreateStatement {
    Table::create()
        .table("users")
        .col(pk_auto("id").big_integer())
        .col(string("username"))
        .col(string("username_key"))
        .col(string("email"))
        .col(string("email_key"))
        .col(text("name"))
        .col(text("bio"))
        .col(text("avatar_url"))
        .col(text("password_hash"))
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}

fn follows() -> TableCreateStatement {
    let user = |column: &'static str| {
        ForeignKey::create()
            .from("follows", column)
            .to("users", "id")
            .on_delete(ForeignKeyAction::Cascade)
            .to_owned()
    };
    Table::create()
        .table("follows")
        .col(big_integer("follower_id"))
        .col(big_integer("followee_id"))
        .col(timestamp_with_time_zone("created_at"))
        .primary_key(Index::create().col("follower_id").col("followee_id"))
        .foreign_key(&mut user("follower_id"))
        .foreign_key(&mut user("followee_id"))
        .to_owned()
}

fn signing_keys() -> TableCreateStatement {
    Table::create()
        .table("signing_keys")
        .col(big_integer("generation").primary_key())
        .col(string("kid"))
        .col(binary("pkcs8"))
        .col(binary("public_key"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("expires_at"))
        .to_owned()
}

fn revocations() -> TableCreateStatement {
    Table::create()
        .table("revocations")
        .col(string("jti").primary_key())
        .col(big_integer("expires_at"))
        .col(timestamp_with_time_zone("revoked_at"))
        .to_owned()
}
