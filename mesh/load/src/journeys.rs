//! What people do with each product, one operation at a time, and what the answers must be.

use std::{pin::Pin, sync::Arc};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest as _, http::HeaderValue},
};

use crate::world::{DEADLINE, Problem, Thing, World, filled, same};

/// The products, as `--mix` names them.
pub const PRODUCTS: &[&str] = &[
    "discussions",
    "microblog",
    "movies",
    "shop",
    "market",
    "live",
];

type Done = Pin<Box<dyn Future<Output = Result<(), Problem>> + Send>>;

/// One kind of operation.
pub(crate) struct Operation {
    pub(crate) product: &'static str,
    pub(crate) name: &'static str,
    /// How often, among those of its product.
    pub(crate) weight: u32,
    /// Whether others read what it writes.
    pub(crate) writes_first: bool,
    pub(crate) run: fn(Arc<World>) -> Done,
}

macro_rules! operation {
    ($product:literal, $name:literal, $weight:literal, $run:ident) => {
        operation!($product, $name, $weight, $run, false)
    };
    ($product:literal, $name:literal, $weight:literal, $run:ident, $first:literal) => {
        Operation {
            product: $product,
            name: $name,
            weight: $weight,
            writes_first: $first,
            run: |world| Box::pin(async move { $run(&world).await }),
        }
    };
}

/// All of them. Reading is what people mostly do.
pub(crate) fn operations() -> Vec<Operation> {
    vec![
        operation!("discussions", "write", 1, write_car, true),
        operation!("discussions", "read", 5, read_car),
        operation!("discussions", "list", 2, list_cars),
        operation!("discussions", "comment", 2, comment),
        operation!("microblog", "write", 2, write_post, true),
        operation!("microblog", "read", 4, read_post),
        operation!("microblog", "home", 2, home),
        operation!("microblog", "like", 1, like),
        operation!("microblog", "ask", 1, ask, true),
        operation!("microblog", "poll", 2, poll),
        operation!("movies", "enter", 1, enter_movie, true),
        operation!("movies", "read", 5, read_movie),
        operation!("movies", "popular", 3, popular),
        operation!("movies", "search", 1, search),
        operation!("shop", "offer", 1, offer_product, true),
        operation!("shop", "read", 6, read_product),
        operation!("shop", "order", 3, order),
        operation!("market", "offer", 1, offer_item, true),
        operation!("market", "read", 6, read_item),
        operation!("market", "buy", 1, buy),
        operation!("live", "write", 1, write_car, true),
        operation!("live", "talk", 9, talk),
    ]
}

/// The cheapest answer that comes through the ingress and a sidecar.
pub(crate) fn bare(world: Arc<World>) -> Done {
    Box::pin(async move {
        let found = world.get("/api/movies/status").await?;
        same("status", &found["status"], &json!("OK"))
    })
}

async fn write_car(world: &World) -> Result<(), Problem> {
    let (person, title) = (world.person(), world.text("Quiet and quick"));
    let body = json!({"title": title, "content": "A year with it", "car_model": "Zoe"});
    let made = world.call(Method::POST, "/api/posts", Some(person), &body, 201);
    let made = made.await?;
    let (id, owner) = (made["post_id"].clone(), person.username.clone());
    world.cars.add(Thing {
        id,
        text: title,
        owner,
    });
    Ok(())
}

async fn read_car(world: &World) -> Result<(), Problem> {
    let car = world.cars.any()?;
    let found = world.get(&format!("/api/posts/{}", car.place())).await?;
    same("title", &found["title"], &json!(car.text))
}

async fn list_cars(world: &World) -> Result<(), Problem> {
    filled("list", &world.get("/api/posts?limit=20").await?)
}

async fn comment(world: &World) -> Result<(), Problem> {
    let (car, text) = (world.cars.any()?, world.text("So true"));
    let path = format!("/api/posts/{}/comments", car.place());
    let body = json!({"comment_text": text});
    let made = world.call(Method::POST, &path, Some(world.person()), &body, 201);
    same("comment", &made.await?["comment_text"], &json!(text))
}

