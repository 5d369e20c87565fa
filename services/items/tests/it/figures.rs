//! What items cost. Prints, asserts little, and runs only when asked:
//! `cargo test -p items --test it figures -- --ignored --nocapture --test-threads 1`

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;

use crate::helpers::{Backend, Plaza};

const ITEMS: usize = 1_000;
const SALES: i64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn on_sqlite() {
    figures(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute"]
async fn on_postgres() {
    figures(Backend::Postgres).await;
}

async fn figures(backend: Backend) {
    let url = testkit::stores::amqp();
    let plaza = Plaza::start_with(backend, &["--amqp-url", &url]).await;
    let began = Instant::now();
    let offers = stream::iter(0..ITEMS).map(|_| plaza.offered(1_000_000));
    let paths: Vec<String> = offers.buffered(8).collect().await;
    eprintln!(
        "{backend:?}: {ITEMS} items by 8 sellers: {:?}",
        began.elapsed()
    );
    let cold = plaza.another().await;
    for what in ["nothing remembered", "remembered"] {
        let began = Instant::now();
        cold.get("/item").await.expect(200);
        eprintln!("{backend:?}: list of 50, {what}: {:?}", began.elapsed());
    }
    for buyers in [1, 16] {
        let began = Instant::now();
        let buying = (0..SALES).map(|number| plaza.buy(100 + number, &paths[0], &Value::Null));
        let bought: Vec<_> = stream::iter(buying)
            .buffer_unordered(buyers)
            .collect()
            .await;
        assert!(bought.iter().all(|reply| reply.status == 200));
        let each = began.elapsed() / u32::try_from(SALES).unwrap();
        eprintln!("{backend:?}: a purchase of one item, {buyers} at once: {each:?}");
    }
    let began = Instant::now();
    assert_eq!(cold.left(&paths[0]).await, 1_000_000 - 2 * SALES);
    eprintln!(
        "{backend:?}: item with {} states, nothing remembered: {:?}",
        2 * SALES,
        began.elapsed()
    );
}
