//! A socket ends with the token of who opened it, and says so.

use live::Live;
use proto::users::{Revocation, TokenUpdate};
use serde_json::json;
use testkit::{Signer, TestService, eventually};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    socketio::{Io, PATH, knock, post},
    world::{Client, World, refused},
};

const LOGGED_OUT: &str = "The token was logged out";
const EXPIRED: &str = "The token has expired";
const DOORS: [&str; 4] = [
    "/ws/posts/p/comments",
    "/ws/topics/golf",
    "/ws/reviews",
    "/",
];

/// Tells an instance of logouts, as `users` does; with a snapshot after a stream was lost.
pub fn log_out(live: &TestService<Live>, ids: &[&str], snapshot: bool) {
    let expires_at = chassis::clock::now().timestamp() + 600;
    let revoked = ids.iter().map(|jti| Revocation {
        jti: (*jti).to_owned(),
        expires_at,
    });
    live.context.tokens.apply(TokenUpdate {
        snapshot,
        keys: vec![],
        revoked: revoked.collect(),
    });
}

fn ended(reason: &str) -> (u16, String) {
    (4401, reason.to_owned())
}

#[tokio::test]
async fn sockets_end_with_the_logout_and_those_of_others_stay() {
    let world = World::start();
    let live = world.live(&[]).await;
    for snapshot in [false, true] {
        let claims = Signer::claims(8, "ben");
        let token = live.signer().sign(&claims);
        let ada = live.token(7, "ada");
        let mut ending = Vec::new();
        for door in DOORS {
            ending.push(Client::open(&live, door, Some(&token)).await);
        }
        let query = format!("{}?access_token={token}", DOORS[0]);
        ending.push(Client::open(&live, &query, None).await);
        let mut guest = Client::open(&live, DOORS[0], None).await;
        let mut other = Client::open(&live, DOORS[0], Some(&ada)).await;

        log_out(&live, &["unknown", &claims.jti], snapshot);

        for client in &mut ending {
            assert_eq!(client.farewell().await, ended(LOGGED_OUT));
        }
        other.comment("still here").await;
        for client in [&mut guest, &mut other] {
            assert_eq!(client.texts(1).await, ["still here"]);
        }
        // With this token nobody comes in again; with none, or another one, they do.
        let again = Client::try_open(&live, DOORS[0], Some(&token)).await;
        assert_eq!(refused(again), 401);
        Client::open(&live, DOORS[0], None).await;
        let fresh = live.token(8, "ben");
        let mut back = Client::open(&live, DOORS[0], Some(&fresh)).await;
        back.comment("back").await;
        assert_eq!(back.texts(1).await, ["back"]);
    }
}

#[tokio::test]
async fn a_socket_ends_at_the_end_of_its_token() {
    let world = World::start();
    let live = world.live(&[]).await;
    let mut claims = Signer::claims(7, "ada");
    claims.exp = claims.iat + 3;
    let token = live.signer().sign(&claims);
    let mut ada = Client::open(&live, DOORS[0], Some(&token)).await;
    let mut io = Io::connect(&live, json!({ "token": token })).await;
    let mut guest = Client::open(&live, DOORS[0], None).await;
    ada.comment("in time").await;
    assert_eq!(ada.texts(1).await, ["in time"]);
    assert_eq!(ada.farewell().await, ended(EXPIRED));
    assert_eq!(io.error().await, EXPIRED);
    assert_eq!(io.heard().await, "41");
    assert_eq!(io.0.farewell().await, ended(EXPIRED));
    assert_eq!(guest.texts(1).await, ["in time"]);
    world.discussions.tell("p", 9, "by rest");
    assert_eq!(guest.texts(1).await, ["by rest"]);
    // Who comes within the seconds by which clocks may differ has those, and no more.
    eventually("nobody comes in any more", || async {
        match Client::try_open(&live, DOORS[0], Some(&token)).await {
            Ok(mut late) => {
                assert_eq!(late.farewell().await, ended(EXPIRED));
                Err("let in".to_owned())
            }
            refusal => {
                assert_eq!(refused(refusal), 401);
                Ok(())
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_of_socket_io_is_told_why_it_goes() {
    let world = World::start();
    let live = world.live(&[]).await;
    let claims = Signer::claims(8, "ben");
    let token = live.signer().sign(&claims);
    let mut io = Io::connect(&live, json!({ "token": token })).await;
    // The token of the request counts until one comes in `auth`, and then that one alone.
    let (old, new) = (Signer::claims(7, "ada"), live.token(7, "ada"));
    let opened_with = live.signer().sign(&old);
    let mut outside = Client::open(&live, PATH, Some(&opened_with)).await;
    let mut inside = Io(Client::open(&live, PATH, Some(&opened_with)).await);
    inside.heard().await;
    inside.say(format!("40{}", json!({ "token": new }))).await;
    assert!(inside.heard().await.starts_with("40{"));
    // Over polling, it has said who it is before it has a WebSocket.
    let sid = knock(&live).await;
    let connect = format!("40{}", json!({ "token": token }));
    assert_eq!(post(&live, &sid, connect).await.text, "ok");

    log_out(&live, &[&claims.jti, &old.jti], false);

    assert_eq!(io.error().await, LOGGED_OUT);
    assert_eq!(io.heard().await, "41");
    assert_eq!(io.0.farewell().await, ended(LOGGED_OUT));
    assert_eq!(outside.farewell().await, ended(LOGGED_OUT));
    assert_eq!(inside.emit("join", json!("posts/p")).await.0["ok"], true);
    let mut late = Io(Client::open(&live, &format!("{PATH}&sid={sid}"), None).await);
    late.say("2probe").await;
    assert_eq!(late.heard().await, "3probe");
    late.say("5").await;
    let refusal = late.heard().await;
    assert!(
        refusal.starts_with("44") && refusal.contains(LOGGED_OUT),
        "{refusal}"
    );
}

#[tokio::test]
async fn a_socket_ends_also_while_it_waits_for_an_answer() {
    let world = World::start();
    let live = world.live(&[]).await;
    let claims = Signer::claims(8, "ben");
    let token = live.signer().sign(&claims);
    let mut ben = Client::open(&live, DOORS[0], Some(&token)).await;
    let mut guest = Client::open(&live, DOORS[0], None).await;
    world.discussions.hang();
    ben.comment("lost").await;
    world.discussions.tell("p", 9, "before");
    for client in [&mut ben, &mut guest] {
        assert_eq!(client.texts(1).await, ["before"]);
    }
    log_out(&live, &[&claims.jti], false);
    // It is not told what became of its comment first.
    let farewell = ben.next().await;
    assert!(
        matches!(&farewell, Some(Message::Close(Some(frame))) if frame.reason == LOGGED_OUT),
        "{farewell:?}"
    );
    world.discussions.tell("p", 9, "after");
    assert_eq!(guest.texts(1).await, ["after"]);
}
