//! Posts and the lists of them (S2-20, S2-22 to S2-25, D19).

use std::sync::Arc;

use chassis::{AccountId, Error, Page, Request, clock};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Answered;
use crate::{
    Timelines,
    model::{NewPost, Post, PostText, RepostUrl, Username, no_such_user},
};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({
    "text": "Snow on the pass, chains needed.",
    "repost_original_url": "https://example.com/pass",
})))]
pub(super) struct CreatePostRequest {
    /// Your own, or left out.
    user_id: Option<AccountId>,
    text: PostText,
    /// What the post repeats: an http or https URL.
    repost_original_url: Option<RepostUrl>,
}

impl CreatePostRequest {
    /// The post that the caller wants.
    pub(super) fn into_post(self, request: &Request) -> Result<NewPost, Error> {
        let caller = request.caller()?;
        if self
            .user_id
            .is_some_and(|user_id| user_id.get() != caller.user_id)
        {
            return Err(Error::forbidden("user_id must be your own, or left out"));
        }
        Ok(NewPost {
            user_id: caller.user_id,
            username: caller.username.clone(),
            text: self.text,
            repost_original_url: self.repost_original_url,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Post")]
pub(super) struct PostResponse {
    post_id: i64,
    user_id: i64,
    username: String,
    text: String,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    created_at: String,
    repost_original_url: Option<String>,
}

impl From<Post> for PostResponse {
    fn from(post: Post) -> Self {
        Self {
            post_id: post.id,
            user_id: post.user_id,
            username: post.username,
            text: post.text,
            created_at: clock::text(post.created_at),
            repost_original_url: post.repost_original_url,
        }
    }
}

/// S2-20
pub(super) async fn create(
    timelines: Arc<Timelines>,
    request: Request,
    body: CreatePostRequest,
) -> Answered<PostResponse> {
    let post = body.into_post(&request)?;
    let operation = request.operation();
    let post = timelines.store.insert_post(&post, operation).await?;
    Ok(PostResponse::from(post).into())
}

/// S2-22
pub(super) async fn show(timelines: Arc<Timelines>, request: Request) -> Answered<PostResponse> {
    let post = timelines.store.find_post(request.param("post_id")?).await?;
    Ok(PostResponse::from(post.ok_or_else(no_such_post)?).into())
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "DeletedPost")]
pub(super) struct DeletedResponse {
    /// `ok`
    status: &'static str,
    post_id: i64,
}

/// D19
pub(super) async fn remove(
    timelines: Arc<Timelines>,
    request: Request,
) -> Answered<DeletedResponse> {
    let post_id = request.param("post_id")?;
    let post = timelines.store.find_post(post_id).await?;
    post.ok_or_else(no_such_post)?
        .require_author(request.caller()?.user_id)?;
    if !timelines.store.remove_post(post_id).await? {
        return Err(no_such_post());
    }
    Ok(DeletedResponse {
        status: "ok",
        post_id,
    }
    .into())
}

/// S2-24
pub(super) async fn list(
    timelines: Arc<Timelines>,
    request: Request,
) -> Answered<Vec<PostResponse>> {
    let page = request.page()?;
    let posts = timelines.store.list_posts(&page).await?;
    shown(&page, &request, posts)
}

/// S2-23
pub(super) async fn list_of_user(
    timelines: Arc<Timelines>,
    request: Request,
) -> Answered<Vec<PostResponse>> {
    let page = request.page()?;
    let username: Username = request.param("username").map_err(|_| no_such_user())?;
    let posts = timelines.store.list_posts_of(&username, &page).await?;
    // Whoever has a post exists; only of the others is it asked.
    if posts.is_empty() && page.after.is_none() && timelines.people.is_nobody(&username).await {
        return Err(no_such_user());
    }
    shown(&page, &request, posts)
}

/// S2-25: for its owner only (D19).
pub(super) async fn home(
    timelines: Arc<Timelines>,
    request: Request,
) -> Answered<Vec<PostResponse>> {
    let page: Page<i64> = request.page()?;
    let caller = request.caller()?;
    let username: String = request.param("username")?;
    if !username.eq_ignore_ascii_case(&caller.username) {
        return Err(Error::forbidden("A home timeline is its owner's alone"));
    }
    let posts = timelines.homes.page(caller.user_id, &page).await?;
    shown(&page, &request, posts)
}

fn shown(page: &Page<i64>, request: &Request, posts: Vec<Post>) -> Answered<Vec<PostResponse>> {
    page.answer(request, posts, |post| post.id, PostResponse::from)
}

fn no_such_post() -> Error {
    Error::not_found("Post not found")
}
