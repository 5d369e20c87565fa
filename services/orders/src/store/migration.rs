//! The schema, step by step; a step that has shipped is never changed.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, string, timestamp_with_time_zone},
};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Orders),
            Box::new(messaging::outbox::Migration),
            Box::new(chassis::operation::Migration),
            Box::new(chassis::operation::LocationMigration),
            Box::new(chassis::operation::NumberMigration),
        ]
    }
}

struct Orders;

impl MigrationName for Orders {
    fn name(&self) -> &'static str {
        "m0001_orders"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Orders {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("orders")
            .col(string("id").primary_key())
            .col(big_integer("user_id"))
            .col(big_integer_null("product_id"))
            .col(big_integer_null("item_id"))
            .col(string("name"))
            .col(big_integer("quantity"))
            .col(big_integer("total_cents"))
            .col(timestamp_with_time_zone("ordered_at"))
            .to_owned();
        manager.create_table(table).await?;
        let index = Index::create()
            .name("orders_of_user")
            .table("orders")
            .col("user_id")
            .col("ordered_at")
            .col("id")
            .to_owned();
        manager.create_index(index).await
    }
}
