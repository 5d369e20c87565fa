//! Comments (D8); they also come and go by the socket, which `live` has.

use std::sync::Arc;

use chassis::{AccountId, Answer, Error, Page, Request, clock};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answered, AuthorResponse, MessageResponse, post_id, require_own_id};
use crate::{
    Discussions,
    clients::AuthorsById,
    model::{Comment, CommentId, CommentText, NewComment},
};

/// What a client may say; the server sets `comment_id`, `user_id` and `timestamp`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "CommentText")]
#[schema(examples(json!({ "comment_text": "How far does it get in winter?" })))]
pub(super) struct CommentRequest {
    /// Whose comment it is: the caller's own id, or nothing.
    user_id: Option<AccountId>,
    comment_text: CommentText,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Comment")]
pub(super) struct CommentResponse {
    comment_id: String,
    user_id: i64,
    comment_text: String,
    #[schema(format = DateTime)]
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<AuthorResponse>,
}

impl CommentResponse {
    pub(super) fn new(comment: &Comment, authors: &AuthorsById) -> Self {
        Self {
            comment_id: comment.id.to_string(),
            user_id: comment.user_id,
            comment_text: comment.text.clone(),
            timestamp: clock::text(comment.created_at),
            updated_at: comment.updated_at.map(clock::text),
            author: authors.get(&comment.user_id).map(AuthorResponse::from),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "CreatedComment")]
pub(super) struct CreatedResponse {
    #[serde(flatten)]
    comment: CommentResponse,
    message: &'static str,
}

/// D8
pub(super) async fn create(
    discussions: Arc<Discussions>,
    request: Request,
    body: CommentRequest,
) -> Answered<CreatedResponse> {
    let author = request.caller()?.user_id;
    require_own_id(body.user_id, author)?;
    let new = NewComment {
        user_id: author,
        text: body.comment_text,
        operation: request.repeatable().map(|operation| operation.to_string()),
    };
    let comment = discussions.comment(post_id(&request)?, new).await?;
    let authors = discussions.authors.of([author]).await;
    let location = format!("/api/posts/{}/comments/{}", comment.id.post, comment.id);
    let location = HeaderValue::try_from(location).map_err(Error::internal)?;
    let created = CreatedResponse {
        comment: CommentResponse::new(&comment, &authors),
        message: "Comment created successfully.",
    };
    Ok(Answer::from(created).header(header::LOCATION, location))
}

/// D8
pub(super) async fn list(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<Vec<CommentResponse>> {
    // The key is the comment's place in the discussion.
    let page: Page<u64> = request.page()?;
    let post = discussions.store.posts.get(post_id(&request)?).await?;
    let comments = discussions
        .store
        .comments
        .list(post.id, page.after, page.fetch())
        .await?;
    let authors = discussions
        .authors
        .of(comments.iter().map(|comment| comment.user_id))
        .await;
    page.answer(
        &request,
        comments,
        |comment| comment.id.number,
        |comment| CommentResponse::new(&comment, &authors),
    )
}

/// D8
pub(super) async fn change(
    discussions: Arc<Discussions>,
    request: Request,
    body: CommentRequest,
) -> Answered<MessageResponse> {
    let caller = request.caller()?.user_id;
    require_own_id(body.user_id, caller)?;
    let comment = discussions.own_comment(&request, caller).await?;
    let comments = &discussions.store.comments;
    let changed = comments.change(comment, &body.comment_text).await?;
    discussions.herald.tell_changed(&changed).await;
    Ok(MessageResponse::new("Comment updated successfully.").into())
}

/// D8
pub(super) async fn remove(
    discussions: Arc<Discussions>,
    request: Request,
) -> Answered<MessageResponse> {
    let caller = request.caller()?.user_id;
    let comment = discussions.own_comment(&request, caller).await?;
    discussions.store.comments.remove(comment.id).await?;
    discussions.herald.tell_changed(&comment.emptied()).await;
    Ok(MessageResponse::new("Comment deleted successfully.").into())
}

impl Discussions {
    /// The comment that the path names: 404 when it is not there, 403 when it is not the caller's.
    async fn own_comment(&self, request: &Request, caller: i64) -> Result<Comment, Error> {
        let not_found = || Error::not_found("Comment not found");
        let id: CommentId = request.param("comment_id").map_err(|_| not_found())?;
        if id.post != post_id(request)? {
            return Err(not_found());
        }
        let comment = self.store.comments.get(id).await?;
        comment.require_author(caller)?;
        Ok(comment)
    }
}
