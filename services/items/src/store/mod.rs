//! The only place with document queries: inserts and reads by `_id`, nothing else.
//!
//! An item is a chain of states, `<item>.<n>`: see [`Chains`]. Its creation, each change, each sale
//! and its removal insert the next state. So the last piece is sold once: of two buyers one inserts
//! the state after it, and the other looks again.
//!
//! Items are numbered without a gap by the same means: a new one is the first state of the next
//! number.

mod forgotten;
mod sellers;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use chassis::{
    Context, Error, Page, clock,
    documents::{self, Chains, Claims, Database, Gone, Latest, Link, Part, Place, numbers, turn},
};
use messaging::{
    Broker,
    documents::Outbox,
    events::{ItemAdded, ItemBought},
};
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use crate::model::{Draft, Item, Order};
use sellers::Sellers;

/// Items whose last state stays in memory.
const REMEMBERED: u64 = 10_000;
/// What all items are noted under, once they are gone.
const ALL: &str = "items";

/// What a request does, and whether it may have been done by an earlier one.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) repeatable: bool,
}

/// The collections. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    items: Chains<Item>,
    gone: Gone,
    claims: Claims,
    outbox: Outbox,
    /// Some number of an item; mostly the last.
    last: Arc<AtomicU64>,
    /// Held while an item is added, so that requests of one process do not race for numbers.
    adding: Arc<Mutex<()>>,
    sellers: Sellers,
    tasks: TaskTracker,
}

impl Store {
    pub(crate) async fn open(
        context: &Context,
        url: &str,
        name: &str,
        broker: &Broker,
    ) -> anyhow::Result<Self> {
        let database = documents::connect(context, url, name).await?;
        Ok(Self {
            items: Chains::new(&database, "items", REMEMBERED),
            gone: Gone::new(&database, "gone"),
            claims: Claims::of(&database),
            outbox: Outbox::start(broker, &database, context),
            last: Arc::default(),
            adding: Arc::default(),
            sellers: Sellers::default(),
            tasks: context.tasks.clone(),
            database,
        })
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        self.database.ping().await
    }

    /// The item, or 404.
    pub(crate) async fn get(&self, id: i64) -> Result<Arc<Item>, Error> {
        let latest = self.latest(id).await?;
        let item = latest.map(|latest| latest.state);
        item.filter(|item| !item.removed).ok_or_else(not_found)
    }

    /// A page of items, newest first.
    pub(crate) async fn list(&self, page: &Page<i64>) -> Result<Vec<Arc<Item>>, Error> {
        let noted = self.gone.look(ALL).await?;
        self.last.fetch_max(noted, Relaxed);
        let before = page.after.map(|after| u64::try_from(after).unwrap_or(0));
        let part = Part {
            last: self.last_number().await?,
            before,
            limit: usize::try_from(page.fetch()).unwrap_or(usize::MAX),
        };
        let read = |number| async move {
            let id = i64::try_from(number).map_err(Error::internal)?;
            Ok(match self.latest(id).await? {
                None => Place::Empty,
                Some(latest) if latest.state.removed => Place::Gone,
                Some(latest) => Place::Here(latest.state),
            })
        };
        self.gone.list(ALL, part, read).await
    }

    /// Adds an item, to the end, even when the client goes away meanwhile.
    pub(crate) async fn add(
        &self,
        seller_id: i64,
        draft: Draft,
        operation: Operation,
    ) -> Result<Item, Error> {
        let store = self.clone();
        self.to_the_end(async move { store.adding(seller_id, &draft, &operation).await })
            .await
    }

    async fn adding(
        &self,
        seller_id: i64,
        draft: &Draft,
        operation: &Operation,
    ) -> Result<Item, Error> {
        let _turn = turn(&self.adding).await?;
        let mut last = self.last_number().await?;
        let claim = format!("new/{}", operation.id);
        let mut looked = self.claim(claim, operation, last).await?;
        loop {
            while looked < last {
                looked += 1;
                let first = self.items.find(&looked.to_string(), 1).await?;
                if let Some(item) = first.filter(|item| item.operation == operation.id) {
                    return Ok(item);
                }
            }
            let id = i64::try_from(last + 1).map_err(Error::internal)?;
            let item = Item::new(id, seller_id, draft, &operation.id);
            let event = ItemAdded {
                item_id: id,
                name: item.name.clone(),
                seller_id,
                price_cents: item.price_cents,
            };
            if self.tell("items.add", &item, 1, &event).await? {
                self.last.fetch_max(last + 1, Relaxed);
                return Ok(item);
            }
            // Others were here.
            last = self.last_number().await?;
            if !operation.repeatable {
                looked = last;
            }
        }
    }

