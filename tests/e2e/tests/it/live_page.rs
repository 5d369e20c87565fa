//! Claim: people watch and write the comments on a post in their browsers, and all see the same.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::{
    Browser, Mesh, eventually,
    mesh::{PASSWORD, Person},
};

/// The texts of the comments on the page, from top to bottom.
const TEXTS: &str =
    "[...document.querySelectorAll('#comments li p')].map((text) => text.textContent)";
/// Whether the page has its socket.
const LIVE: &str = "document.getElementById('connection').textContent.startsWith('Live')";

/// Whether somebody is signed in and can write.
const READY: &str = "!document.querySelector('#write button').disabled";

async fn post(person: &Person) -> String {
    let body = json!({"title": "<b>Quiet</b>", "content": "And quick", "car_model": "Zoe"});
    let reply = Mesh::current()
        .call(Method::POST, "/api/posts", &person.token, &body)
        .await;
    reply.expect(201)["post_id"].as_str().unwrap().to_owned()
}

async fn comment(person: &Person, post: &str, text: &str) {
    let path = format!("/api/posts/{post}/comments");
    let body = json!({"comment_text": text});
    let reply = Mesh::current().call(Method::POST, &path, &person.token, &body);
    reply.await.expect(201);
}

/// A browser on a post, where somebody has signed in.
async fn watching(person: &Person, post: &str) -> Browser {
    let browser = Browser::start().await;
    let ingress = Mesh::current().address("ingress");
    browser.open(&format!("{ingress}/live?post={post}")).await;
    browser.until(LIVE).await;
    sign_in(&browser, person, PASSWORD).await;
    browser.until(READY).await;
    browser
}

async fn sign_in(browser: &Browser, person: &Person, password: &str) {
    type_in(browser, "username", &person.username).await;
    type_in(browser, "password", password).await;
    browser.click("#login button").await;
}

async fn type_in(browser: &Browser, id: &str, text: &str) {
    let script = format!("document.getElementById('{id}').value = {}", json!(text));
    browser.run(&script).await;
}

/// Writes a comment and waits until it is shown.
async fn write(browser: &Browser, text: &str) {
    browser.until(READY).await;
    type_in(browser, "text", text).await;
    browser.click("#write button").await;
    shows(browser, text).await;
}

async fn shows(browser: &Browser, text: &str) {
    browser
        .until(&format!("{TEXTS}.includes({})", json!(text)))
        .await;
}

async fn texts(browser: &Browser) -> Value {
    browser.run(&format!("return {TEXTS}")).await
}

#[tokio::test]
async fn s0_11_and_s0_16_two_browsers_see_each_other_write() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let id = post(&ada).await;
    comment(&ben, &id, "Before anybody looked").await;
    let browsers = (watching(&ada, &id).await, watching(&ben, &id).await);
    for name in [&ada.username, &ben.username] {
        let present = "document.getElementById('presence').textContent";
        let named = format!("{present}.includes({})", json!(name));
        browsers.0.until(&named).await;
        browsers.1.until(&named).await;
    }
    let evil = "<img src=x onerror=\"window.evil=1\"><script>window.evil=1</script>";
    write(&browsers.0, "From the one").await;
    shows(&browsers.1, "From the one").await;
    write(&browsers.1, evil).await;
    write(&browsers.1, "From the other").await;
    shows(&browsers.0, "From the other").await;
    let all = json!([
        "Before anybody looked",
        "From the one",
        evil,
        "From the other"
    ]);
    for browser in [&browsers.0, &browsers.1] {
        assert_eq!(texts(browser).await, all);
        assert_eq!(
            browser
                .run("return [window.evil ?? null, document.getElementById('title').textContent]")
                .await,
            json!([null, "<b>Quiet</b>"])
        );
        let author = "[...document.querySelectorAll('#comments b')].at(-1).textContent";
        browser
            .until(&format!("{author} === {}", json!(ben.username)))
            .await;
        assert_eq!(browser.complaints().await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn d8_a_page_that_lost_its_socket_shows_what_it_missed() {
    let mesh = Mesh::current();
    let (ada, ben) = (mesh.person().await, mesh.person().await);
    let id = post(&ada).await;
    let browser = watching(&ada, &id).await;
    // Its sockets are the test's from now on: one that is open, and those to come, which are refused. A port where nobody
    // listens would not do: with some the constructor throws, and no page tries again after that.
    browser
        .run(
            "const Real = WebSocket, send = Real.prototype.send;
             Real.prototype.send = function (text) { window.open1 = this; return send.call(this, text); };
             window.WebSocket = class extends Real {
               constructor(url, protocols) { super(window.away ? new URL('/nowhere', url) : url, protocols); }
             };",
        )
        .await;
    write(&browser, "one").await;
    browser
        .run("window.away = true; window.open1.close()")
        .await;
    browser
        .until("document.getElementById('connection').textContent.includes('lost')")
        .await;
    for text in ["two", "three", "four"] {
        comment(&ben, &id, text).await;
    }
    assert_eq!(texts(&browser).await, json!(["one"]));
    browser.run("window.away = false").await;
    shows(&browser, "four").await;
    browser.until(LIVE).await;
    write(&browser, "five").await;
    assert_eq!(
        texts(&browser).await,
        json!(["one", "two", "three", "four", "five"])
    );
}

/// Opens the list of posts; where on it a post is.
async fn listed(browser: &Browser, id: &str) -> String {
    let url = format!("{}/live", Mesh::current().address("ingress"));
    let link = format!("#posts a[href='/live?post={id}']");
    let there = format!("return Boolean(document.querySelector({}))", json!(link));
    // Others write posts meanwhile: the list is read again until this one is on it.
    eventually("the post is on the list", || async {
        browser.open(&url).await;
        browser
            .until("!document.getElementById('posts').hidden")
            .await;
        let is_there = browser.run(&there).await == true;
        is_there.then_some(()).ok_or_else(|| "not yet".to_owned())
    })
    .await;
    link
}

#[tokio::test]
async fn d3_a_page_says_when_a_sign_in_fails_or_ends() {
    let mesh = Mesh::current();
    let ada = mesh.person().await;
    let id = post(&ada).await;
    let browser = Browser::start().await;
    browser.click(&listed(&browser, &id).await).await;
    browser.until(LIVE).await;
    assert_eq!(
        browser
            .run("return document.getElementById('text').disabled")
            .await,
        true,
        "nobody is signed in"
    );
    sign_in(&browser, &ada, "not the password").await;
    browser
        .until("document.getElementById('problem').textContent")
        .await;
    sign_in(&browser, &ada, PASSWORD).await;
    write(&browser, "Mine").await;
    let token = browser
        .run("return JSON.parse(sessionStorage.getItem('me')).token")
        .await;
    let token = token.as_str().unwrap();
    let logout = mesh.call(Method::POST, "/api/auth/logout", token, &Value::Null);
    logout.await.expect(200);
    eventually("the page offers to sign in again", || async {
        type_in(&browser, "text", "Not mine").await;
        browser
            .run("document.querySelector('#write button').click()")
            .await;
        let offered = browser
            .run("return !document.getElementById('login').hidden")
            .await;
        if offered == true {
            Ok(())
        } else {
            Err(texts(&browser).await.to_string())
        }
    })
    .await;
    let problem = "document.getElementById('problem').textContent.includes('sign in again')";
    browser.until(problem).await;
    assert_eq!(
        browser.run("return sessionStorage.getItem('me')").await,
        Value::Null
    );
}
