use std::time::Duration;

use discovery::{Error, Registration, Registry as _, Remote};
use testkit::eventually;

use crate::helpers::{ANNA, Plaza};

fn instance() -> Registration {
    Registration {
        service: "timelines".into(),
        id: "timelines-1".into(),
        address: ([127, 0, 0, 1], 5200).into(),
        admin: ([127, 0, 0, 1], 2).into(),
        upstreams: [].into(),
        ready: true,
        meta: [].into(),
    }
}

impl Plaza {
    fn url(&self) -> String {
        format!("http://{}", self.registry.address)
    }

    fn remote(&self) -> Remote {
        Remote::new(&self.url(), &self.token(ANNA)).unwrap()
    }
}

#[tokio::test]
async fn s2_40_a_service_announces_itself_at_a_registry_url() {
    let plaza = Plaza::start().await;
    // Behind a gateway the registry has a prefix.
    for url in [plaza.url(), format!("{}/registry/", plaza.url())] {
        let remote = Remote::new(&url, &plaza.token(ANNA)).unwrap();
        remote
            .register(&Registration {
                ready: false,
                ..instance()
            })
            .await
            .unwrap();
        assert!(
            plaza.instances("timelines").await.is_empty(),
            "not before it is ready"
        );
        assert!(!remote.is_registered("timelines-1").await.unwrap());
        remote.register(&instance()).await.unwrap();
        assert!(remote.is_registered("timelines-1").await.unwrap());
        let found = plaza.instances("timelines").await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["base_url"], "http://127.0.0.1:5200");
        let healthy = remote.healthy("timelines").await.unwrap();
        assert_eq!(
            (healthy[0].address.as_str(), healthy[0].port),
            ("127.0.0.1", 5200)
        );
        assert!(remote.healthy("nothing").await.unwrap().is_empty());
        remote.deregister("timelines-1").await.unwrap();
        remote.deregister("timelines-1").await.unwrap();
        assert!(plaza.instances("timelines").await.is_empty());
    }
}

#[tokio::test]
async fn s2_13_being_asked_sends_heartbeats_and_a_lost_instance_comes_back() {
    let plaza = Plaza::quick().await;
    let remote = plaza.remote().every(Duration::from_millis(200));
    remote.register(&instance()).await.unwrap();
    let id = plaza.instances("timelines").await[0]["instance_id"].clone();
    let started = std::time::Instant::now();
    eventually("it stays", || async {
        assert!(remote.is_registered("timelines-1").await.unwrap());
        // It would be gone after nine seconds; on a busy machine it may be critical for a moment.
        assert_eq!(plaza.instances("timelines").await.len(), 1);
        if started.elapsed() > Duration::from_secs(10) {
            Ok(())
        } else {
            Err(String::new())
        }
    })
    .await;
    plaza
        .deregister(ANNA, id.as_str().unwrap())
        .await
        .expect(200);
    eventually("it knows that it is unknown", || async {
        match remote.is_registered("timelines-1").await {
            Ok(false) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    remote.register(&instance()).await.unwrap();
    assert_eq!(plaza.instances("timelines").await.len(), 1);
}

#[tokio::test]
async fn s2_40_a_refusal_says_why_and_is_not_asked_again_at_once() {
    let plaza = Plaza::start().await;
    let remote = plaza.remote();
    let users = Registration {
        service: "users".into(),
        ..instance()
    };
    for _ in 0..2 {
        let refused = remote.register(&users).await;
        assert!(
            matches!(&refused, Err(Error::Refused(why)) if why.contains("409")),
            "{refused:?}"
        );
    }
    let stranger = Remote::new(&plaza.url(), "no-token").unwrap();
    let refused = stranger.register(&instance()).await;
    assert!(
        matches!(&refused, Err(Error::Refused(why)) if why.contains("401")),
        "{refused:?}"
    );
    for (url, token) in [
        ("x", "a"),
        ("ftp://a", "a"),
        ("http://a", ""),
        ("http://a", "a b"),
    ] {
        assert!(Remote::new(url, token).is_err(), "{url} {token}");
    }
    let nobody = Remote::new("http://127.0.0.1:1", "a").unwrap();
    assert!(matches!(
        nobody.register(&instance()).await,
        Err(Error::Away(..))
    ));
}

#[tokio::test]
async fn s2_40_a_token_file_is_read_each_time() {
    let plaza = Plaza::start().await;
    let data = plaza.registry.data();
    let file = data.path().join("token");
    let remote = Remote::with_token_file(&plaza.url(), file.clone()).unwrap();
    assert!(matches!(
        remote.register(&instance()).await,
        Err(Error::Refused(_))
    ));
    std::fs::write(&file, plaza.token(ANNA) + "\n").unwrap();
    let remote = Remote::with_token_file(&plaza.url(), file).unwrap();
    remote.register(&instance()).await.unwrap();
}
