//! Posts (S0-06 to S0-10, D10).

use std::sync::Arc;

use chassis::{AccountId, Answer, Error, Page, Parameter, Request, clock};
use http::{HeaderValue, header};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::{
    Answered, AuthorResponse, MessageResponse, comments::CommentResponse, post_id, require_own_id,
};
use crate::{
    Discussions,
    clients::AuthorsById,
    model::{CarModel, Change, Content, Draft, Kind, Post, PostId, Rating, Title},
    store::Filter,
};

/// What posts may be listed by.
pub(super) const AUTHOR: Parameter<i64> = Parameter::new("user_id", "Only posts of this author");
pub(super) const CAR: Parameter<CarModel> = Parameter::new(
    "car_model",
    "Only posts about this car, written in any case",
);
pub(super) const KIND: Parameter<Kind> = Parameter::new("kind", "Only posts of this kind");

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "NewCarPost")]
#[schema(examples(json!({
    "title": "Quiet and quick",
    "content": "A year with it: never a breakdown, and cheap to run.",
    "car_model": "Zoe",
    "kind": "review",
    "rating": 4,
})))]
pub(super) struct CreatePostRequest {
    /// Whose post it is: the caller's own id, or nothing.
    user_id: Option<AccountId>,
    title: Title,
    content: Content,
    car_model: CarModel,
    #[serde(default)]
    kind: Option<Kind>,
    #[serde(default)]
    rating: Option<Rating>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CreatedCarPost")]
pub(super) struct CreatedResponse {
    #[schema(format = "uuid")]
    post_id: String,
    message: &'static str,
}

/// S0-06
pub(super) async fn create(
    discussions: Arc<Discussions>,
    request: Request,
    body: CreatePostRequest,
) -> Answered<CreatedResponse> {
    let author = request.caller()?.user_id;
    require_own_id(body.user_id, author)?;
    discussions.authors.require(author).await?;
    let draft = Draft {
        title: body.title,
        content: body.content,
        car_model: body.car_model,
        kind: body.kind.unwrap_or_default(),
        rating: body.rating,
    };
    let id = discussions.store.posts.new_id(request.repeatable()).await?;
    let post = Post::new(id, draft, author, clock::now());
    let post_id = post.id.to_string();
    discussions.directory.insert(post).await?;
    let location =
        HeaderValue::try_from(format!("/api/posts/{post_id}")).map_err(Error::internal)?;
    let created = CreatedResponse {
        post_id,
        message: "Post created successfully.",
    };
    Ok(Answer::from(created).header(header::LOCATION, location))
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CarPost")]
pub(super) struct PostResponse {
    #[schema(format = "uuid")]
    post_id: String,
    user_id: i64,
    title: String,
    content: String,
    car_model: String,
    #[schema(format = DateTime)]
    timestamp: String,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    rating: Option<Rating>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<AuthorResponse>,
}

impl PostResponse {
    fn new(post: &Post, authors: &AuthorsById) -> Self {
        Self {
            post_id: post.id.to_string(),
            user_id: post.user_id,
            title: post.title.clone(),
            content: post.content.clone(),
            car_model: post.car_model.clone(),
            timestamp: clock::text(post.created_at),
            kind: post.kind,
            rating: post.rating,
            updated_at: post.updated_at.map(clock::text),
            author: authors.get(&post.user_id).map(AuthorResponse::from),
        }
    }
}

/// S0-07
pub(super) async fn list(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<Vec<PostResponse>> {
    let page: Page<PostId> = request.page()?;
    let filter = filter(&request)?;
    let rows = discussions.directory.list(&filter, &page).await?;
    let posts = rows.iter().filter_map(|(_, post)| post.as_deref());
    let authors = discussions.authors.of(posts.map(|post| post.user_id)).await;
    page.wrapped(
        &request,
        rows,
        |(id, _)| *id,
        |rows| {
            let posts = rows.into_iter().filter_map(|(_, post)| post);
            posts
                .map(|post| PostResponse::new(&post, &authors))
                .collect()
        },
    )
}

fn filter(request: &Request) -> Result<Filter, Error> {
    Ok(Filter {
        user_id: AUTHOR.of(request)?,
        topic: CAR.of(request)?.map(|model| model.topic()),
        kind: KIND.of(request)?,
    })
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CarPostWithComments")]
pub(super) struct PostWithCommentsResponse {
    #[serde(flatten)]
    post: PostResponse,
    /// How many comments there are. Where they are more than are shown at once, some that were
    /// deleted may be counted.
    comment_count: u64,
    /// The newest ones, or those that the cursor leads to.
    comments: Vec<CommentResponse>,
}

/// S0-08
pub(super) async fn show(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<PostWithCommentsResponse> {
    let store = &discussions.store;
    let post = store.posts.get(post_id(&request)?).await?;
    // The key is a comment's place in the discussion.
    let page: Page<u64> = request.page()?;
    let comments = &store.comments;
    let rows = comments.list(post.id, page.after, page.fetch()).await?;
    let all = page.after.is_none() && (rows.len() as u64) < page.fetch();
    let comment_count = if all {
        rows.len() as u64
    } else {
        comments.count(post.id).await?
    };
    let writers = rows.iter().map(|comment| comment.user_id);
    let writers = writers.chain([post.user_id]);
    let authors = discussions.authors.of(writers).await;
    page.wrapped(
        &request,
        rows,
        |comment| comment.id.number,
        |rows| PostWithCommentsResponse {
            post: PostResponse::new(&post, &authors),
            comment_count,
            comments: rows
                .iter()
                .map(|comment| CommentResponse::new(comment, &authors))
                .collect(),
        },
    )
}

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "CarPostChange")]
#[schema(examples(json!({
    "title": "Quiet, quick and small",
    "content": "Two years with it now, and still no breakdown.",
    "car_model": "Zoe",
    "kind": "review",
    "rating": 5,
})))]
pub(super) struct ChangePostRequest {
    title: Title,
    content: Content,
    car_model: CarModel,
    /// Stays as it is when absent.
    kind: Option<Kind>,
    /// Stays as it is when absent; `null` takes it back.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Rating>)]
    #[expect(
        clippy::option_option,
        reason = "absence, null and a value are three things"
    )]
    rating: Option<Option<Rating>>,
}

/// Tells `null` from absence.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// S0-09
pub(super) async fn change(
    discussions: Arc<Discussions>,
    request: Request,
    body: ChangePostRequest,
) -> Answered<MessageResponse> {
    let (id, caller) = (post_id(&request)?, request.caller()?.user_id);
    let change = Change {
        title: body.title,
        content: body.content,
        car_model: body.car_model,
        kind: body.kind,
        rating: body.rating,
    };
    loop {
        let before = discussions.store.posts.get_to_change(id).await?;
        before.require_author(caller)?;
        let after = before.clone().changed(change.clone(), clock::now());
        if discussions.directory.update(before, after).await? {
            break;
        }
    }
    Ok(MessageResponse::new("Post updated successfully.").into())
}

/// S0-10
pub(super) async fn remove(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<MessageResponse> {
    let post = discussions.store.posts.get(post_id(&request)?).await?;
    post.require_author(request.caller()?.user_id)?;
    discussions.directory.remove(post.id).await?;
    Ok(MessageResponse::new("Post deleted successfully.").into())
}
