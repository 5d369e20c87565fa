//! A `timelines` and a `users` for the service to ask, over real gRPC.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use proto::timelines::{
    self, Post,
    timelines_server::{Timelines, TimelinesServer},
};
use testkit::FakeUsers;
use tokio::sync::Semaphore;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// How the `timelines` of a test behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Answers,
    Fails,
    /// Finds nothing, and says so only when it is released.
    FindsNothingSlowly,
}

/// What both peers know.
#[derive(Debug)]
struct World {
    mood: Mutex<Mood>,
    /// Authors by post.
    posts: Mutex<HashMap<i64, i64>>,
    people: FakeUsers,
    asked: AtomicUsize,
    released: Semaphore,
}

/// The peers of one service under test.
#[derive(Debug, Clone)]
pub struct Peers(Arc<World>);

impl Peers {
    /// Starts them; the flag that says where they are.
    pub fn start() -> (Self, String) {
        let peers = Self(Arc::new(World {
            mood: Mutex::new(Mood::Answers),
            posts: Mutex::default(),
            people: FakeUsers::default(),
            asked: AtomicUsize::new(0),
            released: Semaphore::new(0),
        }));
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = incoming.local_addr().unwrap();
        let serving = Server::builder()
            .add_service(TimelinesServer::new(peers.clone()))
            .add_service(peers.0.people.server());
        tokio::spawn(serving.serve_with_incoming(incoming));
        let urls = format!("timelines=http://{address},users=http://{address}");
        (peers, urls)
    }

    pub fn set(&self, mood: Mood) {
        *self.0.mood.lock().unwrap() = mood;
    }

    /// There is such a post now.
    pub fn write(&self, post_id: i64, author_id: i64) {
        self.0.posts.lock().unwrap().insert(post_id, author_id);
    }

    /// There is such a person now.
    pub fn register(&self, id: i64, username: &str) {
        self.0.people.know(id, username);
    }

    /// How often `timelines` was asked.
    pub fn asked(&self) -> usize {
        self.0.asked.load(SeqCst)
    }

    /// Lets answers that are held back go.
    pub fn release(&self) {
        self.0.released.add_permits(1_000);
    }
}

#[tonic::async_trait]
impl Timelines for Peers {
    async fn get(&self, request: Request<timelines::GetRequest>) -> Result<Response<Post>, Status> {
        self.0.asked.fetch_add(1, SeqCst);
        let post_id = request.into_inner().post_id;
        let mood = *self.0.mood.lock().unwrap();
        match mood {
            Mood::Answers => {}
            Mood::Fails => return Err(Status::unavailable("not today")),
            Mood::FindsNothingSlowly => {
                self.0.released.acquire().await.unwrap().forget();
                return Err(Status::not_found("no such post"));
            }
        }
        let author = self.0.posts.lock().unwrap().get(&post_id).copied();
        let user_id = author.ok_or_else(|| Status::not_found("no such post"))?;
        Ok(Response::new(Post {
            post_id,
            user_id,
            username: format!("user{user_id}"),
        }))
    }
}
