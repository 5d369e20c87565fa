//! [`Registry`] over REST (S2-10 to S2-13): how a process announces itself that runs without Consul.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use reqwest::{Method, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::Mutex;

use crate::{Error, Instance, Place, Registration, Registry};

/// The registry may be on another machine.
const DEADLINE: Duration = Duration::from_secs(5);
/// How often a heartbeat is due: a third of what the registry grants.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// After a refusal the registry is left alone for so long: asking again changes nothing soon.
const PAUSE: Duration = Duration::from_secs(10);

/// A registry at a URL, `REGISTRY_URL`.
pub struct Remote {
    http: reqwest::Client,
    url: String,
    token: Token,
    heartbeat: Duration,
    state: Mutex<State>,
}

/// What writing needs: a token of whoever the instances belong to.
enum Token {
    Fixed(String),
    /// Read again each time, because tokens end.
    File(PathBuf),
}

#[derive(Default)]
struct State {
    announced: HashMap<String, Announced>,
    refused: Option<(Instant, String)>,
}

/// An instance, by the id that the registry gave it.
struct Announced {
    instance_id: String,
    base_url: String,
    last: Instant,
}

impl fmt::Debug for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Remote({})", self.url)
    }
}

#[derive(Deserialize)]
struct RegisterResponse {
    instance_id: String,
}

#[derive(Deserialize)]
struct ServiceResponse {
    instances: Vec<Listed>,
}

#[derive(Deserialize)]
struct Listed {
    instance_id: String,
    address: String,
    port: u16,
    health: String,
}

impl Remote {
    /// A registry at `url` (`http://localhost:8006`, or a gateway's `…:8080/registry`), and the Bearer token of
    /// whoever the instances shall belong to.
    ///
    /// # Errors
    /// When the URL or the token cannot be sent in a request at all.
    pub fn new(url: &str, token: &str) -> Result<Self, Error> {
        Self::with(url, Token::Fixed(sound(token)?))
    }

    /// As [`Remote::new`], with a token that is read from a file each time: tokens end, files are written again.
    ///
    /// # Errors
    /// When the URL is none.
    pub fn with_token_file(url: &str, file: PathBuf) -> Result<Self, Error> {
        Self::with(url, Token::File(file))
    }

