//! Who wants to hear of which car.

use chassis::{
    Error, Page,
    documents::{self, by_id},
};
use futures_util::TryStreamExt as _;
use mongodb::{Collection, Database, bson::doc};

use super::create_indexes;
use crate::model::{Subscription, Topic};

/// Where a page of somebody's subscriptions ends: since when, in microseconds, and to what.
pub(crate) type SubscriptionKey = (i64, String);

#[derive(Debug, Clone)]
pub(crate) struct Subscriptions(Collection<Subscription>);

impl Subscriptions {
    pub(super) fn new(database: &Database) -> Self {
        Self(database.collection("subscriptions"))
    }

    pub(super) async fn create_indexes(&self) -> Result<(), Error> {
        create_indexes(&self.0, &[doc! { "user_id": 1 }, doc! { "topic": 1 }]).await
    }

    /// Subscribes; `false` when that was so already.
    pub(crate) async fn insert(&self, subscription: &Subscription) -> Result<bool, Error> {
        documents::insert("subscriptions.insert", &self.0, subscription).await
    }

    /// Unsubscribes; `false` when there was nothing to end.
    pub(crate) async fn remove(&self, user_id: i64, topic: &Topic) -> Result<bool, Error> {
        let remove = self.0.delete_one(by_id(&Subscription::key(user_id, topic)));
        Ok(documents::run("subscriptions.remove", remove)
            .await?
            .deleted_count
            > 0)
    }

    /// A page of somebody's subscriptions, newest first. One person has few: they are sorted here.
    pub(crate) async fn list(
        &self,
        user_id: i64,
        page: &Page<SubscriptionKey>,
    ) -> Result<Vec<Subscription>, Error> {
        let find = self.0.find(doc! { "user_id": user_id });
        let find = async { find.await?.try_collect::<Vec<Subscription>>().await };
        let mut subscriptions = documents::run("subscriptions.list", find).await?;
        subscriptions.sort_by_cached_key(|subscription| std::cmp::Reverse(key(subscription)));
        subscriptions.retain(|subscription| {
            page.after
                .as_ref()
                .is_none_or(|after| key(subscription) < *after)
        });
        subscriptions.truncate(usize::try_from(page.fetch()).unwrap_or(usize::MAX));
        Ok(subscriptions)
    }

    /// Who wants to hear of a topic, by growing id, after somebody.
    pub(crate) async fn list_users(
        &self,
        topic: &Topic,
        after_user_id: i64,
        limit: i64,
    ) -> Result<Vec<i64>, Error> {
        let filter = doc! { "topic": topic.as_str(), "user_id": { "$gt": after_user_id } };
        let find = self.0.find(filter).sort(doc! { "user_id": 1 }).limit(limit);
        let find = async { find.await?.try_collect::<Vec<Subscription>>().await };
        let found = documents::run("subscriptions.list_users", find).await?;
        Ok(found.iter().map(|found| found.user_id).collect())
    }

    /// Where a page that ends with this one ends.
    pub(crate) fn key(subscription: &Subscription) -> SubscriptionKey {
        key(subscription)
    }
}

fn key(subscription: &Subscription) -> SubscriptionKey {
    (
        subscription.created_at.timestamp_micros(),
        subscription.topic.to_string(),
    )
}
