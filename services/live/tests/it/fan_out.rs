//! Many sockets, many rooms, two instances, one of which dies without a word.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use live::Live;
use serde_json::Value;
use testkit::{TestService, eventually_within};
use tokio::{runtime::Runtime, sync::Mutex, task::JoinSet};
use tokio_tungstenite::tungstenite::Message;

use crate::world::{Client, World};

const ROOMS: usize = 10;
const SOCKETS: usize = 200;
const COMMENTS: usize = 40;

/// What each listener has, by its number.
type Heard = Arc<Mutex<HashMap<usize, Vec<String>>>>;

/// Listens for ever: connects to one of the instances, and when that ends to the other, asking
/// for what it missed.
async fn listen(number: usize, addresses: Vec<String>, heard: Heard) {
    let room = number % ROOMS;
    for attempt in number.. {
        let after = match heard.lock().await.get(&number).map(Vec::len) {
            Some(places) => format!("?after=room-{room}.{places}"),
            None => "?after=0".to_owned(),
        };
        let address = &addresses[attempt % addresses.len()];
        let url = format!("ws://{address}/ws/posts/room-{room}/comments{after}");
        let Ok((mut stream, _)) = tokio_tungstenite::connect_async(url).await else {
            tokio::task::yield_now().await;
            continue;
        };
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Text(text) = message {
                let comment: Value = serde_json::from_str(&text).unwrap();
                let text = comment["comment_text"].as_str().unwrap().to_owned();
                heard.lock().await.entry(number).or_default().push(text);
            }
        }
    }
}

async fn write(live: &TestService<Live>, room: usize, texts: std::ops::Range<usize>) {
    let token = live.token(i64::try_from(room).unwrap() + 1, "writer");
    let path = format!("/ws/posts/room-{room}/comments");
    let mut writer = Client::open(live, &path, Some(&token)).await;
    for number in texts {
        writer.comment(&format!("{number}")).await;
        // In step with the answers, so that the writer is no flood.
        while writer.heard().await["comment_text"] != format!("{number}") {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s0_11_every_list_is_the_same_after_an_instance_died() {
    let world = Arc::new(World::start());
    let flags = ["--messages-per-second=1000"];
    // All that an instance is ends with its runtime, at whatever place it has come to.
    let doomed = Runtime::new().unwrap();
    let starting = Arc::clone(&world);
    let dying = doomed.spawn(async move { starting.live(&flags).await });
    let (dying, staying) = (dying.await.unwrap(), world.live(&flags).await);
    let addresses = vec![dying.address.to_string(), staying.address.to_string()];
    let heard = Heard::default();
    let mut listeners = JoinSet::new();
    for number in 0..SOCKETS {
        listeners.spawn(listen(number, addresses.clone(), Arc::clone(&heard)));
    }
    for room in 0..ROOMS {
        write(
            if room % 2 == 0 { &dying } else { &staying },
            room,
            0..COMMENTS / 2,
        )
        .await;
    }
    let staying = Arc::new(staying);
    let mut writers = JoinSet::new();
    for room in 0..ROOMS {
        let staying = Arc::clone(&staying);
        writers.spawn(async move { write(&staying, room, COMMENTS / 2..COMMENTS).await });
    }
    doomed.shutdown_background();
    while let Some(written) = writers.join_next().await {
        written.unwrap();
    }
    let expected: Vec<String> = (0..COMMENTS).map(|number| number.to_string()).collect();
    eventually_within(Duration::from_mins(1), "every list is whole", || async {
        let heard = heard.lock().await;
        let whole = heard.values().filter(|list| **list == expected).count();
        if whole == SOCKETS {
            Ok(())
        } else {
            Err(format!("{whole} lists are whole"))
        }
    })
    .await;
}
