//! Who deletes their account likes nothing any more, in SQL and in Redis.

use sea_orm::{ConnectionTrait as _, Database, Statement};
use testkit::{Farewell, eventually};

use crate::helpers::{Backend, Plaza};

crate::on_each_backend![likes_of_a_deleted_account_are_taken_back_and_its_name_is_forgotten];

const ADA: i64 = 7;
const BEN: i64 = 8;

async fn likes_of_a_deleted_account_are_taken_back_and_its_name_is_forgotten(backend: Backend) {
    let plaza = Plaza::start(backend).await;
    let at = plaza.flags.iter().position(|flag| flag == "--amqp-url");
    let amqp = plaza.flags[at.unwrap() + 1].clone();
    let users = Farewell::to(&plaza.service, &amqp).await;
    for (who, post) in [(ADA, 1), (ADA, 2), (BEN, 1), (ADA, 3)] {
        plaza.like(who, post).await.expect(200);
    }
    plaza.unlike(ADA, 3).await.expect(200);
    eventually("the ranking", || async {
        match plaza.popular("").await.as_slice() {
            [(1, 2), (2, 1)] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(plaza.likes_of(ADA).await, [2, 1]);

    users.deleted(ADA, "User7", 1).await;
    // One was on its way.
    plaza.like(ADA, 2).await.expect(200);
    users.deleted(ADA, "User7", 2).await;

    assert_eq!((plaza.count(1).await, plaza.count(2).await), (1, 0));
    eventually("the ranking", || async {
        match plaza.popular("").await.as_slice() {
            [(1, 1)] => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    let nothing = plaza.get("/users/user7/likes").await;
    let listed = nothing.json["post_ids"].as_array();
    assert!(listed.is_none_or(Vec::is_empty), "{}", nothing.text);
    assert_eq!(plaza.likes_of(BEN).await, [1]);
    let named = rows(
        &plaza,
        "SELECT count(*) FROM likes WHERE username_key = 'user7' OR username = 'User7'",
    );
    assert_eq!(named.await, 0);
    assert_eq!(
        rows(
            &plaza,
            "SELECT count(*) FROM likes WHERE user_id = 7 AND liked"
        )
        .await,
        0
    );
}

async fn rows(plaza: &Plaza, sql: &str) -> i64 {
    let file = plaza.service.context.settings.data_dir.join("likes.db");
    let postgres = plaza
        .flags
        .iter()
        .find(|flag| flag.starts_with("postgres:"));
    let url = postgres
        .cloned()
        .unwrap_or_else(|| format!("sqlite://{}", file.display()));
    let database = Database::connect(url).await.unwrap();
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}
