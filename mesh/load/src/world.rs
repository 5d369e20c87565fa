//! Who does it, with what, and what there is to be read.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, bail};
use rand::RngExt as _;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Things of a kind that are remembered: the newest ones.
const REMEMBERED: usize = 500;
/// What an answer may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
const PASSWORD: &str = "a load of passwords";

/// Why an operation is not good.
#[derive(Debug)]
pub(crate) enum Problem {
    /// Answered, and not right.
    Wrong(String),
    /// Not answered, or refused.
    Failed(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wrong(text) => write!(formatter, "wrong answer: {text}"),
            Self::Failed(text) => formatter.write_str(text),
        }
    }
}

/// An account.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) username: String,
    pub(crate) token: String,
}

/// Things that were written and can be read.
#[derive(Debug)]
pub(crate) struct Pool<T>(Mutex<Vec<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Pool<T> {
    pub(crate) fn add(&self, thing: T) {
        let mut things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if things.len() < REMEMBERED {
            things.push(thing);
        } else {
            let place = rand::rng().random_range(0..REMEMBERED);
            things[place] = thing;
        }
    }

    /// Any of them.
    pub(crate) fn any(&self) -> Result<T, Problem> {
        let things = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if things.is_empty() {
            return Err(Problem::Failed(
                "nothing was written that could be read".into(),
            ));
        }
        Ok(things[rand::rng().random_range(0..things.len())].clone())
    }
}

/// Something with an id, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Thing {
    pub(crate) id: Value,
    pub(crate) text: String,
    /// Whose it is.
    pub(crate) owner: String,
}

impl Thing {
    /// The id in a path.
    pub(crate) fn place(&self) -> String {
        self.id
            .as_str()
            .map_or_else(|| self.id.to_string(), str::to_owned)
    }
}

/// Everything that operations share.
pub(crate) struct World {
    client: Client,
    pub(crate) ingress: String,
    people: Vec<Person>,
    /// Tells this run's texts from others'.
    run: u64,
    pub(crate) cars: Pool<Thing>,
    pub(crate) posts: Pool<Thing>,
    pub(crate) polls: Pool<Thing>,
    pub(crate) movies: Pool<Thing>,
    pub(crate) products: Pool<Thing>,
    pub(crate) items: Pool<Thing>,
}

impl World {
    /// Registers people.
    pub(crate) async fn new(ingress: &str, people: u32) -> Result<Self> {
        let client = Client::builder().timeout(DEADLINE).build()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let mut world = Self {
            client,
            ingress: ingress.trim_end_matches('/').to_owned(),
            people: Vec::new(),
            run: u64::try_from(now.as_millis()).unwrap_or_default(),
            cars: Pool::default(),
            posts: Pool::default(),
            polls: Pool::default(),
            movies: Pool::default(),
            products: Pool::default(),
            items: Pool::default(),
        };
        for number in 0..people {
            let person = world.register(number).await;
            world
                .people
                .push(person.context("nobody can be registered")?);
        }
        Ok(world)
    }

    async fn register(&self, number: u32) -> Result<Person> {
        let username = format!("load{:x}n{number}", self.run);
        let email = format!("{username}@example.com");
        let body = json!({"username": username, "email": email, "password": PASSWORD});
        let call = |path: &'static str, body: Value, status| async move {
            let answered = self.call(Method::POST, path, None, &body, status).await;
            answered.map_err(|problem| anyhow::anyhow!("{problem}"))
        };
        call("/users/register", body, 201).await?;
        let body = json!({"username": username, "password": PASSWORD});
        let token = call("/login", body, 200).await?["access_token"].clone();
        let Value::String(token) = token else {
            bail!("no token came");
        };
        Ok(Person { username, token })
    }

    /// Anybody.
    pub(crate) fn person(&self) -> &Person {
        &self.people[rand::rng().random_range(0..self.people.len())]
    }

    /// Anybody but one.
    pub(crate) fn other(&self, than: &str) -> &Person {
        let start = rand::rng().random_range(0..self.people.len());
        let mut around = self.people.iter().cycle().skip(start);
        around
            .find(|person| person.username != than)
            .unwrap_or(&self.people[0])
    }

    /// A text that nobody else writes.
    pub(crate) fn text(&self, what: &str) -> String {
        format!("{what} {:x}-{:x}", self.run, rand::rng().random::<u32>())
    }

    /// Asks, and expects a status.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        person: Option<&Person>,
        body: &Value,
        status: u16,
    ) -> Result<Value, Problem> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.ingress));
        if let Some(person) = person {
            request = request.bearer_auth(&person.token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let broken = |error: reqwest::Error| Problem::Failed(kind(&error).to_owned());
        let answer = request.send().await.map_err(broken)?;
        let found = answer.status().as_u16();
        let bytes = answer.bytes().await.map_err(broken)?;
        if found != status {
            let text = format!("status {found} in place of {status}");
            return Err(Problem::Failed(text));
        }
        serde_json::from_slice(&bytes).map_err(|_| Problem::Wrong("it is not JSON".into()))
    }

    /// Reads without an account.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, Problem> {
        self.call(Method::GET, path, None, &Value::Null, 200).await
    }
}

/// A few words rather than an address and a number that are new each time.
fn kind(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    }
}

/// Compares what was answered with what it should be.
pub(crate) fn same(what: &str, found: &Value, wanted: &Value) -> Result<(), Problem> {
    if found == wanted {
        Ok(())
    } else {
        Err(Problem::Wrong(format!("{what} is another one")))
    }
}

/// Checks that a list has something in it.
pub(crate) fn filled(what: &str, list: &Value) -> Result<(), Problem> {
    match list.as_array() {
        Some(entries) if !entries.is_empty() => Ok(()),
        _ => Err(Problem::Wrong(format!("{what} is no list, or empty"))),
    }
}
