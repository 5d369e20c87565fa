//! Claims (issue 5): thousands of sockets, and nobody misses a word when an instance or Redis dies.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Frozen, Mesh, Signal, eventually, eventually_within, mesh::Person};
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{Instant, Interval, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        Message, client::IntoClientRequest as _, http::HeaderValue, protocol::WebSocketConfig,
    },
};

use crate::{ONE_AT_A_TIME, POST_OFFICE, back, signal};

const SOCKETS: usize = 2_000;
const ROOMS: usize = 50;
/// Each room's writer says something so often at most: 200 messages a second together.
const PACE: Duration = Duration::from_millis(250);
/// What each writer says before and after an instance is killed.
const BEFORE: usize = 24;
const AFTER: usize = 40;
/// Handshakes on their way at once.
const AT_ONCE: usize = 64;
/// What an answer may take before a client tries again.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long Redis is gone, and how often something is said meanwhile, by socket and by REST.
const GONE: Duration = Duration::from_secs(30);
const ROUNDS: u32 = 15;
/// How long everything may take: seconds when the machine has nothing else to do.
const DEADLINE: Duration = Duration::from_mins(3);

/// A comment as a listener got it: its id and text.
type Heard = (String, String);

/// Somebody who wants to have every comment on a post, whatever happens.
struct Listener {
    post: String,
    token: Option<String>,
    heard: Mutex<Vec<Heard>>,
    /// How often it had to connect.
    connections: AtomicUsize,
    /// Comments that this writer said, and how often it was told that one was not taken.
    said: AtomicUsize,
    refused: AtomicUsize,
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

impl Listener {
    fn new(post: &str, token: Option<String>) -> Arc<Self> {
        Arc::new(Self {
            post: post.to_owned(),
            token,
            heard: Mutex::default(),
            connections: AtomicUsize::new(0),
            said: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        })
    }

    fn heard(&self) -> Vec<Heard> {
        let heard = self.heard.lock();
        heard.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connects, asking for what it has not.
    async fn connect(&self, turns: &Semaphore) -> Option<Socket> {
        let _turn = turns.acquire().await.ok()?;
        let last = self.heard().pop();
        let after = last.map_or_else(|| "0".to_owned(), |(id, _)| id);
        let ingress = Mesh::current().address("ingress").replacen("http", "ws", 1);
        let url = format!("{ingress}/ws/posts/{}/comments?after={after}", self.post);
        let mut request = url.into_client_request().ok()?;
        if let Some(token) = &self.token {
            let bearer = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
            request.headers_mut().insert("authorization", bearer);
        }
        let config = WebSocketConfig::default().read_buffer_size(4 * 1024);
        let connecting = connect_async_with_config(request, Some(config), true);
        let (socket, _) = timeout(PATIENCE, connecting).await.ok()?.ok()?;
        self.connections.fetch_add(1, SeqCst);
        Some(socket)
    }

    /// Takes in a message; `false` when it was the last.
    fn take(&self, message: Message) -> bool {
        let Message::Text(text) = message else {
            return !matches!(message, Message::Close(_));
        };
        let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
        let word = |name: &str| frame[name].as_str().map(str::to_owned);
        match (word("comment_id"), word("comment_text")) {
            (Some(id), Some(text)) => {
                let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
                heard.push((id, text));
            }
            _ => {
                self.refused.fetch_add(1, SeqCst);
            }
        }
        true
    }

    /// Listens until it is stopped, and comes back whenever it is cut off.
    async fn listen(self: Arc<Self>, turns: Arc<Semaphore>) {
        let mut pause = pause();
        loop {
            pause.tick().await;
            let Some(mut socket) = self.connect(&turns).await else {
                continue;
            };
            while let Some(Ok(message)) = socket.next().await {
                if !self.take(message) {
                    break;
                }
            }
        }
    }

    /// How many of its comments were not refused, as far as it knows.
    fn taken(&self) -> usize {
        self.said.load(SeqCst) - self.refused.load(SeqCst)
    }

    /// How many of its comments are on their way, as far as it knows, or got lost with a socket.
    fn open(&self) -> usize {
        let own = |(_, text): &&Heard| text.parse::<usize>().is_ok();
        let heard = self.heard().iter().filter(own).count();
        self.taken().saturating_sub(heard)
    }

    /// Says things at the pace until `number` more are taken, listening meanwhile: a machine that is busy with something else
    /// refuses some. Nobody says the next thing before the last is answered, or such a machine would refuse all; who had to wait
    /// makes up for it.
    async fn write(self: Arc<Self>, number: usize, turns: Arc<Semaphore>) {
        let (mut pace, mut pause) = (interval(PACE), pause());
        let until = self.taken() + number;
        while self.taken() < until {
            pause.tick().await;
            let Some(mut socket) = self.connect(&turns).await else {
                continue;
            };
            let lost = self.open();
            while self.taken() < until && self.say(&mut socket, &mut pace, lost).await {
                // What is on its way may come, or be refused.
                if self.taken() == until {
                    let _ = timeout(PATIENCE, self.hear_the_last(&mut socket, until)).await;
                }
            }
        }
    }

    /// Hears something, or says something when it is time; `false` when the socket has ended.
    async fn say(&self, socket: &mut Socket, pace: &mut Interval, lost: usize) -> bool {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(message)) => self.take(message),
                _ => false,
            },
            _ = pace.tick(), if self.open() <= lost => {
                let number = self.said.fetch_add(1, SeqCst);
                let text = json!({"comment_text": number.to_string()}).to_string();
                socket.send(Message::Text(text.into())).await.is_ok()
            }
        }
    }

    /// Listens until the last of its comments comes, or one is refused.
    async fn hear_the_last(&self, socket: &mut Socket, until: usize) {
        let last = (self.said.load(SeqCst) - 1).to_string();
        while self.taken() == until
            && self.heard().last().is_none_or(|(_, text)| *text != last)
            && let Some(Ok(message)) = socket.next().await
            && self.take(message)
        {}
    }
}

