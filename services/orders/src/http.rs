//! The route table of `orders` (S1-19, D14).

use std::sync::Arc;

use chassis::{Answer, Auth, Code, Error, Money, Page, Request, Route, Text, clock};
use proto::products::GetRequest;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Orders,
    model::{MAX_QUANTITY, Order, Thing},
    store::OrderKey,
};

type Answered<T> = Result<Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Orders>> {
    vec![
        Route::post("/orders/", create)
            .idempotent()
            .fails(&[Code::Unacceptable])
            .id("createOrder")
            .summary("Orders a product"),
        Route::get("/orders/", list)
            .auth(Auth::Required)
            .paged()
            .id("listOrders")
            .summary("One's own orders and purchases, newest first"),
        Route::get("/orders/{id}", get)
            .auth(Auth::Required)
            .id("getOrder")
            .place::<Text<1, 64>>("id", "The order")
            .summary("An order of one's own"),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({ "product_id": 1, "quantity": 2 })))]
struct OrderRequest {
    product_id: i64,
    /// 1 to 1000
    #[schema(minimum = 1, maximum = 1000)]
    quantity: u32,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Order")]
struct OrderResponse {
    id: String,
    /// The product, of an order of the shop.
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<i64>,
    /// The item, of a purchase in the market.
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<i64>,
    name: String,
    quantity: u32,
    total: Money,
    /// `processed`
    status: &'static str,
    #[schema(format = DateTime)]
    timestamp: String,
}

impl From<Order> for OrderResponse {
    fn from(order: Order) -> Self {
        let (product_id, item_id) = match order.thing {
            Thing::Product(id) => (Some(id), None),
            Thing::Item(id) => (None, Some(id)),
        };
        Self {
            id: order.id,
            product_id,
            item_id,
            name: order.name,
            quantity: order.quantity,
            total: order.total,
            status: "processed",
            timestamp: clock::text(order.ordered_at),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CreatedOrder")]
struct CreatedResponse {
    message: &'static str,
    order: OrderResponse,
}

async fn create(
    orders: Arc<Orders>,
    request: Request,
    wanted: OrderRequest,
) -> Answered<CreatedResponse> {
    let user_id = request.caller()?.user_id;
    if !(1..=MAX_QUANTITY).contains(&wanted.quantity) {
        let message = format!("quantity must be from 1 to {MAX_QUANTITY}");
        return Err(Error::unacceptable(message).at("/quantity"));
    }
    let (name, total) = orders.price(&wanted).await?;
    let order = Order {
        id: request.operation().to_string(),
        user_id,
        thing: Thing::Product(wanted.product_id),
        name,
        quantity: wanted.quantity,
        total,
        ordered_at: clock::now(),
    };
    let order = orders.store.insert_order(order).await?;
    Ok(CreatedResponse {
        message: "Order created successfully",
        order: order.into(),
    }
    .into())
}

async fn list(orders: Arc<Orders>, request: Request) -> Answered<Vec<OrderResponse>> {
    let page: Page<OrderKey> = request.page()?;
    let user_id = request.caller()?.user_id;
    let rows = orders.store.list(user_id, &page).await?;
    page.answer(
        &request,
        rows,
        |order| (order.ordered_at.into(), order.id.clone()),
        OrderResponse::from,
    )
}

async fn get(orders: Arc<Orders>, request: Request) -> Answered<OrderResponse> {
    let id: Text<1, 64> = request.param("id")?;
    let order = orders.store.find(id.as_str()).await?;
    // Whether somebody else's order exists is nobody's business.
    let own = order.filter(|order| Some(order.user_id) == request.identity().map(|me| me.user_id));
    let own = own.ok_or_else(|| Error::not_found("Order not found"))?;
    Ok(OrderResponse::from(own).into())
}

impl Orders {
    /// The name of what is wanted, and what it costs now.
    async fn price(&self, wanted: &OrderRequest) -> Result<(String, Money), Error> {
        let id = wanted.product_id;
        let product = self.products.get(GetRequest { id }).await;
        let product = product.map_err(|error| match error.code() {
            Code::NotFound => {
                Error::unacceptable("There is no product of this `product_id`").at("/product_id")
            }
            _ => error,
        })?;
        let price = Money::from_cents(product.price_cents);
        let total = price.and_then(|price| price.times(wanted.quantity));
        let total = total.ok_or_else(|| {
            Error::unacceptable("This costs more than anybody has").at("/quantity")
        })?;
        Ok((product.name, total))
    }
}
