//! The schema, step by step; a step that has shipped is never changed.

mod folded_keys;

use chassis::clock;
use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, date, integer, pk_auto, string, string_null, text, timestamp_with_time_zone,
    },
    sea_orm::DbBackend,
};

use super::entity::catalogue::ONLY;

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Catalogue),
            Box::new(TitleParts),
            Box::new(messaging::outbox::Migration),
            Box::new(Repetitions),
            Box::new(chassis::operation::Migration),
            Box::new(chassis::operation::LocationMigration),
            Box::new(chassis::operation::NumberMigration),
            Box::new(folded_keys::FoldedKeys),
        ]
    }
}

/// Movies, reviews, and the version of all of them.
struct Catalogue;

impl MigrationName for Catalogue {
    fn name(&self) -> &'static str {
        "m0001_catalogue"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Catalogue {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(movies()).await?;
        manager.create_table(reviews()).await?;
        // Popular: highest rating, then most reviews (D21); read backwards.
        let popular = index(
            "movies_popular",
            "movies",
            &["rating", "review_count", "id"],
        );
        manager.create_index(popular).await?;
        let genre = index("movies_genre", "movies", &["genre_key", "id"]);
        manager.create_index(genre).await?;
        let newest = index("reviews_newest", "reviews", &["movie_id", "id"]);
        manager.create_index(newest).await?;
        let mut once = index("reviews_once", "reviews", &["movie_id", "user_id"]);
        manager.create_index(once.unique().to_owned()).await?;
        manager.create_table(catalogue()).await?;
        let id = || clock::id().simple().to_string().into();
        let row = Query::insert()
            .into_table("catalogue")
            .columns(["id", "store", "version", "cleared"])
            .values_panic([ONLY.into(), id(), id(), id()])
            .to_owned();
        manager.execute(row).await
    }
}

fn index(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create();
    index.name(name).table(table);
    for column in columns {
        index.col(*column);
    }
    index
}

fn movies() -> TableCreateStatement {
    Table::create()
        .table("movies")
        .col(pk_auto("id").big_integer())
        .col(string("title"))
        .col(text("title_key"))
        .col(text("description"))
        .col(integer("rating"))
        .col(string("genre"))
        .col(text("genre_key"))
        .col(text("poster_url"))
        .col(date("release_date"))
        .col(string("kind"))
        .col(big_integer("created_by"))
        .col(timestamp_with_time_zone("created_at"))
        .col(big_integer("review_count"))
        .col(big_integer("review_sum"))
        .col(string("reviews_version"))
        .to_owned()
}

fn reviews() -> TableCreateStatement {
    let movie = ForeignKey::create()
        .from("reviews", "movie_id")
        .to("movies", "id")
        .on_delete(ForeignKeyAction::Cascade)
        .to_owned();
    Table::create()
        .table("reviews")
        .col(pk_auto("id").big_integer())
        .col(big_integer("movie_id"))
        .col(big_integer("user_id"))
        .col(string("username"))
        .col(string("title"))
        .col(text("body"))
        .col(integer("rating"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone("updated_at"))
        .foreign_key(&mut movie.clone())
        .to_owned()
}

fn catalogue() -> TableCreateStatement {
    Table::create()
        .table("catalogue")
        .col(big_integer("id").primary_key())
        .col(string("store"))
        .col(string("version"))
        .col(string("cleared"))
        .to_owned()
}

/// Finds titles by a part of them without walking all: by their trigrams, on both stores.
struct TitleParts;

impl MigrationName for TitleParts {
    fn name(&self) -> &'static str {
        "m0002_title_parts"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for TitleParts {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let statements = match manager.get_database_backend() {
            DbBackend::Sqlite => SQLITE_TITLE_PARTS,
            _ => POSTGRES_TITLE_PARTS,
        };
        for statement in statements {
            let connection = manager.get_connection();
            connection.execute_unprepared(statement).await?;
        }
        Ok(())
    }
}

/// Each movie and review knows the request that made it, so that a repetition finds it.
struct Repetitions;

impl MigrationName for Repetitions {
    fn name(&self) -> &'static str {
        "m0003_repetitions"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Repetitions {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, name) in [
            ("movies", "movies_operation"),
            ("reviews", "reviews_operation"),
        ] {
            let column = Table::alter()
                .table(table)
                .add_column(string_null("operation"))
                .to_owned();
            manager.alter_table(column).await?;
            let mut once = index(name, table, &["operation"]);
            manager.create_index(once.unique().to_owned()).await?;
        }
        Ok(())
    }
}

/// An index table that the triggers keep in the transaction of each change.
const SQLITE_TITLE_PARTS: &[&str] = &[
    "CREATE VIRTUAL TABLE movie_titles USING fts5(title_key, content='movies', content_rowid='id', \
     tokenize='trigram case_sensitive 1')",
    "CREATE TRIGGER movie_titles_insert AFTER INSERT ON movies BEGIN \
     INSERT INTO movie_titles(rowid, title_key) VALUES (new.id, new.title_key); END",
    "CREATE TRIGGER movie_titles_delete AFTER DELETE ON movies BEGIN \
     INSERT INTO movie_titles(movie_titles, rowid, title_key) VALUES ('delete', old.id, old.title_key); END",
    "CREATE TRIGGER movie_titles_update AFTER UPDATE OF title_key ON movies BEGIN \
     INSERT INTO movie_titles(movie_titles, rowid, title_key) VALUES ('delete', old.id, old.title_key); \
     INSERT INTO movie_titles(rowid, title_key) VALUES (new.id, new.title_key); END",
];

/// Where the extension is not installed or not allowed, searches are right all the same: they walk.
const POSTGRES_TITLE_PARTS: &[&str] = &["DO $$ BEGIN \
     CREATE EXTENSION IF NOT EXISTS pg_trgm; \
     CREATE INDEX movies_title_parts ON movies USING gin (title_key gin_trgm_ops); \
     EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported THEN \
     RAISE WARNING 'searching titles walks all movies: pg_trgm is missing'; END $$"];
