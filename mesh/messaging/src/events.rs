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

/// Somebody's account is no more: every service removes what it has of them, and answers by [`UserForgotten`]
/// ([`farewell`](crate::farewell)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserDeleted {
    /// Number of the account; no other will ever have it.
    pub user_id: i64,
    /// Its name as it is compared, for what was written down by name alone. Nobody else has it until all have answered.
    pub username: String,
    /// The how-manieth time this is said: later ones find what was still on its way at the first.
    pub round: i32,
}

impl Event for UserDeleted {
    const TYPE: &'static str = "users.deleted";

    fn subject(&self) -> String {
        self.user_id.to_string()
    }
}

/// A service has nothing personal any more of somebody whose account is deleted. Its type begins with the service:
/// `likes.user_forgotten`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserForgotten {
    /// Number of the account that was.
    pub user_id: i64,
    /// That of the [`UserDeleted`] which this answers.
    pub round: i32,
}

impl Event for UserForgotten {
    const TYPE: &'static str = "user_forgotten";

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
    /// Greater than that of every earlier change of whom the follower follows: a time in microseconds as its writer has it,
    /// but never less than the last. Nothing from instances that were started before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
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
    /// As [`UserFollowed::version`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
}

impl Event for UserUnfollowed {
    const TYPE: &'static str = "users.unfollowed";

    fn subject(&self) -> String {
        self.follower_id.to_string()
    }
}

/// Somebody wrote a post in the microblog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostCreated {
    /// Number of the post.
    pub post_id: i64,
    /// Who wrote it.
    pub user_id: i64,
    /// The author's name.
    pub username: String,
}

impl Event for PostCreated {
    const TYPE: &'static str = "timelines.posted";

    fn subject(&self) -> String {
        self.post_id.to_string()
    }
}

/// The author of a post in the microblog took it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostDeleted {
    /// Number of the post.
    pub post_id: i64,
    /// Who wrote it.
    pub user_id: i64,
}

impl Event for PostDeleted {
    const TYPE: &'static str = "timelines.deleted";

    fn subject(&self) -> String {
        self.post_id.to_string()
    }
}

/// Somebody likes a post; whether the post exists is not known yet (D18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostLiked {
    /// Number of the post.
    pub post_id: i64,
    /// Who likes it.
    pub user_id: i64,
    /// Their name.
    pub username: String,
}

impl Event for PostLiked {
    const TYPE: &'static str = "likes.liked";

    fn subject(&self) -> String {
        self.post_id.to_string()
    }
}

/// A post got likes, some or many, within a minute: what its author is told (S2-37, D18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LikesNoticed {
    /// Number of the post.
    pub post_id: i64,
    /// Who wrote the post, and is to be told.
    pub author_id: i64,
    /// How many new likes there are.
    pub likes: u32,
    /// Names of some of those who like it, three at most.
    pub usernames: Vec<String>,
}

impl Event for LikesNoticed {
    const TYPE: &'static str = "likes.noticed";

    fn subject(&self) -> String {
        self.post_id.to_string()
    }
}

/// Somebody offers an item in the market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemAdded {
    /// Number of the item.
    pub item_id: i64,
    /// Its name.
    pub name: String,
    /// Who sells it.
    pub seller_id: i64,
    /// Price of one, in cents.
    pub price_cents: i64,
}

impl Event for ItemAdded {
    const TYPE: &'static str = "items.added";

    fn subject(&self) -> String {
        self.item_id.to_string()
    }
}

/// Somebody bought an item in the market.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemBought {
    /// The purchase, as its buyer knows it.
    pub order_id: String,
    /// Number of the item.
    pub item_id: i64,
    /// Its name.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// What the buyer pays for all of them, in cents.
    pub total_cents: i64,
    /// Who sold it.
    pub seller_id: i64,
    /// Who bought it.
    pub buyer_id: i64,
    /// When, in RFC 3339.
    pub bought_at: String,
}

impl Event for ItemBought {
    const TYPE: &'static str = "items.bought";

    fn subject(&self) -> String {
        self.order_id.clone()
    }
}

/// Somebody ordered a product of the shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPlaced {
    /// The order.
    pub order_id: String,
    /// Who ordered.
    pub user_id: i64,
    /// Number of the product.
    pub product_id: i64,
    /// Its name.
    pub product_name: String,
    /// How many.
    pub quantity: u32,
    /// What all of them cost, in cents.
    pub total_cents: i64,
}

impl Event for OrderPlaced {
    const TYPE: &'static str = "orders.placed";

    fn subject(&self) -> String {
        self.order_id.clone()
    }
}

/// Somebody wrote about a car; those who subscribed to the model are told (D10).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarPostCreated {
    /// The post.
    pub post_id: String,
    /// Who wrote it.
    pub user_id: i64,
    /// Its title.
    pub title: String,
    /// The model of car.
    pub car_model: String,
}

impl Event for CarPostCreated {
    const TYPE: &'static str = "discussions.posted";

    fn subject(&self) -> String {
        self.post_id.clone()
    }
}

/// A movie got a review; those in its room are told (D22).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovieReviewed {
    /// Number of the movie.
    pub movie_id: i64,
    /// Number of the review.
    pub review_id: i64,
    /// Who wrote it.
    pub user_id: i64,
    /// Its title.
    pub title: String,
}

impl Event for MovieReviewed {
    const TYPE: &'static str = "movies.reviewed";

    fn subject(&self) -> String {
        self.movie_id.to_string()
    }
}
