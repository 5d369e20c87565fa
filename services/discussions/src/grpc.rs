//! What `discussions` answers other services.

use std::sync::Arc;

use chassis::clock;
use proto::discussions::{
    AddCommentRequest, Comment, CommentsAfterRequest, CommentsAfterResponse, CountByUserRequest,
    CountByUserResponse, SubscribersRequest, SubscribersResponse,
    discussions_server::{self, DiscussionsServer},
};
use tonic::{Request, Response, Status, service::Routes};

use crate::{
    Discussions,
    model::{self, CarModel, CommentText, NewComment, PostId},
};

/// Subscribers that one call may ask for.
const MAX_SUBSCRIBERS: u32 = 200;
/// Places of a discussion that one call may look at.
const MAX_COMMENTS: u32 = 200;

pub(crate) fn routes(discussions: &Arc<Discussions>) -> Routes {
    Routes::new(DiscussionsServer::new(DiscussionsGrpc(Arc::clone(
        discussions,
    ))))
}

struct DiscussionsGrpc(Arc<Discussions>);

#[tonic::async_trait]
impl discussions_server::Discussions for DiscussionsGrpc {
    async fn count_by_user(
        &self,
        request: Request<CountByUserRequest>,
    ) -> Result<Response<CountByUserResponse>, Status> {
        let posts = self.0.directory.count(request.into_inner().user_id).await?;
        Ok(Response::new(CountByUserResponse {
            posts: posts.cast_signed(),
        }))
    }

    async fn subscribers(
        &self,
        request: Request<SubscribersRequest>,
    ) -> Result<Response<SubscribersResponse>, Status> {
        let asked = request.into_inner();
        if !(1..=MAX_SUBSCRIBERS).contains(&asked.limit) {
            let message = format!("limit must be 1 to {MAX_SUBSCRIBERS}");
            return Err(Status::invalid_argument(message));
        }
        let car_model: CarModel = asked.car_model.parse().map_err(Status::invalid_argument)?;
        let topic = car_model.topic();
        let subscriptions = &self.0.store.subscriptions;
        let user_ids = subscriptions
            .list_users(&topic, asked.after_user_id, asked.limit.into())
            .await?;
        Ok(Response::new(SubscribersResponse { user_ids }))
    }

    async fn add_comment(
        &self,
        request: Request<AddCommentRequest>,
    ) -> Result<Response<Comment>, Status> {
        let asked = request.into_inner();
        let text = CommentText::new(&asked.text).map_err(Status::invalid_argument)?;
        let new = NewComment {
            user_id: asked.user_id,
            text,
            operation: None,
        };
        let comment = self.0.comment(post_id(&asked.post_id)?, new).await?;
        Ok(Response::new(comment.into()))
    }

    async fn comments_after(
        &self,
        request: Request<CommentsAfterRequest>,
    ) -> Result<Response<CommentsAfterResponse>, Status> {
        let asked = request.into_inner();
        if !(1..=MAX_COMMENTS).contains(&asked.limit) {
            let message = format!("limit must be 1 to {MAX_COMMENTS}");
            return Err(Status::invalid_argument(message));
        }
        let post = self.0.store.posts.get(post_id(&asked.post_id)?).await?;
        let comments = &self.0.store.comments;
        let (comments, until, last) = comments
            .after(post.id, asked.after, asked.limit.into())
            .await?;
        Ok(Response::new(CommentsAfterResponse {
            comments: comments.into_iter().map(Comment::from).collect(),
            until,
            last,
        }))
    }
}

fn post_id(text: &str) -> Result<PostId, Status> {
    text.parse()
        .map_err(|_| Status::not_found("Post not found"))
}

impl From<model::Comment> for Comment {
    fn from(comment: model::Comment) -> Self {
        Self {
            comment_id: comment.id.to_string(),
            number: comment.id.number,
            user_id: comment.user_id,
            timestamp: clock::text(comment.created_at),
            text: comment.text,
        }
    }
}
