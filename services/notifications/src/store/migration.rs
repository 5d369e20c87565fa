//! The schema, step by step; a step that has shipped is never changed.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, integer, string, string_null, text, text_null, timestamp_with_time_zone,
        timestamp_with_time_zone_null,
    },
};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Notifications),
            Box::new(messaging::outbox::Migration),
            Box::new(chassis::operation::Migration),
            Box::new(chassis::operation::LocationMigration),
            Box::new(chassis::operation::NumberMigration),
        ]
    }
}

/// Notifications, and who asked for one.
struct Notifications;

impl MigrationName for Notifications {
    fn name(&self) -> &'static str {
        "m0001_notifications"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Notifications {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(notifications()).await?;
        let index = |name: &str| Index::create().name(name).table("notifications").to_owned();
        // At most one notification of an event for each whom it is told; others have no source.
        let source = index("notifications_by_source")
            .col("source")
            .unique()
            .to_owned();
        manager.create_index(source).await?;
        // Lists, and how many somebody asked for within a minute.
        let user = index("notifications_by_user")
            .col("user_id")
            .col("created_at")
            .to_owned();
        manager.create_index(user).await?;
        let age = index("notifications_by_age").col("created_at").to_owned();
        manager.create_index(age).await?;
        let senders = Table::create()
            .table("senders")
            .col(big_integer("user_id").primary_key())
            .col(timestamp_with_time_zone("asked_at"))
            .to_owned();
        manager.create_table(senders).await
    }
}

fn notifications() -> TableCreateStatement {
    Table::create()
        .table("notifications")
        .col(string("id").primary_key())
        .col(big_integer("user_id"))
        .col(string("kind"))
        .col(string("recipient"))
        .col(string("subject"))
        .col(text("message"))
        .col(text("body_text"))
        .col(text("body_html"))
        .col(string("status"))
        .col(text_null("reason"))
        .col(integer("attempts"))
        .col(string_null("source"))
        .col(timestamp_with_time_zone("changed_at"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("sent_at"))
        .to_owned()
}