    /// Changes an item of `seller_id`; 403 when it is somebody else's.
    pub(crate) async fn change(
        &self,
        id: i64,
        seller_id: i64,
        change: impl Fn(&Item) -> Item,
    ) -> Result<Item, Error> {
        let key = id.to_string();
        let turns = self.items.turns(&key);
        let _turn = turn(&turns).await?;
        loop {
            let latest = self
                .latest(id)
                .await?
                .filter(|latest| !latest.state.removed);
            let latest = latest.ok_or_else(not_found)?;
            latest.state.require_seller(seller_id)?;
            let next = change(&latest.state);
            if self
                .items
                .append(&key, latest.number + 1, next.clone())
                .await?
            {
                return Ok(next);
            }
        }
    }

    /// Removes an item of `seller_id`; 403 when it is somebody else's.
    pub(crate) async fn remove(
        &self,
        id: i64,
        seller_id: i64,
        operation: &str,
    ) -> Result<(), Error> {
        self.change(id, seller_id, |item| item.emptied(operation))
            .await?;
        let number = u64::try_from(id).map_err(Error::internal)?;
        let last = self.last.fetch_max(number, Relaxed).max(number);
        self.gone.note(ALL, &[number], last).await;
        Ok(())
    }

    /// Buys, to the end, even when the client goes away meanwhile.
    pub(crate) async fn buy(&self, id: i64, order: Order, repeatable: bool) -> Result<(), Error> {
        let store = self.clone();
        self.to_the_end(async move { store.buying(id, &order, repeatable).await })
            .await
    }

    async fn buying(&self, id: i64, order: &Order, repeatable: bool) -> Result<(), Error> {
        let key = id.to_string();
        let operation = Operation {
            id: order.order_id.clone(),
            repeatable,
        };
        let turns = self.items.turns(&key);
        let _turn = turn(&turns).await?;
        let mut latest = self.latest(id).await?.ok_or_else(not_found)?;
        let claim = format!("{id}/{}", operation.id);
        let mut looked = self.claim(claim, &operation, latest.number).await?;
        loop {
            while looked < latest.number {
                looked += 1;
                let state = self.items.find(&key, looked).await?;
                if state.is_some_and(|state| state.operation == order.order_id) {
                    return Ok(());
                }
            }
            if latest.state.removed {
                return Err(not_found());
            }
            let next = latest.state.sold(order, clock::now())?;
            let event = bought(&next, order)?;
            if self.tell("items.sell", &next, looked + 1, &event).await? {
                return Ok(());
            }
            // Others were here.
            latest = self.latest(id).await?.ok_or_else(not_found)?;
            if !repeatable {
                looked = latest.number;
            }
        }
    }

    /// Inserts the `number`-th state of an item with its event; `false` when there is one already.
    async fn tell<E: messaging::Event>(
        &self,
        name: &'static str,
        item: &Item,
        number: u64,
        event: &E,
    ) -> Result<bool, Error> {
        let key = item.id.to_string();
        let link = Link::new(&key, number, item.clone());
        let items = self.items.collection();
        let told = self.outbox.insert(name, items, &link, event).await?;
        if told {
            let state = Arc::new(item.clone());
            self.items.note(&key, Latest { number, state });
        }
        Ok(told)
    }

    /// Behind which state the effect of an operation is, or comes: `last`, or what an earlier
    /// request of the same operation found to be the last.
    async fn claim(&self, id: String, operation: &Operation, last: u64) -> Result<u64, Error> {
        if operation.repeatable {
            self.claims.claim(id, last).await
        } else {
            Ok(last)
        }
    }

    async fn latest(&self, id: i64) -> Result<Option<Latest<Item>>, Error> {
        self.items.latest(&id.to_string()).await
    }

    /// The number of the last item.
    async fn last_number(&self) -> Result<u64, Error> {
        let exists = |number: u64| async move {
            let first = self.items.find(&number.to_string(), 1).await?;
            Ok(first.is_some())
        };
        let last = numbers::last(self.last.load(Relaxed), exists).await?;
        self.last.fetch_max(last, Relaxed);
        Ok(last)
    }

    async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let work = self.tasks.spawn(work.in_current_span());
        work.await.map_err(Error::internal)?
    }
}

fn bought(item: &Item, order: &Order) -> Result<ItemBought, Error> {
    let sale = item.sale.as_ref();
    let sale = sale.ok_or_else(|| Error::internal(anyhow::anyhow!("a sale without a sale")))?;
    Ok(ItemBought {
        order_id: order.order_id.clone(),
        item_id: item.id,
        name: item.name.clone(),
        quantity: sale.quantity,
        total_cents: sale.total_cents,
        seller_id: item.seller_id,
        buyer_id: sale.buyer_id,
        bought_at: clock::text(sale.sold_at),
    })
}

fn not_found() -> Error {
    Error::not_found("Item not found")
}