/// What a good client waits at least before it connects again.
fn pause() -> Interval {
    let mut pause = interval(Duration::from_millis(200));
    pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pause
}

/// The comments on a post as they are stored, oldest first.
async fn stored(post: &str) -> Result<Vec<Heard>, String> {
    let path = format!("/api/posts/{post}/comments?limit=200");
    let reply = Mesh::current().get(&path).await;
    if reply.status != 200 {
        return Err(format!("{} {}", reply.status, reply.text));
    }
    let comments = reply.json.as_array().cloned().unwrap_or_default();
    let word = |comment: &Value, name: &str| comment[name].as_str().unwrap_or_default().to_owned();
    let comments = comments.iter().rev();
    Ok(comments
        .map(|comment| (word(comment, "comment_id"), word(comment, "comment_text")))
        .collect())
}

async fn posts(author: &Person, number: usize) -> Vec<String> {
    let body = json!({"title": "Many", "content": "Listen", "car_model": "Zoe"});
    let mut posts = Vec::new();
    for _ in 0..number {
        let reply = Mesh::current()
            .call(Method::POST, "/api/posts", &author.token, &body)
            .await;
        let id = reply.expect(201)["post_id"].as_str().map(str::to_owned);
        posts.push(id.expect("a post has an id"));
    }
    posts
}

/// Waits until each listener has exactly what is stored, in that order.
async fn wait_until_whole(listeners: &[Arc<Listener>], posts: &[String]) {
    eventually_within(DEADLINE, "every list is whole", || async {
        let mut broken = 0;
        for post in posts {
            let stored = stored(post).await?;
            let listeners = listeners.iter().filter(|listener| listener.post == *post);
            broken += listeners
                .filter(|listener| listener.heard() != stored)
                .count();
        }
        if broken == 0 {
            Ok(())
        } else {
            Err(format!("{broken} lists differ from the store"))
        }
    })
    .await;
}

async fn wait_until_connected(listeners: &[Arc<Listener>]) {
    eventually_within(DEADLINE, "everybody is connected", || async {
        let connected = listeners
            .iter()
            .filter(|listener| listener.connections.load(SeqCst) > 0);
        let connected = connected.count();
        if connected == listeners.len() {
            Ok(())
        } else {
            Err(format!("{connected} are"))
        }
    })
    .await;
}

