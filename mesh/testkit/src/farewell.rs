//! `users`, as a service hears it when an account is deleted.

use chassis::Service;
use messaging::{
    Broker, declared,
    events::{UserDeleted, UserForgotten},
    farewell,
};
use tokio::sync::{
    Mutex,
    mpsc::{UnboundedReceiver, unbounded_channel},
};

use crate::{PATIENCE, TestService};

/// Tells one service of deletions, and hears its answers.
#[derive(Debug)]
pub struct Farewell {
    broker: Broker,
    answers: Mutex<UnboundedReceiver<(&'static str, UserForgotten)>>,
    service: &'static str,
}

impl Farewell {
    /// Begins to listen, at the broker that the service was given.
    ///
    /// # Panics
    /// When the queues are not there in time.
    pub async fn to<S: Service>(service: &TestService<S>, amqp: &str) -> Self {
        let broker = |name: &str| {
            let settings = messaging::Settings {
                amqp_url: amqp.to_owned().into(),
                messaging_failpoint: None,
            };
            Broker::new(name, &settings, &service.context).expect("a URL")
        };
        let (sender, answers) = unbounded_channel();
        let users = broker("users");
        farewell::collect(&users, &service.context, move |service, answer| {
            let _ = sender.send((service, answer));
            async { Ok(()) }
        });
        for (broker, name) in [(&users, "users"), (&broker(S::NAME), S::NAME)] {
            let queue = format!("{name}.farewells");
            let there = declared(broker, &queue, PATIENCE).await;
            there.unwrap_or_else(|error| panic!("{queue}: {error:#}"));
        }
        Self {
            broker: users,
            answers: Mutex::new(answers),
            service: S::NAME,
        }
    }

    /// Tells that an account is deleted, for the `round`-th time, and waits for the answer.
    ///
    /// # Panics
    /// When it is another one, or does not come.
    pub async fn deleted(&self, user_id: i64, username: &str, round: i32) {
        let event = UserDeleted {
            user_id,
            username: username.to_lowercase(),
            round,
        };
        let told = self.broker.publish(&event).await;
        told.unwrap_or_else(|failure| panic!("{failure:?}"));
        let mut answers = self.answers.lock().await;
        let answer = tokio::time::timeout(PATIENCE, answers.recv());
        let answer = answer.await.expect("an answer").expect("a collector");
        assert_eq!(answer, (self.service, UserForgotten { user_id, round }));
    }
}