async fn write_post(world: &World) -> Result<(), Problem> {
    let (person, text) = (world.person(), world.text("Hello"));
    let body = json!({"text": text});
    let made = world.call(Method::POST, "/posts", Some(person), &body, 201);
    let made = made.await?;
    same("author", &made["username"], &json!(person.username))?;
    let (id, owner) = (made["post_id"].clone(), person.username.clone());
    world.posts.add(Thing { id, text, owner });
    Ok(())
}

async fn read_post(world: &World) -> Result<(), Problem> {
    let post = world.posts.any()?;
    let found = world.get(&format!("/posts/id/{}", post.place())).await?;
    same("text", &found["text"], &json!(post.text))?;
    same("author", &found["username"], &json!(post.owner))
}

async fn home(world: &World) -> Result<(), Problem> {
    let person = world.person();
    let path = format!("/posts/home/{}", person.username);
    let home = world.call(Method::GET, &path, Some(person), &Value::Null, 200);
    if home.await?.is_array() {
        return Ok(());
    }
    Err(Problem::Wrong("home is no list".into()))
}

async fn like(world: &World) -> Result<(), Problem> {
    let post = world.posts.any()?;
    let path = format!("/likes/{}", post.place());
    let liked = world.call(Method::POST, &path, Some(world.person()), &Value::Null, 200);
    same("like", &liked.await?["liked"], &json!(true))?;
    let count = world.get(&format!("{path}/count")).await?;
    if count["likes"].as_u64().is_some_and(|likes| likes > 0) {
        return Ok(());
    }
    Err(Problem::Wrong("a like is not counted".into()))
}

async fn ask(world: &World) -> Result<(), Problem> {
    let (person, question) = (world.person(), world.text("Tea?"));
    let body = json!({"question": question, "options": ["Yes", "No"]});
    let made = world.call(Method::POST, "/polls", Some(person), &body, 201);
    let made = made.await?;
    same("question", &made["question"], &json!(question))?;
    let (id, owner) = (made["poll_id"].clone(), person.username.clone());
    world.polls.add(Thing {
        id,
        text: question,
        owner,
    });
    Ok(())
}

async fn poll(world: &World) -> Result<(), Problem> {
    let poll = world.polls.any()?;
    let found = world.get(&format!("/polls/{}", poll.place())).await?;
    same("question", &found["question"], &json!(poll.text))
}

async fn enter_movie(world: &World) -> Result<(), Problem> {
    let (person, title) = (world.person(), world.text("Quiet"));
    let body = json!({
        "title": title, "description": "In space", "rating": 8.5, "genre": "Horror",
        "poster_url": "https://example.com/a.png", "release_date": "1979-05-25",
    });
    let made = world.call(Method::POST, "/api/movies", Some(person), &body, 201);
    let id = made.await?["id"].clone();
    let owner = person.username.clone();
    world.movies.add(Thing {
        id,
        text: title,
        owner,
    });
    Ok(())
}

async fn read_movie(world: &World) -> Result<(), Problem> {
    let movie = world.movies.any()?;
    let found = world.get(&format!("/api/movies/{}", movie.place())).await?;
    same("title", &found["title"], &json!(movie.text))
}

async fn popular(world: &World) -> Result<(), Problem> {
    filled("list", &world.get("/api/movies/popular").await?["data"])
}

async fn search(world: &World) -> Result<(), Problem> {
    let movie = world.movies.any()?;
    let title = movie.text.replace(' ', "%20");
    let found = world
        .get(&format!("/api/movies/search?title={title}"))
        .await?;
    same("title", &found["data"][0]["title"], &json!(movie.text))
}

