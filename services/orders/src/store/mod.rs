//! Everything that `orders` keeps, in SQL: the only place with queries.

mod entity;
mod migration;

use chassis::{Context, CursorTime, Error, Money, Page, sql};
use messaging::{Broker, Outbox, events::OrderPlaced};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _,
    ExprTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, sea_query::OnConflict,
};

use crate::model::{Order, Thing};

/// Place of an order in a list: when it was made, and its id.
pub(crate) type OrderKey = (CursorTime, String);

/// The relational store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    connection: sql::Database,
    outbox: Outbox,
}

impl Store {
    /// Connects, migrates, and starts to publish what happens.
    pub(crate) async fn open(
        context: &Context,
        url: Option<&str>,
        broker: &Broker,
    ) -> anyhow::Result<Self> {
        let connection = sql::connect::<migration::Migrator>(context, url, "orders.db").await?;
        let outbox = Outbox::start(broker, &connection, context);
        Ok(Self { connection, outbox })
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

    /// Keeps an order of the shop and tells of it; of one id, once. The order that is kept.
    pub(crate) async fn insert_order(&self, order: Order) -> Result<Order, Error> {
        let before = self.find(&order.id).await?;
        let order = order.apart_from(before.as_ref());
        let transaction = self.connection.begin().await?;
        if !insert(&transaction, &order).await? {
            transaction.rollback().await?;
            return self.same_as(&order).await;
        }
        if let Thing::Product(product_id) = order.thing {
            let event = OrderPlaced {
                order_id: order.id.clone(),
                user_id: order.user_id,
                product_id,
                product_name: order.name.clone(),
                quantity: order.quantity,
                total_cents: order.total.cents(),
            };
            self.outbox.insert(&transaction, &event).await?;
        }
        self.outbox.commit(transaction).await?;
        Ok(order)
    }

    /// Keeps a purchase in the market, which was told already.
    pub(crate) async fn insert_purchase(&self, order: Order) -> Result<(), Error> {
        let before = self.find(&order.id).await?;
        let order = order.apart_from(before.as_ref());
        if !insert(&self.connection, &order).await? {
            self.same_as(&order).await?;
        }
        Ok(())
    }

    /// What stands under an order's id already, if it is the same one.
    ///
    /// # Errors
    /// 503 when another one took the id at this very moment: the next try finds it.
    async fn same_as(&self, order: &Order) -> Result<Order, Error> {
        let before = self.find(&order.id).await?;
        let same = before.filter(|before| before.is_of_the_same(order));
        same.ok_or_else(|| Error::unavailable("Something took the order's id; try again"))
    }

    /// One order, whosever it is.
    pub(crate) async fn find(&self, id: &str) -> Result<Option<Order>, Error> {
        let row = entity::Entity::find_by_id(id).one(&self.connection).await?;
        Ok(row.map(Order::from))
    }

    /// The orders of a person, newest first.
    pub(crate) async fn list(
        &self,
        user_id: i64,
        page: &Page<OrderKey>,
    ) -> Result<Vec<Order>, Error> {
        let mut query = entity::Entity::find().filter(entity::Column::UserId.eq(user_id));
        if let Some((at, id)) = &page.after {
            let at = at.time();
            let same = entity::Column::OrderedAt.eq(at);
            let after = Condition::any()
                .add(entity::Column::OrderedAt.lt(at))
                .add(same.and(entity::Column::Id.lt(id)));
            query = query.filter(after);
        }
        let rows = query
            .order_by_desc(entity::Column::OrderedAt)
            .order_by_desc(entity::Column::Id)
            .limit(page.fetch())
            .all(&self.connection)
            .await?;
        Ok(rows.into_iter().map(Order::from).collect())
    }
}

/// Whether the order is new.
async fn insert(connection: &impl ConnectionTrait, order: &Order) -> Result<bool, DbErr> {
    let (product_id, item_id) = match order.thing {
        Thing::Product(id) => (Some(id), None),
        Thing::Item(id) => (None, Some(id)),
    };
    let row = entity::ActiveModel {
        id: Set(order.id.clone()),
        user_id: Set(order.user_id),
        product_id: Set(product_id),
        item_id: Set(item_id),
        name: Set(order.name.clone()),
        quantity: Set(i64::from(order.quantity)),
        total_cents: Set(order.total.cents()),
        ordered_at: Set(order.ordered_at),
    };
    let once = OnConflict::column(entity::Column::Id)
        .do_nothing()
        .to_owned();
    let inserted = entity::Entity::insert(row)
        .on_conflict(once)
        .exec_without_returning(connection)
        .await?;
    Ok(inserted > 0)
}

impl From<entity::Model> for Order {
    fn from(row: entity::Model) -> Self {
        let thing = match (row.product_id, row.item_id) {
            (Some(id), _) => Thing::Product(id),
            (None, id) => Thing::Item(id.unwrap_or_default()),
        };
        Self {
            id: row.id,
            user_id: row.user_id,
            thing,
            name: row.name,
            // Only numbers and amounts within the bounds are ever written.
            quantity: row.quantity.try_into().unwrap_or_default(),
            total: Money::from_cents(row.total_cents).unwrap_or_default(),
            ordered_at: row.ordered_at,
        }
    }
}
