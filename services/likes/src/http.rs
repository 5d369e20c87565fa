//! The route table of `likes` (S2-26 to S2-30).

use std::sync::Arc;

use chassis::{Answer, Auth, Code, Error, Page, Paging, Request, Route, is_username};
use http::Method;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Likes,
    clients::Person,
    ledger::{LikeKey, RankKey},
    model::{LikesOf, Ranked},
};

/// What the ranking may be asked for.
const POPULAR: Paging = Paging::by_offset(50, 200);
/// What the likes of a person may be asked for.
const LIKES: Paging = Paging::by_offset(100, 1_000);

type Answered<T> = Result<Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Likes>> {
    vec![
        Route::without_body(Method::POST, "/likes/{post_id:int}", like)
            .auth(Auth::Required)
            .refuses_words()
            .fails(&[Code::NotFound])
            .id("likePost")
            .summary("Likes a post; whether it exists is checked behind"),
        Route::delete("/likes/{post_id:int}", unlike)
            .refuses_words()
            .id("unlikePost")
            .summary("Likes a post no more"),
        Route::get("/likes/{post_id:int}/count", count)
            .refuses_words()
            .id("countLikes")
            .summary("How many people like a post"),
        Route::get("/likes/popular", popular)
            .paged_by(POPULAR)
            .id("listPopularPosts")
            .summary("The posts with the most likes; between two pages they may change places"),
        Route::get("/users/{username}/likes", likes_of)
            .paged_by(LIKES)
            .id("listLikesOfUser")
            .summary("The posts that a person likes, the newest like first"),
    ]
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Like")]
struct LikeResponse {
    /// Always `ok`.
    status: &'static str,
    liked: bool,
    post_id: i64,
}

impl From<(i64, bool)> for LikeResponse {
    fn from((post_id, liked): (i64, bool)) -> Self {
        Self {
            status: "ok",
            liked,
            post_id,
        }
    }
}

/// The post that a path names.
fn post_id(request: &Request) -> Result<i64, Error> {
    let post_id: i64 = request.param("post_id")?;
    if post_id < 0 {
        return Err(Error::not_found("There is nothing at this address"));
    }
    Ok(post_id)
}

/// S2-26
async fn like(likes: Arc<Likes>, request: Request) -> Answered<LikeResponse> {
    let post_id = post_id(&request)?;
    let caller = request.caller()?;
    let ledger = likes.ledger();
    if !ledger
        .like(post_id, caller.user_id, &caller.username)
        .await?
    {
        return Err(Error::not_found("This post was deleted"));
    }
    Ok(LikeResponse::from((post_id, true)).into())
}

/// S2-27
async fn unlike(likes: Arc<Likes>, request: Request) -> Answered<LikeResponse> {
    let post_id = post_id(&request)?;
    let caller = request.caller()?;
    let ledger = likes.ledger();
    ledger
        .unlike(post_id, caller.user_id, &caller.username)
        .await?;
    Ok(LikeResponse::from((post_id, false)).into())
}

#[derive(Debug, Serialize, ToSchema)]
struct PostLikes {
    post_id: i64,
    likes: i64,
}

/// S2-28
async fn count(likes: Arc<Likes>, request: Request) -> Answered<PostLikes> {
    let post_id = post_id(&request)?;
    let likes = likes.ledger().count(post_id).await?;
    Ok(PostLikes { post_id, likes }.into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "PopularPosts")]
struct PopularResponse {
    post_ids: Vec<i64>,
    posts: Vec<PostLikes>,
}

/// S2-30
async fn popular(likes: Arc<Likes>, request: Request) -> Answered<PopularResponse> {
    let page: Page<RankKey> = request.page()?;
    let ranked = likes.ledger().popular(&page).await?;
    let key = |post: &Ranked| (post.likes, post.post_id);
    page.wrapped(&request, ranked, key, |ranked| PopularResponse {
        post_ids: ranked.iter().map(|post| post.post_id).collect(),
        posts: ranked
            .into_iter()
            .map(|Ranked { post_id, likes }| PostLikes { post_id, likes })
            .collect(),
    })
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "LikesOfUser")]
struct LikesOfResponse {
    username: String,
    post_ids: Vec<i64>,
}

/// S2-29
async fn likes_of(likes: Arc<Likes>, request: Request) -> Answered<LikesOfResponse> {
    let asked: String = request.param("username")?;
    let page: Page<LikeKey> = request.page()?;
    let found = if is_username(&asked) {
        likes.ledger().likes_of(&asked, &page).await?
    } else {
        None
    };
    let LikesOf { username, likes } = match found {
        Some(found) => found,
        None => likes.without_likes(asked).await,
    };
    let key = |like: &crate::model::Liked| (like.version, like.post_id);
    let limit = usize::try_from(page.fetch()).unwrap_or(usize::MAX);
    let likes = likes.into_iter().take(limit).collect();
    page.wrapped(&request, likes, key, |likes| LikesOfResponse {
        username,
        post_ids: likes.into_iter().map(|like| like.post_id).collect(),
    })
}

impl Likes {
    /// The answer about somebody who never liked anything, be it because there is nobody of this
    /// name. `users` knows how the name is written; where it does not answer, it is as it was asked.
    async fn without_likes(&self, asked: String) -> LikesOf {
        let username = match self.users.who(&asked).await {
            Person::Named(username) => username,
            Person::Unknown | Person::Nobody => asked,
        };
        LikesOf {
            username,
            likes: Vec::new(),
        }
    }
}
