//! What `notifications` tells itself through the broker: work to be done, kept until it is.

use messaging::Event;
use serde::{Deserialize, Serialize};

/// A notification is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Queued {
    /// Which.
    pub(crate) notification_id: String,
}

impl Queued {
    pub(crate) fn of(id: &str) -> Self {
        Self {
            notification_id: id.to_owned(),
        }
    }
}

impl Event for Queued {
    const TYPE: &'static str = "notifications.queued";

    fn subject(&self) -> String {
        self.notification_id.clone()
    }
}

/// The subscribers of a model of car after some of them are to be told of a post (D10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscribersDue {
    /// The event that is told.
    pub(crate) event_id: String,
    /// The post.
    pub(crate) post_id: String,
    /// Who wrote it.
    pub(crate) author_id: i64,
    /// Its title.
    pub(crate) title: String,
    /// What it is about.
    pub(crate) car_model: String,
    /// Those before are told; 0 for nobody.
    pub(crate) after_user_id: i64,
}

impl Event for SubscribersDue {
    const TYPE: &'static str = "notifications.subscribers_due";

    fn subject(&self) -> String {
        self.post_id.clone()
    }
}
