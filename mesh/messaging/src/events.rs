//! What happens in Plaza: the payloads that services tell each other.
//!
//! A member is added freely, since readers ignore what they do not know. Anything else is a new
//! [`VERSION`](crate::Event::VERSION).

use serde::{Deserialize, Serialize};

use crate::Event;

/// Somebody has an account now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRegistered {
    /// Number of the account.
    pub user_id: i64,
    /// Unique name.
    pub username: String,
    /// The name that is shown.
    pub name: String,
    /// Where mail goes.
    pub email: String,
}

impl Event for UserRegistered {
    const TYPE: &'static str = "users.registered";

    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

/// Somebody follows somebody now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserFollowed {
    /// Who follows.
    pub follower_id: i64,
    /// Who is followed.
    pub followee_id: i64,
}

impl Event for UserFollowed {
    const TYPE: &'static str = "users.followed";

    fn subject(&self) -> String {
        self.follower_id.to_string()
    }
}

/// Somebody follows somebody no more. Of one follower, this and [`UserFollowed`] keep their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserUnfollowed {
    /// Who followed.
    pub follower_id: i64,
    /// Who was followed.
    pub followee_id: i64,
}

impl Event for UserUnfollowed {
    const TYPE: &'static str = "users.unfollowed";

    fn subject(&self) -> String {
        self.follower_id.to_string()
    }
}
