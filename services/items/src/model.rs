//! Items, sales and their rules.

use std::fmt;

use chassis::{Error, Money, Text};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an item is called.
pub type Name = Text<1, 200>;
/// What it is like.
pub type Description = Text<0, 2000>;

/// The largest quantity.
const MAX_QUANTITY: i64 = 1_000_000;

/// How many pieces there are, from none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "i64")]
#[schema(value_type = i64, minimum = 0, maximum = 1_000_000)]
pub struct Stock(u32);

/// How many pieces somebody wants, from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "i64")]
#[schema(value_type = i64, minimum = 1, maximum = 1_000_000)]
pub struct Quantity(u32);

fn bounded(number: i64, least: i64) -> Result<u32, String> {
    let bounded = u32::try_from(number).ok();
    bounded
        .filter(|_| (least..=MAX_QUANTITY).contains(&number))
        .ok_or_else(|| format!("quantity must be a number from {least} to {MAX_QUANTITY}"))
}

impl TryFrom<i64> for Stock {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        bounded(number, 0).map(Self)
    }
}

impl TryFrom<i64> for Quantity {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        bounded(number, 1).map(Self)
    }
}

impl Stock {
    /// One piece: what somebody sells who does not say.
    pub const ONE: Self = Self(1);
}

impl Default for Quantity {
    fn default() -> Self {
        Self(1)
    }
}

impl Quantity {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

/// What a seller says of an item.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What it is called.
    pub name: Name,
    /// What it is like; nothing, or as before.
    pub description: Option<Description>,
    /// What one piece costs.
    pub price: Money,
    /// How many there are; one, or as before.
    pub quantity: Option<Stock>,
}

/// A wish to buy.
#[derive(Debug, Clone)]
pub struct Order {
    /// The id of the purchase, if it comes about.
    pub order_id: String,
    /// Who wants to buy.
    pub buyer_id: i64,
    /// How many.
    pub quantity: Quantity,
}

/// A purchase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    /// Who bought.
    pub buyer_id: i64,
    /// How many.
    pub quantity: u32,
    /// What all of them cost, in cents.
    pub total_cents: i64,
    /// When.
    pub sold_at: DateTime<Utc>,
}

/// One state of an item, made by the creation, a change, a sale or the removal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Counted up from 1.
    pub id: i64,
    /// Who sells it.
    pub seller_id: i64,
    /// What it is called.
    pub name: String,
    /// What it is like.
    pub description: String,
    /// What one piece costs, in cents.
    pub price_cents: i64,
    /// How many pieces are left.
    pub quantity: u32,
    /// Nobody sees it any more.
    pub removed: bool,
    /// The id of the operation that made this state; of a sale, its order.
    pub operation: String,
    /// The sale that made this state, if one did.
    pub sale: Option<Sale>,
}

impl Item {
    /// A new item of `seller_id`.
    pub fn new(id: i64, seller_id: i64, draft: &Draft, operation: &str) -> Self {
        let description = draft.description.as_ref().map(Description::as_str);
        Self {
            id,
            seller_id,
            name: draft.name.as_str().to_owned(),
            description: description.unwrap_or_default().to_owned(),
            price_cents: draft.price.cents(),
            quantity: draft.quantity.unwrap_or(Stock::ONE).0,
            removed: false,
            operation: operation.to_owned(),
            sale: None,
        }
    }

    /// What one piece costs.
    pub fn price(&self) -> Money {
        // What was stored was in bounds.
        Money::from_cents(self.price_cents).unwrap_or_default()
    }

    /// The item after its seller changed it.
    #[must_use]
    pub fn changed(&self, draft: &Draft, operation: &str) -> Self {
        let description = draft.description.as_ref().map(Description::to_string);
        Self {
            name: draft.name.to_string(),
            description: description.unwrap_or_else(|| self.description.clone()),
            price_cents: draft.price.cents(),
            quantity: draft.quantity.map_or(self.quantity, |stock| stock.0),
            operation: operation.to_owned(),
            sale: None,
            ..self.clone()
        }
    }

