//! A `discussions` of the test, and clients that keep what they hear.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use live::Live;
use prost::Message as _;
use proto::discussions::{
    AddCommentRequest, COMMENTS_CHANNEL, Comment, CommentStored, CommentsAfterRequest,
    CommentsAfterResponse, CountByUserRequest, CountByUserResponse, SubscribersRequest,
    SubscribersResponse,
    discussions_server::{self, DiscussionsServer},
};
use serde_json::{Value, json};
use testkit::{
    TestService,
    redis::{Publisher, RedisServer},
    stores,
};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue},
};
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Comments by post: author and text, in order; an empty text is a deleted one.
#[derive(Debug, Default)]
struct Store {
    comments: Mutex<HashMap<String, Vec<(i64, String)>>>,
    /// How often it was asked what it has.
    reads: AtomicUsize,
    away: AtomicBool,
    hung: AtomicBool,
    redis: String,
}

/// A `discussions` that knows every post but `none`.
#[derive(Debug, Clone)]
pub struct Discussions(Arc<Store>);

impl Discussions {
    /// Starts it; the flag that says where it is.
    pub fn start(redis: String) -> (Self, String) {
        let store = Self(Arc::new(Store {
            redis,
            ..Store::default()
        }));
        let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = incoming.local_addr().unwrap();
        let serving = Server::builder().add_service(DiscussionsServer::new(store.clone()));
        tokio::spawn(serving.serve_with_incoming(incoming));
        let flag = format!("--upstream-urls=discussions=http://{address},users=http://127.0.0.1:1");
        (store, flag)
    }

    /// What somebody says by REST, and Redis loses.
    pub fn write(&self, post_id: &str, author: i64, text: &str) {
        self.store(post_id, author, text);
    }

    /// What somebody says by REST: told to all over Redis, if it is there.
    pub fn tell(&self, post_id: &str, author: i64, text: &str) -> Comment {
        let comment = self.store(post_id, author, text);
        self.say(post_id, &comment, false);
        comment
    }

    /// What the author of the comment at a place makes of it; an empty text deletes it.
    pub fn change(&self, post_id: &str, number: usize, text: &str) {
        let comment = {
            let mut comments = self.0.comments.lock().unwrap();
            let said = &mut comments.get_mut(post_id).unwrap()[number - 1];
            text.clone_into(&mut said.1);
            comment(post_id, number - 1, said)
        };
        self.say(post_id, &comment, true);
    }

    fn say(&self, post_id: &str, comment: &Comment, changed: bool) {
        let stored = CommentStored {
            post_id: post_id.to_owned(),
            comment: Some(comment.clone()),
            traceparent: String::new(),
            changed,
        };
        let told = Publisher::connect(&self.0.redis);
        let _ = told.and_then(|mut redis| redis.say(COMMENTS_CHANNEL, &stored.encode_to_vec()));
    }

    /// How often it was asked what it has.
    pub fn reads(&self) -> usize {
        self.0.reads.load(SeqCst)
    }

    fn store(&self, post_id: &str, author: i64, text: &str) -> Comment {
        let mut comments = self.0.comments.lock().unwrap();
        let comments = comments.entry(post_id.to_owned()).or_default();
        comments.push((author, text.to_owned()));
        let index = comments.len() - 1;
        comment(post_id, index, &comments[index])
    }

    pub fn texts(&self, post_id: &str) -> Vec<String> {
        let comments = self.0.comments.lock().unwrap();
        let comments = comments.get(post_id).into_iter().flatten();
        comments.map(|(_, text)| text.clone()).collect()
    }

    pub fn set_away(&self, away: bool) {
        self.0.away.store(away, SeqCst);
    }

    /// It takes what is written, and never says so.
    pub fn hang(&self) {
        self.0.hung.store(true, SeqCst);
    }

    fn here(&self, post_id: &str) -> Result<(), Status> {
        if self.0.away.load(SeqCst) {
            return Err(Status::unavailable("away"));
        }
        if post_id == "none" {
            return Err(Status::not_found("Post not found"));
        }
        Ok(())
    }
}

fn comment(post_id: &str, index: usize, (user_id, text): &(i64, String)) -> Comment {
    Comment {
        comment_id: format!("{post_id}.{}", index + 1),
        number: index as u64 + 1,
        user_id: *user_id,
        text: text.clone(),
        timestamp: "2026-01-01T00:00:00.000000Z".into(),
    }
}

