//! `cargo mesh up --demo`: a small world, written as its people would write it, and only once.
//!
//! What a list shows already is not written again, by whomever it was written. Of what lists do not show at once
//! (purchases, polls) the requests carry an `Idempotency-Key`.

mod client;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::client::{Client, Request};
use crate::mesh::Mesh;
use crate::progress::Step;

const WORLD: &str = include_str!("demo/world.toml");

/// Everything there is in it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct World {
    password: String,
    people: Vec<Person>,
    cars: Vec<Entry>,
    posts: Vec<Entry>,
    polls: Vec<Entry>,
    movies: Vec<Entry>,
    products: Vec<Entry>,
    items: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    username: String,
    name: String,
    bio: String,
    follows: Vec<String>,
    #[serde(default)]
    topics: Vec<String>,
}

/// Something that somebody writes, with what others do about it.
#[derive(Deserialize)]
struct Entry {
    by: String,
    #[serde(default)]
    comments: Vec<Entry>,
    #[serde(default)]
    reviews: Vec<Entry>,
    #[serde(default)]
    orders: Vec<Entry>,
    #[serde(default)]
    purchases: Vec<Entry>,
    #[serde(default)]
    liked_by: Vec<String>,
    #[serde(default)]
    votes: BTreeMap<String, u64>,
    /// What the API gets.
    #[serde(flatten)]
    body: Map<String, Value>,
}

impl Entry {
    fn body(&self) -> Value {
        Value::Object(self.body.clone())
    }

    /// Looks for it in a list: what has the same `member` is the same.
    fn find<'a>(&self, there: &'a [Value], member: &str) -> Option<&'a Value> {
        there
            .iter()
            .find(|other| self.body.get(member) == other.get(member))
    }
}

/// Writes what is missing of the world; what to say about it afterwards.
pub fn write(mesh: &Mesh) -> Result<String> {
    let world: World = toml::from_str(WORLD).context("the demo world is damaged")?;
    let ingress = mesh.port("ingress");
    let mut client = Client::new(ingress, Step::start("writing the demo world"));
    let parts: [fn(&mut Client, &World) -> Result<()>; 8] =
        [people, friends, cars, posts, polls, movies, products, items];
    for (done, part) in (0..).zip(parts) {
        client.advance(done, parts.len() as u64);
        part(&mut client, &world)?;
    }
    let written = client.written;
    client.done();
    Ok(summary(&world, ingress, written))
}

