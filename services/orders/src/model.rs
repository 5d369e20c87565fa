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