#[tonic::async_trait]
impl discussions_server::Discussions for Discussions {
    async fn add_comment(
        &self,
        request: Request<AddCommentRequest>,
    ) -> Result<Response<Comment>, Status> {
        let asked = request.into_inner();
        self.here(&asked.post_id)?;
        if self.0.hung.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(self.tell(
            &asked.post_id,
            asked.user_id,
            &asked.text,
        )))
    }

    async fn comments_after(
        &self,
        request: Request<CommentsAfterRequest>,
    ) -> Result<Response<CommentsAfterResponse>, Status> {
        let asked = request.into_inner();
        self.here(&asked.post_id)?;
        self.0.reads.fetch_add(1, SeqCst);
        let comments = self.0.comments.lock().unwrap();
        let all = comments.get(&asked.post_id).cloned().unwrap_or_default();
        let last = all.len() as u64;
        let after = asked.after.unwrap_or(last).min(last);
        let until = last.min(after + u64::from(asked.limit));
        let found = all.iter().enumerate();
        let found = found.filter(|(index, (_, text))| {
            let number = *index as u64 + 1;
            number > after && number <= until && !text.is_empty()
        });
        let found = found.map(|(index, said)| comment(&asked.post_id, index, said));
        Ok(Response::new(CommentsAfterResponse {
            comments: found.collect(),
            until,
            last,
        }))
    }

    async fn subscribers(
        &self,
        _: Request<SubscribersRequest>,
    ) -> Result<Response<SubscribersResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }

    async fn count_by_user(
        &self,
        _: Request<CountByUserRequest>,
    ) -> Result<Response<CountByUserResponse>, Status> {
        Err(Status::unimplemented("nobody asks"))
    }
}

/// Two parts that every test needs.
pub struct World {
    pub redis: RedisServer,
    pub discussions: Discussions,
    flag: String,
}

impl World {
    pub fn start() -> Self {
        let redis = RedisServer::start();
        let (discussions, flag) = Discussions::start(redis.url());
        Self {
            redis,
            discussions,
            flag,
        }
    }

    /// An instance of `live` with these flags.
    pub async fn live(&self, flags: &[&str]) -> TestService<Live> {
        let (url, amqp) = (self.redis.url(), stores::amqp());
        let own = [self.flag.as_str(), "--redis-url", &url, "--amqp-url", &amqp];
        let flags: Vec<&str> = own.iter().chain(flags).copied().collect();
        TestService::start(&flags).await
    }
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A client, by a library that nobody here wrote.
pub struct Client {
    pub stream: Stream,
}

impl Client {
    pub async fn open(live: &TestService<Live>, path: &str, token: Option<&str>) -> Self {
        Self::try_open(live, path, token).await.unwrap()
    }

    pub async fn try_open(
        live: &TestService<Live>,
        path: &str,
        token: Option<&str>,
    ) -> Result<Self, Error> {
        Self::try_open_from(live, path, token, None).await
    }

    /// From an address, as the ingress tells it.
    pub async fn try_open_from(
        live: &TestService<Live>,
        path: &str,
        token: Option<&str>,
        address: Option<&str>,
    ) -> Result<Self, Error> {
        let url = format!("ws://{}{path}", live.address);
        let mut request = url.into_client_request().unwrap();
        let bearer = token.map(|token| format!("Bearer {token}"));
        let address = address.map(str::to_owned);
        for (name, value) in [("authorization", bearer), ("x-forwarded-for", address)] {
            if let Some(value) = value {
                let value = HeaderValue::try_from(value).unwrap();
                request.headers_mut().insert(name, value);
            }
        }
        let (stream, _) = connect_async(request).await?;
        Ok(Self { stream })
    }

    pub async fn say(&mut self, text: impl Into<String>) {
        let text = text.into();
        self.stream.send(Message::Text(text.into())).await.unwrap();
    }

    pub async fn comment(&mut self, text: &str) {
        self.say(json!({"comment_text": text}).to_string()).await;
    }

    pub async fn event(&mut self, event: &str, data: Value) {
        self.say(json!({"event": event, "data": data}).to_string())
            .await;
    }

    /// The next frame with something in it.
    pub async fn heard(&mut self) -> Value {
        match self.next().await {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?} instead of a text"),
        }
    }

    pub async fn error(&mut self) -> String {
        let frame = self.heard().await;
        assert_eq!(frame["event"], "error", "{frame}");
        frame["data"]["message"].as_str().unwrap().to_owned()
    }

    /// The texts of the next comments.
    pub async fn texts(&mut self, number: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < number {
            let frame = self.heard().await;
            let text = frame["comment_text"].as_str();
            texts.push(text.unwrap_or_else(|| panic!("{frame}")).to_owned());
        }
        texts
    }

    /// The code with which the server ends it.
    pub async fn closed(&mut self) -> u16 {
        self.farewell().await.0
    }

    /// The code and the reason with which the server ends it.
    pub async fn farewell(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Message::Close(Some(frame))) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Some(Message::Text(_)) => {}
                other => panic!("{other:?} instead of a farewell"),
            }
        }
    }

    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let next = tokio::time::timeout(Duration::from_mins(1), self.stream.next());
            match next.await.expect("nothing came in time")? {
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(message) => return Some(message),
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// The status and the problem document of a refused handshake.
pub fn refused(result: Result<Client, Error>) -> u16 {
    match result.map(|_| ()) {
        Err(Error::Http(response)) => {
            let body = response.body().clone().unwrap_or_default();
            let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
            let status = response.status().as_u16();
            assert_eq!(problem["status"], status, "{problem}");
            status
        }
        other => panic!("{other:?} instead of a refusal"),
    }
}
