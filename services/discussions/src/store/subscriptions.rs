//! Who wants to hear of which car.

use chassis::{
    Error, Page,
    documents::{Collection, Database},
};
use futures_util::TryStreamExt as _;
use mongodb::bson::doc;

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
        self.0.insert("subscriptions.insert", subscription).await
    }

    /// Unsubscribes; `false` when there was nothing to end.
    pub(crate) async fn remove(&self, user_id: i64, topic: &Topic) -> Result<bool, Error> {
        let key = Subscription::key(user_id, topic);
        self.0.remove("subscriptions.remove", &key).await
    }

    /// Ends all that somebody subscribed to.
    pub(crate) async fn remove_of(&self, user_id: i64) -> Result<(), Error> {
        let theirs = doc! { "user_id": user_id };
        let remove = |subscriptions: mongodb::Collection<Subscription>| async move {
            subscriptions.delete_many(theirs).await
        };
        self.0.run("subscriptions.remove_of", remove).await?;
        Ok(())
    }

    /// A page of somebody's subscriptions, newest first. One person has few: they are sorted here.
    pub(crate) async fn list(
        &self,
        user_id: i64,
        page: &Page<SubscriptionKey>,
    ) -> Result<Vec<Subscription>, Error> {
        let list = |subscriptions: mongodb::Collection<Subscription>| async move {
            let found = subscriptions.find(doc! { "user_id": user_id }).await?;
            found.try_collect::<Vec<Subscription>>().await
        };
        let mut subscriptions = self.0.run("subscriptions.list", list).await?;
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
        let list = |subscriptions: mongodb::Collection<Subscription>| async move {
            let find = subscriptions.find(filter).sort(doc! { "user_id": 1 });
            find.limit(limit).await?.try_collect::<Vec<_>>().await
        };
        let found = self.0.run("subscriptions.list_users", list).await?;
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
