//! What is bought in the market, from what `items` tells (D14).

use chassis::Money;
use chrono::{DateTime, Utc};
use messaging::{Consumer, Event as _, Failure, Received, Subscription, events::ItemBought};

use crate::{
    model::{Order, Thing},
    store::Store,
};

/// What is bought.
pub(crate) const BOUGHT: Subscription = Subscription::new(crate::PURCHASES, &[ItemBought::TYPE]);

pub(crate) fn consumer(store: &Store) -> Consumer {
    let store = store.clone();
    Consumer::of(&BOUGHT).on(move |event: Received<ItemBought>| {
        let store = store.clone();
        async move {
            let order = order(event)?;
            // The order's own id makes a second delivery nothing new: no inbox is needed.
            store.insert_purchase(order).await?;
            Ok(())
        }
    })
}

fn order(event: Received<ItemBought>) -> Result<Order, Failure> {
    let bought = event.data;
    let total = Money::from_cents(bought.total_cents)
        .ok_or_else(|| Failure::reject("`data.total_cents` must be an amount of money"))?;
    let at = DateTime::parse_from_rfc3339(&bought.bought_at);
    Ok(Order {
        id: bought.order_id,
        user_id: bought.buyer_id,
        thing: Thing::Item(bought.item_id),
        name: bought.name,
        quantity: bought.quantity,
        total,
        ordered_at: at.map_or(event.time, |at| at.with_timezone(&Utc)),
    })
}
