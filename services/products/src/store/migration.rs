//! The schema, step by step; a step that has shipped is never changed.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_pk_auto, string, text, timestamp_with_time_zone},
};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Products),
            Box::new(chassis::operation::Migration),
            Box::new(chassis::operation::LocationMigration),
            Box::new(chassis::operation::NumberMigration),
        ]
    }
}

struct Products;

impl MigrationName for Products {
    fn name(&self) -> &'static str {
        "m0001_products"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Products {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let table = Table::create()
            .table("products")
            .col(big_pk_auto("id"))
            .col(string("operation").unique_key())
            .col(big_integer("owner_id"))
            .col(string("name"))
            .col(text("description"))
            .col(big_integer("price_cents"))
            .col(timestamp_with_time_zone("created_at"))
            .to_owned();
        manager.create_table(table).await
    }
}
