//! What `timelines` answers other services.

use std::sync::Arc;

use proto::timelines::{
    GetRequest, Post,
    timelines_server::{self, TimelinesServer},
};
use tonic::{Request, Response, Status, service::Routes};

use crate::Timelines;

pub(crate) fn routes(timelines: &Arc<Timelines>) -> Routes {
    Routes::new(TimelinesServer::new(TimelinesGrpc(Arc::clone(timelines))))
}

struct TimelinesGrpc(Arc<Timelines>);

#[tonic::async_trait]
impl timelines_server::Timelines for TimelinesGrpc {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<Post>, Status> {
        let post = self.0.store.find_post(request.into_inner().post_id).await?;
        let post = post.ok_or_else(|| Status::not_found("no such post"))?;
        Ok(Response::new(Post {
            post_id: post.id,
            user_id: post.user_id,
            username: post.username,
        }))
    }
}