    /// The same with heartbeats at another distance than ten seconds.
    #[must_use]
    pub fn every(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    fn with(url: &str, token: Token) -> Result<Self, Error> {
        let url = url.trim().trim_end_matches('/').to_owned();
        let parsed = url.parse::<reqwest::Url>().ok();
        if !parsed.is_some_and(|url| matches!(url.scheme(), "http" | "https")) {
            return Err(Error::Other(
                "REGISTRY_URL is no URL of a registry".to_owned(),
            ));
        }
        let http = reqwest::Client::builder().timeout(DEADLINE).build();
        Ok(Self {
            http: http.map_err(|error| Error::Other(error.to_string()))?,
            url,
            token,
            heartbeat: HEARTBEAT,
            state: Mutex::default(),
        })
    }

    async fn token(&self) -> Result<String, Error> {
        match &self.token {
            Token::Fixed(token) => Ok(token.clone()),
            Token::File(file) => {
                let text = tokio::fs::read_to_string(file).await.map_err(|error| {
                    Error::Refused(format!("no token in {}: {error}", file.display()))
                })?;
                sound(&text)
            }
        }
    }

    /// The answer; nothing where the registry says that there is nothing.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: &Value,
    ) -> Result<Option<Response>, Error> {
        let mut request = self.http.request(method, format!("{}{path}", self.url));
        if !path.starts_with("/services") {
            request = request.bearer_auth(self.token().await?);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(|error| self.away(&error))?;
        match answer.status().as_u16() {
            404 => Ok(None),
            status @ 400..500 => {
                let problem: Value = answer.json().await.unwrap_or_default();
                let message = problem["message"].as_str().unwrap_or("no reason given");
                Err(Error::Refused(format!("{message} ({status})")))
            }
            status @ 500.. => Err(self.away(&format!("status {status}"))),
            _ => Ok(Some(answer)),
        }
    }

    async fn read<T: serde::de::DeserializeOwned>(&self, answer: Response) -> Result<T, Error> {
        answer.json().await.map_err(|error| self.away(&error))
    }

    fn away(&self, cause: &dyn fmt::Display) -> Error {
        Error::Away(self.url.clone(), cause.to_string())
    }

    /// Whether the registry still has an instance after this heartbeat.
    async fn beat(&self, announced: &mut Announced) -> Result<bool, Error> {
        let path = format!("/heartbeat/{}", announced.instance_id);
        let known = self.send(Method::POST, &path, &Value::Null).await?;
        announced.last = Instant::now();
        Ok(known.is_some())
    }

    async fn announce(&self, registration: &Registration) -> Result<Announced, Error> {
        let base_url = base_url(&registration.address)?;
        let body = json!({ "service_name": registration.service, "base_url": base_url });
        let answer = self.send(Method::POST, "/register", &body).await?;
        let answer = answer.ok_or_else(|| self.away(&"status 404"))?;
        let RegisterResponse { instance_id } = self.read(answer).await?;
        Ok(Announced {
            instance_id,
            base_url,
            last: Instant::now(),
        })
    }
}

#[async_trait]
impl Registry for Remote {
    async fn register(&self, registration: &Registration) -> Result<(), Error> {
        // There is no such thing here as an instance that is registered and not ready.
        if !registration.ready {
            return Ok(());
        }
        let mut state = self.state.lock().await;
        if let Some((when, why)) = &state.refused
            && when.elapsed() < PAUSE
        {
            return Err(Error::Refused(why.clone()));
        }
        state.refused = None;
        let base_url = base_url(&registration.address)?;
        if let Some(announced) = state.announced.get_mut(&registration.id)
            && announced.base_url == base_url
            && self.beat(announced).await?
        {
            return Ok(());
        }
        match self.announce(registration).await {
            Ok(announced) => {
                state.announced.insert(registration.id.clone(), announced);
                Ok(())
            }
            Err(Error::Refused(why)) => {
                state.refused = Some((Instant::now(), why.clone()));
                Err(Error::Refused(why))
            }
            Err(error) => Err(error),
        }
    }

    async fn deregister(&self, id: &str) -> Result<(), Error> {
        let Some(announced) = self.state.lock().await.announced.remove(id) else {
            return Ok(());
        };
        let path = format!("/deregister/{}", announced.instance_id);
        self.send(Method::DELETE, &path, &Value::Null).await?;
        Ok(())
    }

    async fn is_registered(&self, id: &str) -> Result<bool, Error> {
        let mut state = self.state.lock().await;
        let Some(announced) = state.announced.get_mut(id) else {
            return Ok(false);
        };
        if announced.last.elapsed() < self.heartbeat {
            return Ok(true);
        }
        let known = self.beat(announced).await?;
        if !known {
            state.announced.remove(id);
        }
        Ok(known)
    }

    async fn healthy(&self, service: &str) -> Result<Vec<Instance>, Error> {
        let path = format!("/services/{service}");
        let Some(answer) = self.send(Method::GET, &path, &Value::Null).await? else {
            return Ok(Vec::new());
        };
        let found: ServiceResponse = self.read(answer).await?;
        let passing = found.instances.into_iter();
        Ok(passing
            .filter(|instance| instance.health == "passing")
            .map(|instance| Instance {
                id: instance.instance_id,
                address: instance.address,
                port: instance.port,
            })
            .collect())
    }
}

/// A listener on every address of its machine is known here as that of this machine.
fn base_url(place: &Place) -> Result<String, Error> {
    let Some(mut address) = place.port() else {
        let why = format!("{place} is no address that others reach: listen on a port");
        return Err(Error::Refused(why));
    };
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    Ok(format!("http://{address}"))
}

fn sound(token: &str) -> Result<String, Error> {
    let token = token.trim();
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::Refused("the token is empty or is none".into()));
    }
    Ok(token.to_owned())
}
