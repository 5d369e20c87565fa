//! What somebody offered whose account is deleted.
//!
//! Their items are removed, and what they wrote is taken out of every state of each: a chain keeps them all. Sales stay, by
//! numbers: they are records of those who bought.

use chassis::{
    Error,
    documents::{Latest, Link},
};
use mongodb::bson::doc;

use super::{ALL, Store};
use crate::model::Item;

impl Store {
    /// Removes all that somebody offers, and all that they wrote of it. Done again, it goes on where it was.
    pub(crate) async fn forget(&self, seller_id: i64) -> Result<(), Error> {
        for number in self.numbers_of(seller_id).await? {
            let key = number.to_string();
            let first = self.items.find(&key, 1).await?;
            // The first state is the last to be emptied.
            if first.is_none_or(|item| item.name.is_empty()) {
                continue;
            }
            let last = self.end(&key).await?;
            for state in (1..last).rev() {
                self.empty(&key, state).await?;
            }
            self.gone.note(ALL, &[number], number).await;
        }
        Ok(())
    }

    /// Makes the state of an item in which it is removed the last one; its number.
    async fn end(&self, key: &str) -> Result<u64, Error> {
        loop {
            let latest = self.items.latest(key).await?;
            let Some(Latest { number, state }) = latest else {
                return Ok(0);
            };
            if state.removed && state.name.is_empty() {
                return Ok(number);
            }
            let next = state.forgotten();
            if self.items.append(key, number + 1, next).await? {
                return Ok(number + 1);
            }
        }
    }

    async fn empty(&self, key: &str, state: u64) -> Result<(), Error> {
        let nothing = doc! { "state.name": "", "state.description": "" };
        let states = self.items.collection();
        let id = Link::<Item>::id(key, state);
        states.set("items.forget", &id, nothing).await?;
        Ok(())
    }
}
