//! Whose items are which. The seller of an item never changes, so each instance remembers it, and reads only what is new.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use chassis::{Error, Page, documents::turn};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mongodb::bson::doc;
use serde::Deserialize;
use tokio::sync::Mutex;

use super::Store;
use crate::model::Item;

/// Items that are read one by one; of more, all first states are walked over.
const FEW: u64 = 200;
/// What the walk may take; the embedded store needs 40 µs for each state.
const WALK_DEADLINE: Duration = Duration::from_mins(1);
/// Items that are read at once.
const READS_AT_ONCE: usize = 8;

/// The numbers of each seller's items, in rising order. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Sellers(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The last item whose seller is known, as those of all before it.
    until: u64,
    items: HashMap<i64, Vec<u64>>,
    /// Those of them that are known to be removed.
    gone: HashSet<u64>,
}

/// What the walk reads of a state.
#[derive(Debug, Deserialize)]
struct First {
    #[serde(rename = "_id")]
    id: String,
    state: Seller,
}

#[derive(Debug, Deserialize)]
struct Seller {
    seller_id: i64,
}

impl Store {
    /// A page of a seller's items, newest first.
    pub(crate) async fn list_of(
        &self,
        seller_id: i64,
        page: &Page<i64>,
    ) -> Result<Vec<Arc<Item>>, Error> {
        let mut numbers = self.numbers_of(seller_id).await?;
        {
            let known = turn(&self.sellers.0).await?;
            numbers.retain(|number| !known.gone.contains(number));
        }
        if let Some(before) = page.after {
            let before = u64::try_from(before).unwrap_or(0);
            numbers.retain(|number| *number < before);
        }
        let limit = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
        let mut listed = Vec::new();
        let mut gone = Vec::new();
        while listed.len() < limit && !numbers.is_empty() {
            let part = numbers.split_off(numbers.len().saturating_sub(limit - listed.len()));
            let read = stream::iter(part.into_iter().rev()).map(|number| async move {
                let id = i64::try_from(number).map_err(Error::internal)?;
                Ok::<_, Error>((number, self.latest(id).await?))
            });
            let read: Vec<_> = read.buffered(READS_AT_ONCE).try_collect().await?;
            for (number, latest) in read {
                match latest.map(|latest| latest.state) {
                    Some(item) if !item.removed => listed.push(item),
                    Some(_) => gone.push(number),
                    None => {}
                }
            }
        }
        if !gone.is_empty() {
            turn(&self.sellers.0).await?.gone.extend(gone);
        }
        Ok(listed)
    }

    /// The numbers of a seller's items, in rising order; of some that were removed too.
    pub(crate) async fn numbers_of(&self, seller_id: i64) -> Result<Vec<u64>, Error> {
        let last = self.last_number().await?;
        let mut known = turn(&self.sellers.0).await?;
        if last > known.until + FEW {
            *known = self.walk(last).await?;
        }
        let (items, new) = (&self.items, known.until + 1..=last);
        let read = stream::iter(new).map(|number| async move {
            let first = items.find(&number.to_string(), 1).await?;
            Ok::<_, Error>((number, first))
        });
        let mut read = read.buffered(READS_AT_ONCE);
        while let Some((number, first)) = read.try_next().await? {
            if let Some(first) = first {
                known.items.entry(first.seller_id).or_default().push(number);
            }
            known.until = number;
        }
        Ok(known.items.get(&seller_id).cloned().unwrap_or_default())
    }

    /// The sellers of all items up to `last`, which were all there before it began.
    async fn walk(&self, last: u64) -> Result<Known, Error> {
        let firsts = self.items.collection().with_type::<First>();
        let read = |firsts: mongodb::Collection<First>| async move {
            let members = doc! { "state.seller_id": 1 };
            let found = firsts.find(doc! { "_id": { "$regex": "\\.1$" } });
            found.projection(members).await?.try_collect().await
        };
        let firsts: Vec<First> = firsts
            .run_within(WALK_DEADLINE, "items.sellers", read)
            .await?;
        let numbered = firsts.into_iter().filter_map(|first| {
            let number: u64 = first.id.strip_suffix(".1")?.parse().ok()?;
            (number <= last).then_some((number, first.state.seller_id))
        });
        let mut numbered: Vec<_> = numbered.collect();
        numbered.sort_unstable();
        let mut known = Known {
            until: last,
            ..Known::default()
        };
        for (number, seller_id) in numbered {
            known.items.entry(seller_id).or_default().push(number);
        }
        Ok(known)
    }
}
