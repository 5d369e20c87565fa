//! The route table of `products` (S1-03, S1-04, D12).

use std::sync::Arc;

use chassis::{Answer, Code, Error, Money, Page, Price, Request, Route};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Products,
    model::{Description, Draft, Name, Product},
};

type Answered<T> = Result<Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Products>> {
    vec![
        Route::get("/products/", list)
            .paged()
            .id("listProducts")
            .summary("Products, newest first"),
        Route::post("/products/", create)
            .idempotent()
            .id("createProduct")
            .summary("Adds a product"),
        Route::get("/products/{id:int}", get)
            .id("getProduct")
            .summary("One product"),
        Route::put("/products/{id:int}", update)
            .fails(&[Code::Forbidden])
            .id("updateProduct")
            .summary("Changes a product of one's own"),
        Route::delete("/products/{id:int}", delete)
            .fails(&[Code::Forbidden])
            .id("deleteProduct")
            .summary("Removes a product of one's own"),
    ]
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({
    "name": "Charging cable",
    "description": "Type 2, seven metres.",
    "price": 189.0,
})))]
struct ProductRequest {
    name: Name,
    #[serde(default)]
    #[schema(required = false)]
    description: Description,
    price: Price,
}

impl From<ProductRequest> for Draft {
    fn from(request: ProductRequest) -> Self {
        Self {
            name: request.name,
            description: request.description,
            price: request.price.money(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Product")]
struct ProductResponse {
    id: i64,
    name: String,
    description: String,
    price: Money,
}

impl From<Product> for ProductResponse {
    fn from(product: Product) -> Self {
        Self {
            id: product.id,
            name: product.name,
            description: product.description,
            price: product.price,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "ChangedProduct")]
struct ChangedResponse {
    message: &'static str,
    product: ProductResponse,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Message")]
struct MessageResponse {
    message: &'static str,
}

/// S1-03
async fn list(products: Arc<Products>, request: Request) -> Answered<Vec<ProductResponse>> {
    let page: Page<i64> = request.page()?;
    let rows = products.store.list(&page).await?;
    page.answer(&request, rows, |product| product.id, ProductResponse::from)
}

/// S1-04
async fn create(
    products: Arc<Products>,
    request: Request,
    product: ProductRequest,
) -> Answered<ChangedResponse> {
    let owner_id = request.caller()?.user_id;
    let product = products
        .store
        .insert(request.operation(), owner_id, product.into())
        .await?;
    Ok(ChangedResponse {
        message: "Product created successfully",
        product: product.into(),
    }
    .into())
}

async fn get(products: Arc<Products>, request: Request) -> Answered<ProductResponse> {
    Ok(ProductResponse::from(products.by_id(&request).await?).into())
}

async fn update(
    products: Arc<Products>,
    request: Request,
    draft: ProductRequest,
) -> Answered<ChangedResponse> {
    let product = products.own(&request).await?;
    let product = products.store.update(product.id, draft.into()).await?;
    Ok(ChangedResponse {
        message: "Product updated successfully",
        product: product.ok_or_else(missing)?.into(),
    }
    .into())
}

async fn delete(products: Arc<Products>, request: Request) -> Answered<MessageResponse> {
    let product = products.own(&request).await?;
    products.store.remove(product.id).await?;
    Ok(MessageResponse {
        message: "Product deleted successfully",
    }
    .into())
}

fn missing() -> Error {
    Error::not_found("Product not found")
}

impl Products {
    async fn by_id(&self, request: &Request) -> Result<Product, Error> {
        let product = self.store.find(request.param("id")?).await?;
        product.ok_or_else(missing)
    }

    /// The product, if it is the caller's.
    async fn own(&self, request: &Request) -> Result<Product, Error> {
        let product = self.by_id(request).await?;
        if product.owner_id == request.caller()?.user_id {
            Ok(product)
        } else {
            Err(Error::forbidden("This product is somebody else's"))
        }
    }
}
