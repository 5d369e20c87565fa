//! Limits of logins and registrations: counted before a password is hashed, for all instances.

mod local;

use std::{net::IpAddr, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chassis::Error;
use metrics::counter;
use moka::sync::Cache;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::store::{Counted, Limit, Store, TooMany, WINDOW, Within};
use local::Local;

/// Most instances that count together (`scale` in `mesh/services.toml`).
const INSTANCES: u32 = 3;
/// Accounts and networks whose turns are kept.
const CAPACITY: u64 = 100_000;

/// How much there may be in a minute.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Failed logins to an account from one network.
    pub(crate) failures_per_account: u32,
    /// Failed logins to an account from all networks together that it does not know.
    pub(crate) failures_from_strangers: u32,
    /// Failed logins from one network, to whichever accounts.
    pub(crate) failures_per_address: u32,
    /// Registrations from one network.
    pub(crate) registrations_per_address: u32,
}

/// Whose password is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// An account, by whichever of its names it was addressed.
    Account(i64),
    /// A name that nobody has: limited alike, so that the answers do not tell which names there are.
    Nobody(String),
}

impl Subject {
    /// Nobody, under a name as it is compared.
    pub(crate) fn nobody(name: &str) -> Self {
        Self::Nobody(URL_SAFE_NO_PAD.encode(digest(&SHA256, name.as_bytes())))
    }

    fn account(&self) -> Option<i64> {
        match self {
            Self::Account(id) => Some(*id),
            Self::Nobody(_) => None,
        }
    }

    fn scope(&self) -> String {
        match self {
            Self::Account(id) => format!("account {id}"),
            Self::Nobody(digest) => format!("name {digest}"),
        }
    }
}

/// Refuses what was tried too often within a minute.
///
/// The store counts, so a limit holds for all instances together and over restarts. While it cannot
/// be written to, each instance counts for itself.
#[derive(Debug)]
pub(crate) struct Throttle {
    store: Store,
    local: Local,
    limits: Limits,
    turns: Cache<String, Arc<Semaphore>>,
}

/// A login that is counted as failed until it is told otherwise.
#[derive(Debug)]
pub(crate) struct Attempt<'a> {
    throttle: &'a Throttle,
    counted: Tally,
    /// The account and the network, and when the one was known to be used from the other.
    from: Option<(i64, IpAddr)>,
    noted: Option<i64>,
    _turn: OwnedSemaphorePermit,
}

/// Where attempts were counted.
#[derive(Debug)]
enum Tally {
    Store(Vec<Counted>),
    Local(Vec<Counted>),
}

impl Throttle {
    pub(crate) fn new(store: Store, limits: Limits) -> Self {
        Self {
            store,
            local: Local::default(),
            limits,
            turns: Cache::builder()
                .time_to_idle(WINDOW)
                .max_capacity(CAPACITY)
                .build(),
        }
    }

