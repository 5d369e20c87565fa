//! An order, whether of the shop or of the market.

use chassis::Money;
use chrono::{DateTime, Utc};

/// Most of one product that one order may be for.
pub(crate) const MAX_QUANTITY: u32 = 1000;

/// What was ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thing {
    /// A product of the shop.
    Product(i64),
    /// An item of the market.
    Item(i64),
}

/// An order as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// Of an order of the shop the number of the operation that made it; of a purchase the one
    /// that its buyer was told.
    pub(crate) id: String,
    pub(crate) user_id: i64,
    pub(crate) thing: Thing,
    pub(crate) name: String,
    pub(crate) quantity: u32,
    pub(crate) total: Money,
    pub(crate) ordered_at: DateTime<Utc>,
}

impl Order {
    /// Whether both are what one person wanted of one thing.
    pub(crate) fn is_of_the_same(&self, other: &Self) -> bool {
        (self.user_id, self.thing) == (other.user_id, other.thing)
    }

    /// The order, under an id beside its own where that one is another thing's: versions before
    /// made ids of an `Idempotency-Key` alone, so that a purchase and an order could have the same.
    pub(crate) fn apart_from(mut self, before: Option<&Self>) -> Self {
        if before.is_some_and(|before| !before.is_of_the_same(&self)) {
            let beside = match self.thing {
                Thing::Product(_) => "shop",
                Thing::Item(_) => "market",
            };
            self.id = format!("{}.{beside}", self.id);
        }
        self
    }
}
