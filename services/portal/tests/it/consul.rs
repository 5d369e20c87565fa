//! An agent that knows what the test tells it, and answers questions about changes as Consul does.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use portal::Portal;
use serde_json::{Value, json};
use testkit::TestService;
use tokio::sync::watch;
use warp::{Filter as _, Reply as _, filters::BoxedFilter, path::Tail, reply::Response};

/// What the agent knows: service, instance, whether it passes.
type Instances = Vec<(String, String, bool)>;

/// The agent.
#[derive(Debug, Clone)]
pub struct Agent {
    address: SocketAddr,
    state: Arc<watch::Sender<(u64, Instances)>>,
    refused: Arc<Mutex<bool>>,
}

impl Agent {
    /// Starts one that knows these.
    pub async fn start(instances: &[(&str, &str, bool)]) -> Self {
        let (state, _) = watch::channel((1, owned(instances)));
        let (state, refused) = (Arc::new(state), Arc::new(Mutex::new(false)));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let agent = Self {
            address,
            state,
            refused,
        };
        tokio::spawn(warp::serve(agent.api()).incoming(listener).run());
        agent
    }

    fn api(&self) -> BoxedFilter<(Response,)> {
        let agent = self.clone();
        let query = warp::query::<Vec<(String, String)>>();
        let path = warp::path("v1").and(warp::path::tail());
        let asked = path.and(query.or(warp::any().map(Vec::new)).unify());
        asked
            .then(move |path: Tail, query| {
                let agent = agent.clone();
                async move { agent.answer(path.as_str(), query).await }
            })
            .boxed()
    }

    async fn answer(&self, path: &str, query: Vec<(String, String)>) -> Response {
        let seen = query.iter().find(|(name, _)| name == "index");
        if let Some(seen) = seen.map(|(_, seen)| seen.parse().unwrap()) {
            let mut changes = self.state.subscribe();
            let changed = changes.wait_for(|(index, _)| *index > seen);
            let _ = tokio::time::timeout(Duration::from_secs(5), changed).await;
        }
        let (index, instances) = self.state.borrow().clone();
        if *self.refused.lock().unwrap() {
            return warp::http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        let body = warp::reply::json(&body(path, &instances));
        warp::reply::with_header(body, "x-consul-index", index).into_response()
    }

    /// Replaces what it knows.
    pub fn tell(&self, instances: &[(&str, &str, bool)]) {
        self.state.send_modify(|(index, known)| {
            *index += 1;
            *known = owned(instances);
        });
    }

    /// From now on it answers 500, or again as it should.
    pub fn fail(&self, fails: bool) {
        *self.refused.lock().unwrap() = fails;
        self.state.send_modify(|(index, _)| *index += 1);
    }

    /// A portal that asks it.
    pub async fn portal(&self) -> TestService<Portal> {
        let address = format!("--consul-http-addr=http://{}", self.address);
        let links =
            "--portal-links=Consul=http://127.0.0.1:8500/ui/,Jaeger=http://127.0.0.1:16686/";
        // Nobody answers there.
        let prometheus = "--prometheus-url=http://127.0.0.1:1";
        TestService::start(&[&address, links, prometheus]).await
    }
}

fn owned(instances: &[(&str, &str, bool)]) -> Instances {
    let owned = |(service, id, passing): &(&str, &str, bool)| {
        ((*service).to_owned(), (*id).to_owned(), *passing)
    };
    instances.iter().map(owned).collect()
}

fn body(path: &str, instances: &Instances) -> Value {
    let each = |entry: fn(&(String, String, bool)) -> Value| instances.iter().map(entry).collect();
    let entries: Vec<Value> = match path {
        "catalog/nodes" => vec![json!({ "Node": "n" })],
        "health/state/any" => each(|(_, id, passing)| {
            let status = if *passing { "passing" } else { "critical" };
            json!({ "Node": "n", "ServiceID": id, "Status": status })
        }),
        "catalog/node-services/n" => {
            let services: Vec<Value> = each(
                |(service, id, _)| json!({ "ID": id, "Service": service, "Address": "127.0.0.1", "Port": 4242, "Meta": {} }),
            );
            return json!({ "Services": services });
        }
        "catalog/services" => return json!({}),
        _ => Vec::new(),
    };
    entries.into()
}