    /// What is left of an item that its seller took back: its place.
    #[must_use]
    pub fn emptied(&self, operation: &str) -> Self {
        Self {
            description: String::new(),
            quantity: 0,
            removed: true,
            operation: operation.to_owned(),
            sale: None,
            ..self.clone()
        }
    }

    /// What is left of an item whose seller is no more: its place, without a word of theirs.
    #[must_use]
    pub fn forgotten(&self) -> Self {
        Self {
            name: String::new(),
            ..self.emptied("forgotten")
        }
    }

    /// The item after a purchase.
    ///
    /// # Errors
    /// 403 for its own seller, 409 when there are not as many left, 422 when they cost too much.
    pub fn sold(&self, order: &Order, now: DateTime<Utc>) -> Result<Self, Error> {
        if order.buyer_id == self.seller_id {
            return Err(Error::forbidden("Nobody may buy their own item"));
        }
        let quantity = order.quantity.get();
        let Some(left) = self.quantity.checked_sub(quantity) else {
            return Err(Error::conflict(match self.quantity {
                0 => "The item is sold out".to_owned(),
                left => format!("Only {left} of this item are left"),
            }));
        };
        let total = self.price().times(quantity);
        let total = total.ok_or_else(|| {
            Error::unacceptable("So many cost more than can be paid").at("/quantity")
        })?;
        Ok(Self {
            quantity: left,
            operation: order.order_id.clone(),
            sale: Some(Sale {
                buyer_id: order.buyer_id,
                quantity,
                total_cents: total.cents(),
                sold_at: now,
            }),
            ..self.clone()
        })
    }

    /// Refuses everybody but the seller (D6).
    ///
    /// # Errors
    /// 403
    pub fn require_seller(&self, user_id: i64) -> Result<(), Error> {
        if self.seller_id == user_id {
            Ok(())
        } else {
            Err(Error::forbidden(
                "Only its seller may change or delete an item",
            ))
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "item {}", self.id)
    }
}

#[cfg(test)]
mod tests {
    use chassis::{Code, clock};

    use super::*;

    fn item(quantity: i64) -> Item {
        let draft = Draft {
            name: Name::new("Lamp").unwrap(),
            description: None,
            price: Money::from_cents(1999).unwrap(),
            quantity: Some(quantity.try_into().unwrap()),
        };
        Item::new(1, 7, &draft, "first")
    }

    fn order(buyer_id: i64, quantity: i64) -> Order {
        Order {
            order_id: "order".into(),
            buyer_id,
            quantity: quantity.try_into().unwrap(),
        }
    }

    #[test]
    fn d26_a_sale_takes_what_is_there_and_no_more() {
        let sold = item(3).sold(&order(8, 2), clock::now()).unwrap();
        assert_eq!(sold.quantity, 1);
        let sale = sold.sale.clone().unwrap();
        assert_eq!((sale.quantity, sale.total_cents), (2, 3998));
        let refused = sold.sold(&order(8, 2), clock::now()).unwrap_err();
        assert_eq!(refused.code(), Code::Conflict);
        assert_eq!(refused.message(), "Only 1 of this item are left");
        let last = sold.sold(&order(8, 1), clock::now()).unwrap();
        let refused = last.sold(&order(8, 1), clock::now()).unwrap_err();
        assert_eq!(refused.message(), "The item is sold out");
    }

    #[test]
    fn d26_nobody_buys_their_own_item() {
        let refused = item(3).sold(&order(7, 1), clock::now()).unwrap_err();
        assert_eq!(refused.code(), Code::Forbidden);
    }

    #[test]
    fn d26_quantities_have_bounds() {
        for bad in [-1, MAX_QUANTITY + 1, i64::MIN, i64::MAX] {
            assert!(
                Stock::try_from(bad).is_err() && Quantity::try_from(bad).is_err(),
                "{bad}"
            );
        }
        assert!(Stock::try_from(0).is_ok() && Quantity::try_from(0).is_err());
    }

    #[test]
    fn d6_only_the_seller_may_change_an_item() {
        assert!(item(1).require_seller(7).is_ok());
        assert_eq!(
            item(1).require_seller(8).unwrap_err().code(),
            Code::Forbidden
        );
    }
}