async fn offer_product(world: &World) -> Result<(), Problem> {
    let (person, name) = (world.person(), world.text("Mug"));
    let body = json!({"name": name, "description": "A mug", "price": 19.99});
    let made = world.call(Method::POST, "/products/", Some(person), &body, 201);
    let product = made.await?["product"].clone();
    same("name", &product["name"], &json!(name))?;
    let (id, owner) = (product["id"].clone(), person.username.clone());
    world.products.add(Thing {
        id,
        text: name,
        owner,
    });
    Ok(())
}

async fn read_product(world: &World) -> Result<(), Problem> {
    let product = world.products.any()?;
    let found = world.get(&format!("/products/{}", product.place())).await?;
    same("name", &found["name"], &json!(product.text))
}

async fn order(world: &World) -> Result<(), Problem> {
    let product = world.products.any()?;
    let body = json!({"product_id": product.id, "quantity": 3});
    let made = world.call(Method::POST, "/orders/", Some(world.person()), &body, 201);
    let order = made.await?["order"].clone();
    let total = order.get("total").or_else(|| order.get("total_price"));
    same("total", total.unwrap_or(&Value::Null), &json!(59.97))
}

async fn offer_item(world: &World) -> Result<(), Problem> {
    let (person, name) = (world.person(), world.text("Lamp"));
    let body = json!({"name": name, "price": 19.99, "quantity": 1000});
    let made = world.call(Method::POST, "/item", Some(person), &body, 201);
    let item = made.await?["item"].clone();
    same("name", &item["name"], &json!(name))?;
    let (id, owner) = (item["id"].clone(), person.username.clone());
    world.items.add(Thing {
        id,
        text: name,
        owner,
    });
    Ok(())
}

async fn read_item(world: &World) -> Result<(), Problem> {
    let item = world.items.any()?;
    let found = world.get(&format!("/item/{}", item.place())).await?;
    same("name", &found["name"], &json!(item.text))
}

async fn buy(world: &World) -> Result<(), Problem> {
    let item = world.items.any()?;
    let (path, buyer) = (format!("/buy/{}", item.place()), world.other(&item.owner));
    let body = json!({"quantity": 1});
    let bought = world.call(Method::POST, &path, Some(buyer), &body, 200);
    if bought.await?["order_id"].is_null() {
        return Err(Problem::Wrong("a purchase without an order".into()));
    }
    Ok(())
}

/// Opens a socket on a post, says something, and waits until it comes back.
async fn talk(world: &World) -> Result<(), Problem> {
    let (car, person, text) = (world.cars.any()?, world.person(), world.text("Heard"));
    let url = world.ingress.replacen("http", "ws", 1);
    let url = format!("{url}/ws/posts/{}/comments", car.place());
    let broken = |what: &str| Problem::Failed(format!("socket: {what}"));
    let mut request = url
        .into_client_request()
        .map_err(|_| broken("its address"))?;
    let token = HeaderValue::try_from(format!("Bearer {}", person.token));
    let token = token.map_err(|_| broken("its token"))?;
    request.headers_mut().insert("authorization", token);
    let opened = tokio::time::timeout(DEADLINE, connect_async(request)).await;
    let (mut socket, _) = opened
        .map_err(|_| broken("it does not open in time"))?
        .map_err(|_| broken("it does not open"))?;
    let said = json!({"comment_text": text}).to_string();
    let sent = socket.send(Message::Text(said.into())).await;
    sent.map_err(|_| broken("it breaks"))?;
    let heard = async {
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(frame) = message else {
                continue;
            };
            let frame: Value = serde_json::from_str(&frame).unwrap_or_default();
            if frame["comment_text"] == json!(text) {
                return true;
            }
        }
        false
    };
    match tokio::time::timeout(DEADLINE, heard).await {
        Ok(true) => {
            let _ = socket.close(None).await;
            Ok(())
        }
        Ok(false) => Err(broken("it ends")),
        Err(_) => Err(Problem::Wrong("a comment does not come back".into())),
    }
}
