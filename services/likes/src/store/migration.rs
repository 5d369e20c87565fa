//! The schema, step by step; a step that has shipped is never changed.

use sea_orm_migration::{
    prelude::*,
    schema::{big_integer, big_integer_null, boolean, pk_auto, string, string_len},
};

pub(crate) struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Likes), Box::new(messaging::outbox::Migration)]
    }
}

/// Likes, posts with their counts, and notices.
struct Likes;

impl MigrationName for Likes {
    fn name(&self) -> &'static str {
        "m0001_likes"
    }
}

#[expect(
    elided_lifetimes_in_paths,
    reason = "the trait's own macro does not accept a written lifetime"
)]
#[async_trait::async_trait]
impl MigrationTrait for Likes {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(likes()).await?;
        let mut one_each = index("likes_of_post", "likes", &["post_id", "user_id"]);
        manager.create_index(one_each.unique().to_owned()).await?;
        manager.create_table(posts()).await?;
        manager.create_table(notices()).await?;
        for index in [
            // What a person likes, the newest first.
            index(
                "likes_of_person",
                "likes",
                &["username_key", "version", "post_id"],
            ),
            // What has changed lately.
            index("likes_by_version", "likes", &["version", "id"]),
            // The ranking.
            index("posts_by_likes", "posts", &["likes", "post_id"]),
            index("notices_by_time", "notices", &["due_at"]),
        ] {
            manager.create_index(index).await?;
        }
        Ok(())
    }
}

fn index(
    name: &'static str,
    table: &'static str,
    columns: &[&'static str],
) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}

fn likes() -> TableCreateStatement {
    Table::create()
        .table("likes")
        .col(pk_auto("id").big_integer())
        .col(big_integer("post_id"))
        .col(big_integer("user_id"))
        .col(string("username"))
        .col(string("username_key"))
        .col(boolean("liked"))
        .col(big_integer("version"))
        .col(string_len("notice", 8))
        .to_owned()
}

fn posts() -> TableCreateStatement {
    Table::create()
        .table("posts")
        .col(big_integer("post_id").primary_key())
        .col(big_integer("likes"))
        .col(big_integer("version"))
        .col(boolean("deleted"))
        .col(big_integer_null("author_id"))
        .col(big_integer_null("checked_at"))
        .to_owned()
}

fn notices() -> TableCreateStatement {
    Table::create()
        .table("notices")
        .col(big_integer("post_id").primary_key())
        .col(big_integer("due_at"))
        .to_owned()
}
