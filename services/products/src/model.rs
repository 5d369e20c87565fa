//! A product, and the values that it is made of.

use chassis::{Money, Text};

/// What a product is called.
pub(crate) type Name = Text<1, 200>;
/// What is said about it.
pub(crate) type Description = Text<0, 5000>;

/// What somebody says of a product.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) name: Name,
    pub(crate) description: Description,
    pub(crate) price: Money,
}

/// A product of the shop.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) price: Money,
    /// Who may change it.
    pub(crate) owner_id: i64,
}
