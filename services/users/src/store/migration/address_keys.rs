//! Addresses of before get the key that they are looked for by now, in which a domain has one form.

use chassis::address_key;
use sea_orm_migration::{prelude::*, sea_orm::QueryResult};

/// Rows that are read at once.
const PAGE: u64 = 500;

pub(crate) struct AddressKeys;

impl MigrationName for AddressKeys {
    fn name(&self) -> &'static str {
        "m0004_address_keys"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for AddressKeys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut last = 0_i64;
        loop {
            let page = Query::select()
                .columns(["id", "email", "email_key"])
                .from("users")
                .and_where(Expr::col("id").gt(last))
                .order_by("id", Order::Asc)
                .limit(PAGE)
                .to_owned();
            let rows = manager.get_connection().query_all(&page).await?;
            let Some(row) = rows.last() else {
                return Ok(());
            };
            last = row.try_get("", "id")?;
            for row in &rows {
                renew(manager, row).await?;
            }
        }
    }
}

/// Of two accounts with one address the elder gets the key. The other keeps its own, by which it still logs in.
async fn renew(manager: &SchemaManager<'_>, row: &QueryResult) -> Result<(), DbErr> {
    let id: i64 = row.try_get("", "id")?;
    let key = address_key(&row.try_get::<String>("", "email")?);
    if key == row.try_get::<String>("", "email_key")? {
        return Ok(());
    }
    let taken = Query::select()
        .column("id")
        .from("users")
        .and_where(Expr::col("email_key").eq(key.as_str()))
        .to_owned();
    let connection = manager.get_connection();
    if connection.query_one(&taken).await?.is_some() {
        tracing::warn!(user.id = id, "two accounts have one address");
        return Ok(());
    }
    let renewed = Query::update()
        .table("users")
        .value("email_key", key)
        .and_where(Expr::col("id").eq(id))
        .to_owned();
    connection.execute(&renewed).await.map(drop)
}
