use std::net::SocketAddr;

use serde_json::Value;
use testkit::eventually;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::{
    helpers::{ANNA, Backend, Plaza, post},
    on_each_store,
};

on_each_store!(
    an_absent_store_is_503_and_no_more,
    a_store_that_hangs_is_503_in_time,
);

/// How the way to the store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Open,
    Hangs,
    Closed,
}

/// A way to a document store that a test can close.
struct Proxy {
    url: String,
    way: watch::Sender<Way>,
}

impl Proxy {
    async fn start(backend: Backend) -> Self {
        let store = backend
            .url()
            .trim_start_matches("mongodb://")
            .trim_end_matches('/')
            .to_owned();
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
            .await
            .unwrap();
        let url = format!("mongodb://{}/", listener.local_addr().unwrap());
        let (way, watched) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, store.clone(), watched.clone()));
            }
        });
        Self { url, way }
    }
}

async fn forward(mut client: TcpStream, store: String, mut way: watch::Receiver<Way>) {
    if *way.borrow() == Way::Closed {
        return;
    }
    let Ok(mut server) = TcpStream::connect(store).await else {
        return;
    };
    tokio::select! {
        _ = copy_bidirectional(&mut client, &mut server) => return,
        _ = way.wait_for(|way| *way != Way::Open) => {}
    }
    // Hanging: the connection stays, and nothing comes.
    let _ = way.wait_for(|way| *way != Way::Hangs).await;
}

async fn an_absent_store_is_503_and_no_more(backend: Backend) {
    store_goes_and_comes_back(backend, Way::Closed).await;
}

async fn a_store_that_hangs_is_503_in_time(backend: Backend) {
    store_goes_and_comes_back(backend, Way::Hangs).await;
}

async fn store_goes_and_comes_back(backend: Backend, way: Way) {
    let proxy = Proxy::start(backend).await;
    let plaza = Plaza::start_at(&proxy.url, &[]).await;
    let id = plaza.written(ANNA, &post("Best car")).await;
    proxy.way.send(way).unwrap();
    let one = format!("/api/posts/{id}");
    for path in ["/api/posts", &one] {
        let away = plaza.get(path).await;
        away.problem(503);
        assert_eq!(away.header("retry-after"), "1", "{path}");
    }
    plaza
        .post_as(ANNA, "/api/posts", &post("Lost"))
        .await
        .problem(503);
    // What asks no store still answers.
    plaza
        .service
        .call(reqwest::Method::POST, "/api/posts", "", &Value::Null)
        .await
        .problem(401);
    proxy.way.send(Way::Open).unwrap();
    eventually("the store's return", || async {
        let reply = plaza.get("/api/posts").await;
        if reply.status == 200 {
            Ok(())
        } else {
            Err(reply.text)
        }
    })
    .await;
    assert!(plaza.listed("/api/posts", "post_id").await.contains(&id));
    plaza.written(ANNA, &post("Found")).await;
    assert_eq!(plaza.listed("/api/posts?limit=1", "title").await, ["Found"]);
}
