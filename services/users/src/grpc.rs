//! What `users` answers other services.

use std::{pin::Pin, sync::Arc, time::Duration};

use proto::users::{
    ContactResponse, FindRequest, GetManyRequest, GetManyResponse, GetRequest, TokenUpdate, User,
    WatchRequest,
    tokens_server::{Tokens, TokensServer},
    users_server,
};
use tokio::sync::broadcast::error::RecvError;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, service::Routes};

use crate::{Sessions, Users, model};

/// Ids that one `GetMany` may ask for.
const MAX_IDS: usize = 200;
/// Says that all is well while nothing changes, so that silence means trouble.
const HEARTBEAT: Duration = Duration::from_secs(5);

pub(crate) fn routes(users: &Arc<Users>) -> Routes {
    Routes::new(users_server::UsersServer::new(UsersGrpc(Arc::clone(users))))
        .add_service(TokensServer::new(TokensGrpc(Arc::clone(&users.sessions))))
}

struct UsersGrpc(Arc<Users>);

#[tonic::async_trait]
impl users_server::Users for UsersGrpc {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<User>, Status> {
        let user = self.0.store.find_by_id(request.into_inner().id).await?;
        Ok(Response::new(shown(known(user)?)))
    }

    async fn find(&self, request: Request<FindRequest>) -> Result<Response<User>, Status> {
        let username = request.into_inner().username;
        let user = self.0.store.find_by_username(&username).await?;
        Ok(Response::new(shown(known(user)?)))
    }

    async fn contact(
        &self,
        request: Request<GetRequest>,
    ) -> Result<Response<ContactResponse>, Status> {
        let user = known(self.0.store.find_by_id(request.into_inner().id).await?)?;
        Ok(Response::new(ContactResponse {
            username: user.username,
            email: user.email,
        }))
    }

    async fn get_many(
        &self,
        request: Request<GetManyRequest>,
    ) -> Result<Response<GetManyResponse>, Status> {
        let ids = request.into_inner().ids;
        if ids.len() > MAX_IDS {
            return Err(Status::invalid_argument(format!(
                "at most {MAX_IDS} ids at once"
            )));
        }
        let users = self.0.store.list_by_ids(&ids).await?;
        Ok(Response::new(GetManyResponse {
            users: users.into_iter().map(shown).collect(),
        }))
    }
}

fn known(user: Option<model::User>) -> Result<model::User, Status> {
    user.ok_or_else(|| Status::not_found("no such user"))
}

fn shown(user: model::User) -> User {
    User {
        id: user.id,
        username: user.username,
        name: user.name,
        avatar_url: user.avatar_url,
    }
}

struct TokensGrpc(Arc<Sessions>);

#[tonic::async_trait]
impl Tokens for TokensGrpc {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<TokenUpdate, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let (snapshot, mut changes) = self.0.watch();
        let (sender, receiver) = tokio::sync::mpsc::channel(16);
        tokio::spawn(async move {
            let mut update = Ok(snapshot);
            // Ends when the caller is gone, or has to start again because it fell behind.
            while sender.send(update).await.is_ok() {
                update = match tokio::time::timeout(HEARTBEAT, changes.recv()).await {
                    Ok(Ok(change)) => Ok(change),
                    Err(_) => Ok(TokenUpdate::default()),
                    Ok(Err(RecvError::Lagged(_))) => {
                        Err(Status::data_loss("too slow: start again"))
                    }
                    Ok(Err(RecvError::Closed)) => return,
                };
            }
        });
        Ok(Response::new(Box::pin(
            tokio_stream::wrappers::ReceiverStream::new(receiver),
        )))
    }
}