fn summary(world: &World, ingress: u16, written: u64) -> String {
    let names: Vec<_> = world
        .people
        .iter()
        .map(|person| person.username.as_str())
        .collect();
    let (first, names) = (names[0], names.join(", "));
    let (password, url) = (&world.password, format!("http://127.0.0.1:{ingress}"));
    let what = match written {
        0 => "was there already".to_owned(),
        new => format!("is there ({new} things are new)"),
    };
    let login = json!({"username": first, "password": password});
    format!(
        "the demo world {what}\n  people      {names}\n  password    {password}   (of each of them)\nlook around
  {url}/live                 (in a browser: comments on a post, as they are written)
  curl {url}/api/posts       (cars; /posts has the short ones)
  curl {url}/api/movies/popular
  curl {url}/products/       (the shop; /item has the market)
  curl {url}/likes/popular
  TOKEN=$(curl -s {url}/login -H 'content-type: application/json' -d '{login}' | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')
  curl {url}/orders/ -H \"authorization: Bearer $TOKEN\"
  curl {url}/posts/home/{first} -H \"authorization: Bearer $TOKEN\""
    )
}

/// Registers those who are not, and logs everybody in.
fn people(client: &mut Client, world: &World) -> Result<()> {
    for person in &world.people {
        let name = &person.username;
        let known = client.send(&Request {
            by: "",
            method: "GET",
            path: &format!("/users/{name}"),
            body: &Value::Null,
            key: None,
        })?;
        if known.status == 404 {
            let register = json!({
                "username": name,
                "name": person.name,
                "bio": person.bio,
                "email": format!("{name}@plaza.example"),
                "password": world.password,
            });
            client.create("", "/users/register", &register)?;
        }
        let login = client.send(&Request {
            by: "",
            method: "POST",
            path: "/login",
            body: &json!({"username": name, "password": world.password}),
            key: None,
        })?;
        if login.status == 401 {
            bail!(
                "{name} is somebody else here: the demo world needs a mesh where the name is free or its own"
            );
        }
        let login = login.json()?;
        let token = login["access_token"].as_str();
        client.logged_in(
            name,
            token.with_context(|| format!("{name} gets no token: {login}"))?,
        );
    }
    Ok(())
}

/// Who reads whom, and what about.
fn friends(client: &mut Client, world: &World) -> Result<()> {
    for person in &world.people {
        for other in &person.follows {
            client.ensure(&person.username, "POST", &format!("/users/follow/{other}"))?;
        }
        for topic in &person.topics {
            let topic = topic.replace(' ', "%20");
            let path = format!("/api/topics/{topic}/subscription");
            client.ensure(&person.username, "PUT", &path)?;
        }
    }
    Ok(())
}

fn cars(client: &mut Client, world: &World) -> Result<()> {
    let there = client.list("", "/api/posts")?;
    for post in &world.cars {
        let id = create(client, post, "/api/posts", post.find(&there, "title"))?;
        let path = format!("/api/posts/{id}/comments");
        let there = client.list("", &path)?;
        for comment in &post.comments {
            let found = comment.find(&there, "comment_text");
            if found.is_none() {
                client.create(&comment.by, &path, &comment.body())?;
            }
        }
    }
    Ok(())
}

fn posts(client: &mut Client, world: &World) -> Result<()> {
    let there = client.list("", "/posts")?;
    for post in &world.posts {
        let id = create(client, post, "/posts", post.find(&there, "text"))?;
        for name in &post.liked_by {
            client.ensure(name, "POST", &format!("/likes/{id}"))?;
        }
    }
    Ok(())
}

fn polls(client: &mut Client, world: &World) -> Result<()> {
    for poll in &world.polls {
        let id = poll_id(client, poll)?;
        for (name, choice) in &poll.votes {
            let vote = client.send(&Request {
                by: name,
                method: "POST",
                path: &format!("/polls/{id}/vote"),
                body: &json!({"choice_index": choice}),
                key: None,
            })?;
            match vote.status {
                200 => client.written += 1,
                // One vote a user.
                409 => {}
                other => bail!("the vote of {name} is answered {other}: {}", vote.text()),
            }
        }
    }
    Ok(())
}

/// Starts a poll and tells of it, unless that was done; its id.
fn poll_id(client: &mut Client, poll: &Entry) -> Result<String> {
    let question = poll.body["question"].as_str().unwrap_or_default();
    let before = format!("{question} Vote at /polls/");
    let own = client.list("", &format!("/posts/{}", poll.by))?;
    let mut texts = own.iter().filter_map(|post| post["text"].as_str());
    if let Some(id) = texts.find_map(|text| text.strip_prefix(&before)) {
        return Ok(id.to_owned());
    }
    let key = format!("demo: {question}");
    let made = client.create_once(&poll.by, "/polls", &poll.body(), Some(&key))?;
    let id = id_of(&made)?;
    client.create(
        &poll.by,
        "/posts",
        &json!({"text": format!("{before}{id}")}),
    )?;
    Ok(id)
}

fn movies(client: &mut Client, world: &World) -> Result<()> {
    let there = client.list("", "/api/movies")?;
    for movie in &world.movies {
        let id = create(client, movie, "/api/movies", movie.find(&there, "title"))?;
        let path = format!("/api/movies/{id}/reviews");
        let there = client.list("", &path)?;
        for review in &movie.reviews {
            if !there.iter().any(|other| other["username"] == *review.by) {
                client.create(&review.by, &path, &review.body())?;
            }
        }
    }
    Ok(())
}

fn products(client: &mut Client, world: &World) -> Result<()> {
    let there = client.list("", "/products/")?;
    for product in &world.products {
        let found = product.find(&there, "name");
        let id: u64 = create(client, product, "/products/", found)?.parse()?;
        for order in &product.orders {
            let own = client.list(&order.by, "/orders/")?;
            if !own.iter().any(|other| other["product_id"] == id) {
                let mut body = order.body();
                body["product_id"] = id.into();
                client.create(&order.by, "/orders/", &body)?;
            }
        }
    }
    Ok(())
}

fn items(client: &mut Client, world: &World) -> Result<()> {
    let there = client.list("", "/item")?;
    for item in &world.items {
        let id: u64 = create(client, item, "/item", item.find(&there, "name"))?.parse()?;
        for purchase in &item.purchases {
            let own = client.list(&purchase.by, "/orders/")?;
            if !own.iter().any(|other| other["item_id"] == id) {
                let path = format!("/buy/{id}");
                client.create_once(&purchase.by, &path, &purchase.body(), Some("demo"))?;
            }
        }
    }
    Ok(())
}

/// Creates an entry unless it was found; its id.
fn create(client: &mut Client, entry: &Entry, path: &str, found: Option<&Value>) -> Result<String> {
    match found {
        Some(found) => id_of(found),
        None => id_of(&client.create(&entry.by, path, &entry.body())?),
    }
}

/// The id of something, as its service calls it.
fn id_of(made: &Value) -> Result<String> {
    let names = ["/post_id", "/poll_id", "/id", "/product/id", "/item/id"];
    match names.iter().find_map(|name| made.pointer(name)) {
        Some(Value::String(id)) => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        _ => bail!("this has no id: {made}"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Names that the world uses and nobody in it has.
    fn strangers(world: &World) -> Vec<&str> {
        let known: BTreeSet<_> = world
            .people
            .iter()
            .map(|person| person.username.as_str())
            .collect();
        let lists = [
            &world.cars,
            &world.posts,
            &world.polls,
            &world.movies,
            &world.products,
            &world.items,
        ];
        let follows = world.people.iter().flat_map(|person| &person.follows);
        let mut names: Vec<&str> = follows.map(String::as_str).collect();
        for entry in lists.into_iter().flatten() {
            names.push(&entry.by);
            names.extend(
                entry
                    .liked_by
                    .iter()
                    .chain(entry.votes.keys())
                    .map(String::as_str),
            );
            let about = [
                &entry.comments,
                &entry.reviews,
                &entry.orders,
                &entry.purchases,
            ];
            names.extend(about.into_iter().flatten().map(|entry| entry.by.as_str()));
        }
        names.retain(|name| !known.contains(name));
        names
    }

    #[test]
    fn everybody_in_the_world_exists() {
        let world: World = toml::from_str(WORLD).unwrap();
        assert_eq!(strangers(&world), Vec::<&str>::new());
        assert!(world.password.len() >= 8);
    }
}
