//! The peers that `discussions` calls.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use chassis::{Call, Code, Context, Error};
use metrics::counter;
use moka::sync::Cache;
use proto::users::{GetManyRequest, GetRequest, User};
use tokio::time::Instant;

chassis::peer! {
    /// What discussions asks of `users` (S0-13, D9).
    pub(crate) struct Users {
        get => proto::users::UsersGet,
        get_many => proto::users::UsersGetMany,
    }
}

/// People that one `GetMany` may ask for.
const MAX_IDS: usize = 200;
/// Names are an extra: a list does not wait longer for them.
const NAMES_DEADLINE: Duration = Duration::from_millis(250);
/// A new name shows, and an account that is gone is noticed, after this time at the latest.
const NAMES_LIFE: Duration = Duration::from_secs(10);
/// Names kept in memory.
const NAMES_KEPT: u64 = 10_000;
/// After a failure, lists go without names for this time rather than each waiting in vain.
const NAMES_PAUSE: Duration = Duration::from_secs(1);

/// What is shown of an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Author {
    pub(crate) user_id: i64,
    pub(crate) username: String,
    pub(crate) name: String,
}

impl From<User> for Author {
    fn from(user: User) -> Self {
        Self {
            user_id: user.id,
            username: user.username,
            name: user.name,
        }
    }
}

/// The authors of what is shown, as far as `users` tells.
pub(crate) type AuthorsById = HashMap<i64, Author>;

/// Who writes here: asked of `users`, which may be away.
#[derive(Debug)]
pub(crate) struct Authors {
    users: Users,
    /// `None` for somebody who does not exist.
    known: Cache<i64, Option<Author>>,
    silent_until: Mutex<Option<Instant>>,
}

impl Authors {
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

    /// Refuses an author who does not exist (S0-13). Whoever existed a moment ago does: who talks is not asked about word by word.
    ///
    /// While `users` does not answer, the token, which was verified here, has to do
    /// (`docs/adr/0005`).
    ///
    /// # Errors
    /// 403 when `users` knows nobody of this id.
    pub(crate) async fn require(&self, user_id: i64) -> Result<(), Error> {
        if let Some(Some(_)) = self.known.get(&user_id) {
            return Ok(());
        }
        let (result, answer) = match self.users.get(GetRequest { id: user_id }).await {
            Ok(user) => {
                self.known.insert(user_id, Some(user.into()));
                ("known", Ok(()))
            }
            Err(error) if error.code() == Code::NotFound => (
                "unknown",
                Err(Error::forbidden(
                    "There is no account of this user any more",
                )),
            ),
            Err(error) => {
                tracing::warn!(cause = %error, user.id = user_id, "author not checked");
                ("unchecked", Ok(()))
            }
        };
        counter!("author_checks_total", "result" => result).increment(1);
        answer
    }

    /// The authors of these ids, with one call for those that are not remembered. Never fails:
    /// whoever is not known by then is not in it.
    pub(crate) async fn of(&self, user_ids: impl IntoIterator<Item = i64>) -> AuthorsById {
        let (mut authors, mut missing) = (AuthorsById::new(), Vec::new());
        for id in user_ids.into_iter().collect::<HashSet<_>>() {
            match self.known.get(&id) {
                Some(Some(author)) => drop(authors.insert(id, author)),
                Some(None) => {}
                None => missing.push(id),
            }
        }
        for ids in missing.chunks(MAX_IDS) {
            authors.extend(
                self.ask(ids)
                    .await
                    .into_iter()
                    .map(|author| (author.user_id, author)),
            );
        }
        authors
    }

    async fn ask(&self, ids: &[i64]) -> Vec<Author> {
        if self
            .silent_until()
            .is_some_and(|until| Instant::now() < until)
        {
            return Vec::new();
        }
        let call = self.users.get_many(GetManyRequest { ids: ids.to_vec() });
        let Ok(Ok(answer)) = tokio::time::timeout(NAMES_DEADLINE, call).await else {
            tracing::info!("authors shown without names");
            *self.silent_until() = Some(Instant::now() + NAMES_PAUSE);
            return Vec::new();
        };
        let authors: Vec<Author> = answer.users.into_iter().map(Author::from).collect();
        for id in ids {
            let author = authors.iter().find(|author| author.user_id == *id);
            self.known.insert(*id, author.cloned());
        }
        authors
    }

    // A poisoned lock only means that another thread panicked: the time in it is still a time.
    fn silent_until(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.silent_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
