//! The REST face: the route table, and what several resources share.

mod comments;
mod posts;
mod topics;

use chassis::{AccountId, Auth, Code, Error, Paging, Request, Route};
use http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Discussions,
    clients::Author,
    model::{CarModel, PostId},
};

/// What a post shows of its comments at once.
const COMMENTS: Paging = Paging::by_cursor(200, 200);

type Answered<T> = Result<chassis::Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Discussions>> {
    let mut routes = post_routes();
    routes.extend(comment_routes());
    routes.extend(topic_routes());
    routes
}

fn post_routes() -> Vec<Route<Discussions>> {
    vec![
        Route::post("/api/posts", posts::create)
            .id("createCarPost")
            .located()
            .summary("Writes a post about a car")
            .fails(&[Code::Forbidden])
            .idempotent(),
        Route::get("/api/posts", posts::list)
            .id("listCarPosts")
            .summary("Lists posts, newest first")
            .takes(&posts::AUTHOR)
            .takes(&posts::CAR)
            .takes(&posts::KIND)
            .paged(),
        Route::get("/api/posts/{post_id}", posts::show)
            .id("getCarPost")
            .uuid("post_id", "The post")
            .summary(
                "Shows a post with its comments, newest first; the Link header leads to older ones",
            )
            .paged_by(COMMENTS),
        Route::put("/api/posts/{post_id}", posts::change)
            .id("updateCarPost")
            .uuid("post_id", "The post")
            .summary("Changes an own post")
            .fails(&[Code::Forbidden]),
        Route::delete("/api/posts/{post_id}", posts::remove)
            .id("deleteCarPost")
            .uuid("post_id", "The post")
            .summary("Deletes an own post with its comments")
            .fails(&[Code::Forbidden]),
    ]
}

fn comment_routes() -> Vec<Route<Discussions>> {
    vec![
        Route::post("/api/posts/{post_id}/comments", comments::create)
            .id("createComment")
            .uuid("post_id", "The post")
            .located()
            .summary("Comments on a post")
            .fails(&[Code::Forbidden])
            .idempotent(),
        Route::get("/api/posts/{post_id}/comments", comments::list)
            .id("listComments")
            .uuid("post_id", "The post")
            .summary("Lists the comments on a post, newest first")
            .paged(),
        Route::put(
            "/api/posts/{post_id}/comments/{comment_id}",
            comments::change,
        )
        .id("updateComment")
        .uuid("post_id", "The post")
        .summary("Changes an own comment")
        .fails(&[Code::Forbidden]),
        Route::delete(
            "/api/posts/{post_id}/comments/{comment_id}",
            comments::remove,
        )
        .id("deleteComment")
        .uuid("post_id", "The post")
        .summary("Deletes an own comment")
        .fails(&[Code::Forbidden]),
    ]
}

fn topic_routes() -> Vec<Route<Discussions>> {
    const SUBSCRIPTION: &str = "/api/topics/{car_model}/subscription";
    // A path has no place for each name: `.` is gone on the way, and a slash is refused.
    const OF_ANY: &str = "/api/topics/subscription";
    let of_any = |route: Route<Discussions>| route.query("car_model", "The car, by any name");
    vec![
        Route::without_body(Method::PUT, SUBSCRIPTION, topics::subscribe)
            .id("subscribeToTopic")
            .place::<CarModel>("car_model", "The car, written in any case")
            .fails(&[Code::Unacceptable])
            .summary("Subscribes to new posts about a car")
            .fails(&[Code::Unacceptable])
            .auth(Auth::Required),
        Route::delete(SUBSCRIPTION, topics::unsubscribe)
            .id("unsubscribeFromTopic")
            .place::<CarModel>("car_model", "The car, written in any case")
            .summary("Ends a subscription to new posts about a car")
            .fails(&[Code::Unacceptable]),
        of_any(Route::without_body(Method::PUT, OF_ANY, topics::subscribe))
            .id("subscribeToNamedTopic")
            .summary("Subscribes to new posts about a car whose name has no place in a path")
            .fails(&[Code::Unacceptable])
            .auth(Auth::Required),
        of_any(Route::delete(OF_ANY, topics::unsubscribe))
            .id("unsubscribeFromNamedTopic")
            .summary("Ends a subscription to new posts about such a car")
            .fails(&[Code::Unacceptable]),
        Route::get("/api/users/me/subscriptions", topics::list)
            .id("listSubscriptions")
            .summary("Lists one's own subscriptions, newest first")
            .auth(Auth::Required)
            .paged(),
    ]
}

/// The post that the path names; 404 when it cannot be an id.
fn post_id(request: &Request) -> Result<PostId, Error> {
    request
        .param("post_id")
        .map_err(|_| Error::not_found("Post not found"))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Message")]
struct MessageResponse {
    message: String,
}

impl MessageResponse {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }
}

/// Who wrote it; absent while `users` does not answer.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Author")]
struct AuthorResponse {
    user_id: i64,
    username: String,
    name: String,
}

impl From<&Author> for AuthorResponse {
    fn from(author: &Author) -> Self {
        Self {
            user_id: author.user_id,
            username: author.username.clone(),
            name: author.name.clone(),
        }
    }
}

/// Refuses a `user_id` in a body that is not the caller's own (D6).
fn require_own_id(named: Option<AccountId>, caller: i64) -> Result<(), Error> {
    match named {
        Some(named) if named.get() != caller => {
            Err(Error::forbidden("user_id must be your own, or left out"))
        }
        _ => Ok(()),
    }
}
