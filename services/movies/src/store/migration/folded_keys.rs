//! Titles and genres of before are folded as what is looked for is folded now.

use chassis::clock;
use sea_orm_migration::{prelude::*, sea_orm::QueryResult};

use crate::model::Folded;

/// Rows that are read at once.
const PAGE: u64 = 500;

pub(crate) struct FoldedKeys;

impl MigrationName for FoldedKeys {
    fn name(&self) -> &'static str {
        "m0004_folded_keys"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for FoldedKeys {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let mut last = 0_i64;
        loop {
            let page = Query::select()
                .columns(["id", "title", "title_key", "genre", "genre_key"])
                .from("movies")
                .and_where(Expr::col("id").gt(last))
                .order_by("id", Order::Asc)
                .limit(PAGE)
                .to_owned();
            let rows = manager.get_connection().query_all(&page).await?;
            let Some(row) = rows.last() else {
                break;
            };
            last = row.try_get("", "id")?;
            for row in &rows {
                fold(manager, row).await?;
            }
        }
        // What was found before, and is cached, is not all that is found now.
        let changed = Query::update()
            .table("catalogue")
            .value("version", clock::id().simple().to_string())
            .to_owned();
        manager.get_connection().execute(&changed).await.map(drop)
    }
}

async fn fold(manager: &SchemaManager<'_>, row: &QueryResult) -> Result<(), DbErr> {
    let text = |column| row.try_get::<String>("", column);
    let title = Folded::new(&text("title")?).into_string();
    let genre = Folded::new(&text("genre")?).into_string();
    if (&title, &genre) == (&text("title_key")?, &text("genre_key")?) {
        return Ok(());
    }
    let folded = Query::update()
        .table("movies")
        .value("title_key", title)
        .value("genre_key", genre)
        .and_where(Expr::col("id").eq(row.try_get::<i64>("", "id")?))
        .to_owned();
    manager.get_connection().execute(&folded).await.map(drop)
}
