//! A `users` and a `discussions` in process, for the service to ask.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use proto::discussions::{
    AddCommentRequest, Comment, CommentsAfterRequest, CommentsAfterResponse, CountByUserRequest,
    CountByUserResponse, SubscribersRequest, SubscribersResponse,
    discussions_server::{self, DiscussionsServer},
};
use testkit::{FakeUsers, Mood, unique};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Everybody there is, and what they subscribed to.
#[derive(Debug, Clone)]
pub struct People(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    away: AtomicBool,
    users: FakeUsers,
    subscribers: Mutex<Vec<i64>>,
}

impl People {
    /// Starts both; where they answer.
    pub fn start() -> (Self, String) {
        let people = Self(Arc::new(Inner {
            away: AtomicBool::new(false),
            users: FakeUsers::default(),
            subscribers: Mutex::default(),
        }));
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let url = format!("http://{}", incoming.local_addr().unwrap());
        let serving = Server::builder()
            .add_service(people.0.users.server())
            .add_service(DiscussionsServer::new(people.clone()));
        tokio::spawn(serving.serve_with_incoming(incoming));
        (people, url)
    }

    /// Makes an account; its address.
    pub fn add(&self, id: i64) -> String {
        let email = format!("{}@example.com", unique("p"));
        self.add_with(id, &email);
        email
    }

    pub fn add_with(&self, id: i64, email: &str) {
        self.0.users.know_at(id, &format!("user{id}"), email);
    }

    pub fn subscribe(&self, id: i64) {
        let mut subscribers = self.0.subscribers.lock().unwrap();
        subscribers.push(id);
        subscribers.sort_unstable();
    }

    pub fn go_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
        let mood = if away { Mood::Fails } else { Mood::Answers };
        self.0.users.set(mood);
    }

    fn here(&self) -> Result<(), Status> {
        if self.0.away.load(Ordering::SeqCst) {
            Err(Status::unavailable("not today"))
        } else {
            Ok(())
        }
    }
}

#[tonic::async_trait]
impl discussions_server::Discussions for People {
    async fn subscribers(
        &self,
        request: Request<SubscribersRequest>,
    ) -> Result<Response<SubscribersResponse>, Status> {
        self.here()?;
        let asked = request.into_inner();
        let subscribers = self.0.subscribers.lock().unwrap();
        let after = subscribers.iter().filter(|id| **id > asked.after_user_id);
        let user_ids = after.take(asked.limit as usize).copied().collect();
        Ok(Response::new(SubscribersResponse { user_ids }))
    }

    async fn count_by_user(
        &self,
        _: Request<CountByUserRequest>,
    ) -> Result<Response<CountByUserResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn add_comment(
        &self,
        _: Request<AddCommentRequest>,
    ) -> Result<Response<Comment>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn comments_after(
        &self,
        _: Request<CommentsAfterRequest>,
    ) -> Result<Response<CommentsAfterResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}
