//! The peers that `timelines` calls.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{Call, Code, Context};
use moka::sync::Cache;
use proto::users::FindRequest;
use tokio::time::Instant;

use crate::model::Username;

chassis::peer! {
    /// What timelines asks of `users`.
    pub(crate) struct Users { find => proto::users::UsersFind }
}

/// Names kept in memory that are known to be somebody's.
const NAMES_KEPT: u64 = 10_000;
/// This is how long it may go unnoticed that an account was deleted: a list of its posts is then empty, rather than 404.
const NAMES_LIFE: Duration = Duration::from_mins(10);
/// After a failure, nobody is asked for this time rather than each waiting in vain.
const PAUSE: Duration = Duration::from_secs(1);

/// Who exists: asked of `users`, which may be away.
#[derive(Debug)]
pub(crate) struct People {
    users: Users,
    known: Cache<Username, ()>,
    silent_until: Mutex<Option<Instant>>,
}

impl People {
    pub(crate) const CALLS: &'static [Call] = Users::CALLS;

    pub(crate) fn connect(context: &Context) -> anyhow::Result<Self> {
        Ok(Self {
            users: Users::connect(context)?,
            known: Cache::builder()
                .max_capacity(NAMES_KEPT)
                .time_to_live(NAMES_LIFE)
                .build(),
            silent_until: Mutex::default(),
        })
    }

    /// Whether `users` says that nobody has this name; false while it says nothing.
    pub(crate) async fn is_nobody(&self, username: &Username) -> bool {
        let silent = *self.silent_until();
        if self.known.contains_key(username) || silent.is_some_and(|until| Instant::now() < until) {
            return false;
        }
        let request = FindRequest {
            username: username.key().to_owned(),
        };
        match self.users.find(request).await {
            Ok(_) => {
                self.known.insert(username.clone(), ());
                false
            }
            Err(error) if error.code() == Code::NotFound => true,
            Err(error) => {
                tracing::info!(cause = %error, "nobody says who exists");
                *self.silent_until() = Some(Instant::now() + PAUSE);
                false
            }
        }
    }

    // A poisoned lock only means that another thread panicked: the time in it is still a time.
    fn silent_until(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
