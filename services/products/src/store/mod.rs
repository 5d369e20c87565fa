//! Everything that `products` keeps, in SQL: the only place with queries.

mod entity;
mod migration;

use chassis::{Context, Error, Money, Page, clock, sql};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set, Unchanged},
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    SqlErr,
};
use uuid::Uuid;

use crate::model::{Draft, Product};

/// The relational store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    connection: sql::Database,
}

impl Store {
    /// Connects and migrates.
    pub(crate) async fn open(context: &Context, url: Option<&str>) -> anyhow::Result<Self> {
        let connection = sql::connect::<migration::Migrator>(context, url, "products.db").await?;
        Ok(Self { connection })
    }

    /// The connection, for what else is kept there.
    pub(crate) fn connection(&self) -> &sql::Database {
        &self.connection
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        Ok(self.connection.ping().await?)
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.connection.close().await;
    }

    /// Adds a product; of one operation, once.
    pub(crate) async fn insert(
        &self,
        operation: Uuid,
        owner_id: i64,
        draft: Draft,
    ) -> Result<Product, Error> {
        let operation = operation.to_string();
        let row = entity::ActiveModel {
            id: NotSet,
            operation: Set(operation.clone()),
            owner_id: Set(owner_id),
            name: Set(draft.name.into_string()),
            description: Set(draft.description.into_string()),
            price_cents: Set(draft.price.cents()),
            created_at: Set(clock::now()),
        };
        match row.insert(&self.connection).await {
            Ok(row) => Ok(row.into()),
            Err(error) if is_duplicate(&error) => {
                let before = entity::Column::Operation.eq(operation);
                let before = entity::Entity::find().filter(before);
                let before = before.one(&self.connection).await?;
                before.map(Product::from).ok_or_else(|| error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// One product.
    pub(crate) async fn find(&self, id: i64) -> Result<Option<Product>, Error> {
        let row = entity::Entity::find_by_id(id).one(&self.connection).await?;
        Ok(row.map(Product::from))
    }

    /// Products, newest first.
    pub(crate) async fn list(&self, page: &Page<i64>) -> Result<Vec<Product>, Error> {
        let mut query = entity::Entity::find();
        if let Some(last) = page.after {
            query = query.filter(entity::Column::Id.lt(last));
        }
        let rows = query
            .order_by_desc(entity::Column::Id)
            .limit(page.fetch())
            .all(&self.connection)
            .await?;
        Ok(rows.into_iter().map(Product::from).collect())
    }

    /// Changes a product; `None` when it is gone.
    pub(crate) async fn update(&self, id: i64, draft: Draft) -> Result<Option<Product>, Error> {
        let row = entity::ActiveModel {
            id: Unchanged(id),
            name: Set(draft.name.into_string()),
            description: Set(draft.description.into_string()),
            price_cents: Set(draft.price.cents()),
            ..Default::default()
        };
        match row.update(&self.connection).await {
            Ok(row) => Ok(Some(row.into())),
            Err(DbErr::RecordNotUpdated) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes a product; one that is gone is no error.
    pub(crate) async fn remove(&self, id: i64) -> Result<(), Error> {
        entity::Entity::delete_by_id(id)
            .exec(&self.connection)
            .await?;
        Ok(())
    }
}

fn is_duplicate(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

impl From<entity::Model> for Product {
    fn from(row: entity::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            description: row.description,
            // Only amounts within the bounds are ever written.
            price: Money::from_cents(row.price_cents).unwrap_or_default(),
            owner_id: row.owner_id,
        }
    }
}
