//! Claim (D26): 200 people want 50 pieces at once, each insists on an answer, and `items` is killed
//! in the middle. Not one piece is sold twice, lost, or paid for by nobody; nobody buys twice; the
//! lists of orders and the mails agree.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Mesh, Signal, eventually, eventually_within, mesh::Person, unique};
use tokio::{task::JoinSet, time::Instant};

use crate::{
    ONE_AT_A_TIME, POST_OFFICE, back,
    post::{SETTLING, mailed, mails},
    signal,
};

const PIECES: usize = 50;
const BUYERS: usize = 200;
/// People who register, or are looked at, at once.
const AT_ONCE: usize = 8;
/// What a client waits before it asks again, as it is told.
const RETRY_AFTER: Duration = Duration::from_secs(1);

async fn people() -> Vec<Person> {
    let registered = stream::iter(0..BUYERS).map(|_| Mesh::current().person());
    registered.buffer_unordered(AT_ONCE).collect().await
}

/// Buys one piece, and asks again under the same key until there is an answer that settles it: the
/// order, or none when it is sold out. No answer in time is none.
async fn insist(id: i64, token: String) -> Option<String> {
    let begun = Instant::now();
    let mut tries = tokio::time::interval(RETRY_AFTER);
    loop {
        tries.tick().await;
        assert!(begun.elapsed() < SETTLING, "nobody answers");
        let request = Mesh::current().request(Method::POST, &format!("/buy/{id}"));
        let request = request.bearer_auth(&token).json(&json!({}));
        let request = request.header("idempotency-key", format!("piece-of-{id}"));
        let Ok(answer) = request.send().await else {
            continue;
        };
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap_or_default();
        match (status, body["message"].as_str()) {
            (200, _) => {
                // Without one it was cut off behind its head.
                if let Some(order) = body["order_id"].as_str() {
                    return Some(order.to_owned());
                }
            }
            (409, Some("The item is sold out")) => return None,
            // Told to come back, or not understood at all.
            _ => assert!([409, 502, 503, 504].contains(&status), "{status}: {body}"),
        }
    }
}

/// All buyers at once: who, and the order if there is one.
fn everybody_buys(id: i64, buyers: &[Person]) -> JoinSet<(usize, Option<String>)> {
    let mut buying = JoinSet::new();
    for (number, buyer) in buyers.iter().enumerate() {
        let token = buyer.token.clone();
        buying.spawn(async move { (number, insist(id, token).await) });
    }
    buying
}

/// What each buyer was told, by their number.
async fn told(buying: JoinSet<(usize, Option<String>)>) -> Vec<Option<String>> {
    let mut told = vec![None; BUYERS];
    for (buyer, order) in buying.join_all().await {
        told[buyer] = order;
    }
    told
}

/// Waits until a buyer's list is this order, or empty.
async fn listed(buyer: &Person, order: Option<&String>) {
    eventually_within(SETTLING, "the list of orders", || async {
        let list = Mesh::current().call(Method::GET, "/orders/", &buyer.token, &Value::Null);
        let list = list.await;
        let rows = list.json.as_array().cloned().unwrap_or_default();
        let ids: Vec<_> = rows.iter().filter_map(|row| row["id"].as_str()).collect();
        let expected: Vec<_> = order.iter().map(|order| order.as_str()).collect();
        if list.status == 200 && ids == expected {
            Ok(())
        } else {
            Err(format!("{} and not {order:?}", list.text))
        }
    })
    .await;
}

#[tokio::test]
async fn d26_200_buyers_at_once_and_a_kill_sell_each_of_50_pieces_once() {
    let _mails = POST_OFFICE.lock().await;
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let (seller, buyers) = (mesh.person().await, people().await);
    let name = unique("Lamp ");
    let body = json!({"name": name, "price": 19.99, "quantity": PIECES});
    let created = mesh.call(Method::POST, "/item", &seller.token, &body).await;
    let id = created.expect(201)["item"]["id"].as_i64().unwrap();
    let path = format!("/item/{id}");

    let buying = everybody_buys(id, &buyers);
    eventually("some sales", || async {
        let shown = mesh.get(&path).await;
        match shown.json["quantity"].as_u64() {
            Some(left) if left < PIECES as u64 => Ok(()),
            _ => Err(shown.text),
        }
    })
    .await;
    let pid = signal("items-1", Signal::KILL);
    let told = told(buying).await;
    back("items-1", pid, &path).await;
    // Who asks once more is told the same, and buys nothing more.
    assert_eq!(self::told(everybody_buys(id, &buyers)).await, told);

    let orders: BTreeSet<&String> = told.iter().flatten().collect();
    let winners = told.iter().flatten().count();
    assert_eq!((winners, orders.len()), (PIECES, PIECES), "{told:?}");
    assert_eq!(mesh.get(&path).await.expect(200)["quantity"], 0);
    let bought = format!("You bought 1 × {name}");
    let settled = stream::iter(buyers.iter().zip(&told)).map(|(buyer, order)| {
        let bought = &bought;
        async move {
            listed(buyer, order.as_ref()).await;
            mailed(buyer, bought, usize::from(order.is_some())).await;
        }
    });
    settled.buffer_unordered(AT_ONCE).count().await;
    mailed(&seller, &format!("You sold 1 × {name}"), PIECES).await;
    // Now that everything is settled: nobody got one more meanwhile.
    for (buyer, order) in buyers.iter().zip(&told) {
        assert_eq!(
            mails(&buyer.email).await.unwrap().len(),
            usize::from(order.is_some())
        );
    }
}