async fn write_all(writers: &[Arc<Listener>], number: usize, turns: &Arc<Semaphore>) {
    let begun = Instant::now();
    let mut writing = JoinSet::new();
    for writer in writers {
        writing.spawn(Arc::clone(writer).write(number, Arc::clone(turns)));
    }
    while let Some(written) = writing.join_next().await {
        written.expect("a writer ends in order");
    }
    let messages = u32::try_from(writers.len() * number).expect("few");
    let rate = f64::from(messages) / begun.elapsed().as_secs_f64();
    eprintln!("{messages} messages, {rate:.0} a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_11_two_thousand_lists_are_the_same_after_an_instance_was_killed() {
    // Buying goes on beside `absence`, and needs the store that is busy here.
    let _mails = POST_OFFICE.lock().await;
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let mut authors = Vec::new();
    for _ in 0..5 {
        authors.push(mesh.person().await);
    }
    let posts = posts(&authors[0], ROOMS).await;
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    let listeners: Vec<_> = (0..SOCKETS)
        .map(|number| Listener::new(&posts[number % ROOMS], None))
        .collect();
    let mut listening = JoinSet::new();
    for listener in &listeners {
        listening.spawn(Arc::clone(listener).listen(Arc::clone(&turns)));
    }
    wait_until_connected(&listeners).await;
    let writers: Vec<_> = (0..ROOMS)
        .map(|room| {
            let author = &authors[room % authors.len()];
            Listener::new(&posts[room], Some(author.token.clone()))
        })
        .collect();
    write_all(&writers, BEFORE, &turns).await;

    let heard = || {
        listeners
            .iter()
            .map(|listener| listener.heard().len())
            .sum::<usize>()
    };
    let before = heard();
    let killed = {
        let (writers, turns) = (writers.clone(), Arc::clone(&turns));
        let writing = tokio::spawn(async move {
            write_all(&writers, AFTER, &turns).await;
        });
        // In the middle of it.
        eventually_within(DEADLINE, "writers have begun", || async {
            match heard() - before {
                few if few < SOCKETS * 4 => Err(few.to_string()),
                _ => Ok(()),
            }
        })
        .await;
        let killed = signal("live-1", Signal::KILL);
        writing.await.expect("writers end in order");
        killed
    };
    wait_until_whole(&listeners, &posts).await;
    let again: usize = listeners
        .iter()
        .map(|listener| listener.connections.load(SeqCst) - 1)
        .sum();
    assert!(again >= SOCKETS / 10, "{again} were cut off");
    for writer in &writers {
        check(writer).await;
    }
    back("live-1", killed, "/ws/presence/posts:none").await;
}

/// What a writer heard of its own is stored, once; what is not was refused, or on its way when
/// its socket broke.
async fn check(writer: &Listener) {
    let stored = eventually("the store", || stored(&writer.post)).await;
    let texts: BTreeSet<_> = stored.iter().map(|(_, text)| text).collect();
    assert_eq!(texts.len(), stored.len(), "nothing twice");
    let heard = writer.heard();
    assert!(heard.iter().all(|comment| stored.contains(comment)));
    let missing = writer.said.load(SeqCst) - stored.len();
    let refused = writer.refused.load(SeqCst);
    // Each phase begins with a connection.
    let broken = writer.connections.load(SeqCst) > 2;
    assert!(
        missing <= refused || broken,
        "{missing} are lost, {refused} were refused"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_16_redis_is_gone_for_half_a_minute_and_every_comment_is_heard() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mesh = Mesh::current();
    let author = mesh.person().await;
    let posts = posts(&author, 1).await;
    let turns = Arc::new(Semaphore::new(AT_ONCE));
    // The ingress spreads them over both instances.
    let listeners: Vec<_> = (0..20).map(|_| Listener::new(&posts[0], None)).collect();
    let mut listening = JoinSet::new();
    for listener in &listeners {
        listening.spawn(Arc::clone(listener).listen(Arc::clone(&turns)));
    }
    wait_until_connected(&listeners).await;
    let comments = format!("/api/posts/{}/comments", posts[0]);
    let writer = Listener::new(&posts[0], Some(author.token.clone()));
    let redis = mesh.program("redis-server").expect("Redis runs");
    // Frozen rather than killed: nobody is told, and it stays away as long as it has to.
    let frozen = Frozen::new(redis);
    let gone = Instant::now();
    let written = async {
        let mut pace = interval(GONE / ROUNDS);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for round in 0..=ROUNDS {
            pace.tick().await;
            Arc::clone(&writer).write(1, Arc::clone(&turns)).await;
            let body = json!({"comment_text": format!("by REST {round}")});
            let reply = mesh
                .call(Method::POST, &comments, &author.token, &body)
                .await;
            reply.expect(201);
        }
        wait_until_whole(&listeners, &posts).await;
    };
    let written = timeout(DEADLINE, written).await;
    let gone = gone.elapsed();
    drop(frozen);
    written.expect("all is heard without Redis");
    assert!(gone >= GONE, "Redis was gone for {gone:?} only");
    write_all(&[Arc::clone(&writer)], 4, &turns).await;
    wait_until_whole(&listeners, &posts).await;
    let by_rest = ROUNDS as usize + 1;
    // A comment that came late to a busy store was refused, and may be there.
    let by_socket = writer.taken()..=writer.said.load(SeqCst);
    let stored = stored(&posts[0]).await.unwrap().len();
    assert!(
        by_socket.contains(&(stored - by_rest)),
        "{stored}, {by_rest} of them by REST, {by_socket:?} by socket"
    );
    for listener in &listeners {
        assert_eq!(listener.connections.load(SeqCst), 1, "sockets stay");
    }
}