    /// Begins a login.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub(crate) async fn attempt(
        &self,
        subject: &Subject,
        network: Option<IpAddr>,
    ) -> Result<Attempt<'_>, Error> {
        let from = subject.account().zip(network);
        // The one that nobody has is looked up too, for it shall take as long.
        let (id, place) = from.unwrap_or((0, network.unwrap_or(IpAddr::from([0; 4]))));
        let noted = self.store.network_used_at(id, place).await?;
        let limits = self.of_login(subject, network, noted.is_some());
        let turn = self.turn(&limits[0].scope).await?;
        let refused = |refused: TooMany| {
            counter!("logins_refused_total").increment(1);
            Error::too_many(
                "Too many failed logins; wait before the next one",
                refused.wait,
            )
        };
        let counted = self.count(&limits).await.map_err(refused)?;
        Ok(Attempt {
            throttle: self,
            counted,
            from,
            noted,
            _turn: turn,
        })
    }

    /// Counts a registration, whatever becomes of it.
    ///
    /// # Errors
    /// 429 with `Retry-After`.
    pub(crate) async fn registration(&self, network: Option<IpAddr>) -> Result<(), Error> {
        let limit = Limit {
            scope: format!("registrations from {}", shown(network)),
            most: self.limits.registrations_per_address,
        };
        self.count(&[limit]).await.map_err(|refused| {
            counter!("registrations_refused_total").increment(1);
            let message = "Too many registrations from your network; wait before the next one";
            Error::too_many(message, refused.wait)
        })?;
        Ok(())
    }

    /// An account is its owner's where it was registered from, too.
    pub(crate) async fn registered(&self, user_id: i64, network: Option<IpAddr>) {
        if let Some(network) = network {
            self.remember(user_id, network, None).await;
        }
    }

    /// Forgets what is over. Endless.
    pub(crate) async fn keep_house(self: Arc<Self>) {
        let mut house = tokio::time::interval(WINDOW);
        loop {
            house.tick().await;
            if let Err(error) = self.store.prune_attempts().await {
                tracing::warn!(cause = %error, "attempts not pruned");
            }
        }
    }

    /// What a login counts for, the account first.
    ///
    /// From a network that the account was used from, what strangers do does not count.
    fn of_login(&self, subject: &Subject, network: Option<IpAddr>, known: bool) -> Vec<Limit> {
        let (account, network) = (subject.scope(), shown(network));
        let limit = |scope, most| Limit { scope, most };
        let own = limit(
            format!("{account} from {network}"),
            self.limits.failures_per_account,
        );
        let strangers = limit(
            format!("{account} from strangers"),
            self.limits.failures_from_strangers,
        );
        let all = limit(
            format!("logins from {network}"),
            self.limits.failures_per_address,
        );
        if known {
            vec![own, all]
        } else {
            vec![own, strangers, all]
        }
    }

    /// Waits until few enough logins to an account from a network are under way.
    ///
    /// Each counts as failed until it has succeeded: more at once would refuse each other though
    /// all are right.
    async fn turn(&self, scope: &str) -> Result<OwnedSemaphorePermit, Error> {
        let at_once = (self.limits.failures_per_account / INSTANCES).max(1);
        let turns = || Arc::new(Semaphore::new(at_once as usize));
        let turns = self.turns.get_with(scope.to_owned(), turns);
        turns.acquire_owned().await.map_err(Error::internal)
    }

    async fn count(&self, limits: &[Limit]) -> Result<Tally, TooMany> {
        match self.store.count(limits).await {
            Ok(within) => within.map(Tally::Store),
            Err(error) => {
                counter!("attempts_counted_alone_total").increment(1);
                tracing::warn!(cause = %error, "attempts are counted by this instance alone");
                self.local.count(limits).map(Tally::Local)
            }
        }
    }

    async fn give_back(&self, counted: &Tally) {
        let given = match counted {
            Tally::Store(counted) => self.store.give_back(counted).await,
            Tally::Local(counted) => {
                self.local.give_back(counted);
                Ok(())
            }
        };
        // It is over within a minute anyway.
        if let Err(error) = given {
            tracing::warn!(cause = %error, "a login counts as failed that was not");
        }
    }

    async fn remember(&self, user_id: i64, network: IpAddr, noted: Option<i64>) {
        let remembered = self.store.remember_network(user_id, network, noted).await;
        if let Err(error) = remembered {
            tracing::warn!(cause = %error, user.id = user_id, "network not remembered");
        }
    }
}

impl Attempt<'_> {
    /// It was the right password.
    pub(crate) async fn succeeded(self) {
        self.throttle.give_back(&self.counted).await;
        if let Some((user_id, network)) = self.from {
            self.throttle.remember(user_id, network, self.noted).await;
        }
    }

    /// Whether it was the right password was not looked at.
    pub(crate) async fn undecided(self) {
        self.throttle.give_back(&self.counted).await;
    }
}

fn shown(network: Option<IpAddr>) -> String {
    network.map_or_else(|| "unknown".to_owned(), |network| network.to_string())
}
