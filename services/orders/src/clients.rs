//! The peers that `orders` calls.

chassis::peer! {
    /// What `orders` asks of `products`.
    pub(crate) struct Products { get => proto::products::ProductsGet }
}
