//! What `discussions` answers other services.

use std::sync::Arc;

use proto::discussions::{
    CountByUserRequest, CountByUserResponse,
    discussions_server::{self, DiscussionsServer},
};
use tonic::{Request, Response, Status, service::Routes};

use crate::Discussions;

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
}
