//! A `users` in process, for services that ask it.

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::users::{
    ContactResponse, FindRequest, GetManyRequest, GetManyResponse, GetRequest, User,
    users_server::{self, UsersServer},
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Ids that the real one answers at once.
const MAX_IDS: usize = 200;

/// How it behaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Answers,
    /// Never.
    Hangs,
    /// With `UNAVAILABLE`.
    Fails,
}

/// A `users` that knows those whom it was told of.
#[derive(Debug, Clone, Default)]
pub struct FakeUsers(Arc<Mutex<Fake>>);

#[derive(Debug, Default)]
struct Fake {
    mood: Mood,
    accounts: BTreeMap<i64, Account>,
    calls: HashMap<&'static str, usize>,
}

#[derive(Debug)]
struct Account {
    username: String,
    email: String,
}

impl FakeUsers {
    /// Starts one; its URL.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start() -> (Self, String) {
        let users = Self::default();
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let incoming = TcpIncoming::bind(any).expect("a port is free");
        let address = incoming.local_addr().expect("it is bound");
        let serving = Server::builder().add_service(users.server());
        tokio::spawn(serving.serve_with_incoming(incoming));
        (users, format!("http://{address}"))
    }

    /// For a server that answers for others too.
    pub fn server(&self) -> UsersServer<Self> {
        UsersServer::new(self.clone())
    }

    /// Behaves so from now on.
    pub fn set(&self, mood: Mood) {
        self.fake().mood = mood;
    }

    /// There is such a person now, whose address follows from the name.
    pub fn know(&self, id: i64, username: &str) {
        self.know_at(id, username, &format!("{username}@example.com"));
    }

    /// There is such a person now, at this address.
    pub fn know_at(&self, id: i64, username: &str, email: &str) {
        let account = Account {
            username: username.to_owned(),
            email: email.to_owned(),
        };
        self.fake().accounts.insert(id, account);
    }

    /// How often a method was called: `Get`, `GetMany`, `Find`, `Contact`.
    pub fn calls(&self, method: &str) -> usize {
        self.fake().calls.get(method).copied().unwrap_or_default()
    }

    async fn called(&self, method: &'static str) -> Result<(), Status> {
        let mood = {
            let mut fake = self.fake();
            *fake.calls.entry(method).or_default() += 1;
            fake.mood
        };
        match mood {
            Mood::Answers => Ok(()),
            Mood::Hangs => std::future::pending().await,
            Mood::Fails => Err(Status::unavailable("not today")),
        }
    }

    fn fake(&self) -> MutexGuard<'_, Fake> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn shown((id, account): (&i64, &Account)) -> User {
    User {
        id: *id,
        username: account.username.clone(),
        name: account.username.to_uppercase(),
        avatar_url: String::new(),
    }
}

fn nobody() -> Status {
    Status::not_found("no such user")
}

#[tonic::async_trait]
impl users_server::Users for FakeUsers {
    async fn get(&self, request: Request<GetRequest>) -> Result<Response<User>, Status> {
        self.called("Get").await?;
        let fake = self.fake();
        let found = fake.accounts.get_key_value(&request.into_inner().id);
        found.map(shown).map(Response::new).ok_or_else(nobody)
    }

    async fn get_many(
        &self,
        request: Request<GetManyRequest>,
    ) -> Result<Response<GetManyResponse>, Status> {
        self.called("GetMany").await?;
        let ids = request.into_inner().ids;
        if ids.len() > MAX_IDS {
            return Err(Status::invalid_argument("too many ids at once"));
        }
        let fake = self.fake();
        let found = ids.iter().filter_map(|id| fake.accounts.get_key_value(id));
        let users = found.map(shown).collect();
        Ok(Response::new(GetManyResponse { users }))
    }

    async fn find(&self, request: Request<FindRequest>) -> Result<Response<User>, Status> {
        self.called("Find").await?;
        let name = request.into_inner().username;
        let fake = self.fake();
        let mut accounts = fake.accounts.iter();
        let found = accounts.find(|(_, account)| account.username.eq_ignore_ascii_case(&name));
        found.map(shown).map(Response::new).ok_or_else(nobody)
    }

    async fn contact(
        &self,
        request: Request<GetRequest>,
    ) -> Result<Response<ContactResponse>, Status> {
        self.called("Contact").await?;
        let fake = self.fake();
        let account = fake.accounts.get(&request.into_inner().id);
        let Account { username, email } = account.ok_or_else(nobody)?;
        Ok(Response::new(ContactResponse {
            username: username.clone(),
            email: email.clone(),
        }))
    }
}
