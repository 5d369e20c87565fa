//! The schema, step by step; a step that has shipped is never changed.

use sea_orm_migration::{
    prelude::*,
    schema::{
        big_integer, big_integer_null, boolean, pk_auto, string, text, text_null,
        timestamp_with_time_zone, timestamp_with_time_zone_null,
    },
};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Microblog),
            Box::new(messaging::outbox::Migration),
            Box::new(messaging::inbox::Migration),
            Box::new(chassis::operation::Migration),
            Box::new(chassis::operation::LocationMigration),
            Box::new(chassis::operation::NumberMigration),
            Box::new(Turns),
        ]
    }
}

/// Posts, jobs, and what home timelines are made from.
struct Microblog;

impl MigrationName for Microblog {
    fn name(&self) -> &'static str {
        "m0001_microblog"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Microblog {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in [posts(), jobs(), follows(), readers(), stars()] {
            manager.create_table(table).await?;
        }
        // The first two for the newest of one author, by id and by name; then the followers of
        // an author in order; then the jobs to be forgotten.
        let indexes: [(&str, &str, &[&str]); 4] = [
            ("posts_of_user", "posts", &["user_id", "id"]),
            ("posts_of_username", "posts", &["username_key", "id"]),
            (
                "follows_of_followee",
                "follows",
                &["followee_id", "following", "follower_id"],
            ),
            ("jobs_by_end", "jobs", &["finished_at"]),
        ];
        for (name, table, columns) in indexes {
            let mut index = Index::create();
            index.name(name).table(table);
            for column in columns {
                index.col(*column);
            }
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

/// The order of the posts that one author has made behind.
struct Turns;

impl MigrationName for Turns {
    fn name(&self) -> &'static str {
        "m0002_turns"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Turns {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // An instance of the release before, which knows of no turns, goes on beside this one.
        let turn = big_integer("turn").default(0).take();
        let table = Table::alter().table("jobs").add_column(turn).take();
        manager.alter_table(table).await?;
        let waiting = Index::create()
            .name("jobs_of_author")
            .table("jobs")
            .col("user_id")
            .col("state")
            .col("turn")
            .to_owned();
        manager.create_index(waiting).await
    }
}

fn posts() -> TableCreateStatement {
    Table::create()
        .table("posts")
        .col(pk_auto("id").big_integer())
        .col(big_integer("user_id"))
        .col(string("username"))
        .col(string("username_key"))
        .col(text("text"))
        .col(text_null("repost_original_url"))
        .col(string("operation").unique_key())
        .col(timestamp_with_time_zone("created_at"))
        .to_owned()
}

fn jobs() -> TableCreateStatement {
    Table::create()
        .table("jobs")
        .col(string("job_id").primary_key())
        .col(big_integer("user_id"))
        .col(string("username"))
        .col(text("text"))
        .col(text_null("repost_original_url"))
        .col(string("state"))
        .col(big_integer_null("post_id"))
        .col(text_null("reason"))
        .col(timestamp_with_time_zone("created_at"))
        .col(timestamp_with_time_zone_null("finished_at"))
        .to_owned()
}

fn follows() -> TableCreateStatement {
    Table::create()
        .table("follows")
        .col(big_integer("follower_id"))
        .col(big_integer("followee_id"))
        .col(boolean("following"))
        .col(timestamp_with_time_zone("changed_at"))
        .primary_key(Index::create().col("follower_id").col("followee_id"))
        .to_owned()
}

fn readers() -> TableCreateStatement {
    Table::create()
        .table("readers")
        .col(big_integer("user_id").primary_key())
        .col(big_integer("version"))
        .to_owned()
}

fn stars() -> TableCreateStatement {
    Table::create()
        .table("stars")
        .col(big_integer("user_id").primary_key())
        .to_owned()
}
