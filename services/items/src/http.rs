//! The REST face: the route table and its handlers.

use std::sync::Arc;

use chassis::{Answer, Code, Error, Money, Page, Price, Request, Route};
use http::{HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Items,
    model::{Description, Draft, Item, Name, Order, Quantity, Stock},
    store::Operation,
};

type Answered<T> = Result<Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Items>> {
    vec![
        Route::post("/item", create)
            .id("createItem")
            .located()
            .summary("Offers an item")
            .fails(&[Code::Forbidden])
            .idempotent(),
        Route::get("/item", list)
            .id("listItems")
            .summary("Lists items, newest first")
            .paged(),
        Route::get("/items", list)
            .id("listAllItems")
            .summary("Lists items, newest first")
            .paged(),
        Route::get("/items/{owner}", list_of)
            .id("listItemsOfSeller")
            .summary("Lists the items of a seller, newest first")
            .paged(),
        Route::get("/item/{id:int}", show)
            .id("getItem")
            .summary("Shows an item"),
        Route::put("/item/{id:int}", change)
            .id("updateItem")
            .summary("Changes an own item")
            .fails(&[Code::Forbidden]),
        Route::delete("/item/{id:int}", remove)
            .id("deleteItem")
            .summary("Deletes an own item")
            .fails(&[Code::Forbidden]),
        Route::post_or_nothing("/buy/{id:int}", buy)
            .id("buyItem")
            .summary("Buys an item, one piece unless the body says otherwise")
            .answers(StatusCode::OK)
            .fails(&[Code::Forbidden, Code::Conflict])
            .idempotent(),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({
    "name": "Roof rack",
    "description": "Used for one summer.",
    "price": 49.9,
    "quantity": 3,
})))]
struct ItemRequest {
    name: Name,
    /// Of a new item: empty when absent. Of a changed one: stays as it is.
    description: Option<Description>,
    /// What one piece costs, above 0, with two decimals at most.
    price: Price,
    /// Of a new item: one when absent. Of a changed one: stays as it is.
    quantity: Option<Stock>,
    /// Whose item it is: the caller's own id, or nothing.
    seller_id: Option<i64>,
}

impl ItemRequest {
    /// The draft, if it is the caller's own (D6).
    fn draft(self, caller: i64) -> Result<Draft, Error> {
        if self.seller_id.is_some_and(|seller_id| seller_id != caller) {
            return Err(Error::forbidden("seller_id must be your own, or left out"));
        }
        Ok(Draft {
            name: self.name,
            description: self.description,
            price: self.price.money(),
            quantity: self.quantity,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Item")]
struct ItemResponse {
    id: i64,
    name: String,
    description: String,
    price: Money,
    /// How many pieces are left.
    quantity: u32,
    seller_id: i64,
}

impl From<&Item> for ItemResponse {
    fn from(item: &Item) -> Self {
        Self {
            id: item.id,
            name: item.name.clone(),
            description: item.description.clone(),
            price: item.price(),
            quantity: item.quantity,
            seller_id: item.seller_id,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct ItemAndMessage {
    message: &'static str,
    item: ItemResponse,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Message")]
struct MessageResponse {
    message: &'static str,
}

/// S4-05
async fn create(
    items: Arc<Items>,
    request: Request,
    body: ItemRequest,
) -> Answered<ItemAndMessage> {
    let seller = request.caller()?.user_id;
    let draft = body.draft(seller)?;
    let operation = Operation {
        id: request.operation().to_string(),
        repeatable: request.repeatable().is_some(),
    };
    let item = items.store.add(seller, draft, operation).await?;
    let location = HeaderValue::try_from(format!("/item/{}", item.id)).map_err(Error::internal)?;
    let created = ItemAndMessage {
        message: "Item created successfully",
        item: ItemResponse::from(&item),
    };
    Ok(Answer::from(created).header(header::LOCATION, location))
}

/// S4-27
async fn list(items: Arc<Items>, request: Request) -> Answered<Vec<ItemResponse>> {
    let page: Page<i64> = request.page()?;
    let listed = items.store.list(&page).await?;
    page.answer(
        &request,
        listed,
        |item| item.id,
        |item| ItemResponse::from(&*item),
    )
}

/// By the number of the seller, or by their name. Nobody has no items.
async fn list_of(items: Arc<Items>, request: Request) -> Answered<Vec<ItemResponse>> {
    let page: Page<i64> = request.page()?;
    let owner: String = request.param("owner")?;
    let number = owner.parse::<u64>().ok();
    let seller = match number.and_then(|number| i64::try_from(number).ok()) {
        Some(number) => Some(number),
        None => items.sellers.id_of(&owner).await?,
    };
    let listed = match seller {
        Some(seller) => items.store.list_of(seller, &page).await?,
        None => Vec::new(),
    };
    page.answer(
        &request,
        listed,
        |item| item.id,
        |item| ItemResponse::from(&*item),
    )
}

/// S4-06
async fn show(items: Arc<Items>, request: Request) -> Answered<ItemResponse> {
    let item = items.store.get(request.param("id")?).await?;
    Ok(ItemResponse::from(&*item).into())
}

/// S4-07
async fn change(
    items: Arc<Items>,
    request: Request,
    body: ItemRequest,
) -> Answered<ItemAndMessage> {
    let caller = request.caller()?.user_id;
    let (id, operation) = (request.param("id")?, request.operation().to_string());
    let draft = body.draft(caller)?;
    let change = |item: &Item| item.changed(&draft, &operation);
    let item = items.store.change(id, caller, change).await?;
    let changed = ItemAndMessage {
        message: "Item updated successfully",
        item: ItemResponse::from(&item),
    };
    Ok(changed.into())
}

/// S4-08
async fn remove(items: Arc<Items>, request: Request) -> Answered<MessageResponse> {
    let caller = request.caller()?.user_id;
    let (id, operation) = (request.param("id")?, request.operation().to_string());
    items.store.remove(id, caller, &operation).await?;
    let message = "Item deleted successfully";
    Ok(MessageResponse { message }.into())
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[schema(title = "PurchaseRequest")]
#[schema(examples(json!({ "quantity": 1 })))]
struct BuyRequest {
    /// One, unless it says otherwise.
    #[serde(default)]
    quantity: Quantity,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Purchase")]
struct BoughtResponse {
    message: &'static str,
    order_id: String,
}

/// S4-09
async fn buy(items: Arc<Items>, request: Request, body: BuyRequest) -> Answered<BoughtResponse> {
    let order_id = request.operation().to_string();
    let order = Order {
        order_id: order_id.clone(),
        buyer_id: request.caller()?.user_id,
        quantity: body.quantity,
    };
    let (id, repeatable) = (request.param("id")?, request.repeatable().is_some());
    items.store.buy(id, order, repeatable).await?;
    let message = "Item purchased successfully";
    Ok(BoughtResponse { message, order_id }.into())
}
