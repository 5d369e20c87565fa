//! What `products` answers other services.

use std::sync::Arc;

use proto::products::{
    GetRequest, Product,
    products_server::{Products as Answers, ProductsServer},
};
use tonic::{Request, Response, Status, service::Routes};

use crate::Products;

pub(crate) fn routes(products: &Arc<Products>) -> Routes {
    Routes::new(ProductsServer::new(ProductsGrpc(Arc::clone(products))))
}

struct ProductsGrpc(Arc<Products>);

#[tonic::async_trait]
impl Answers for ProductsGrpc {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Product>, Status> {
        let product = self.0.store.find(request.into_inner().id).await?;
        let product = product.ok_or_else(|| Status::not_found("no such product"))?;
        Ok(Response::new(Product {
            id: product.id,
            name: product.name,
            price_cents: product.price.cents(),
        }))
    }
}
