//! Who has to know at once that a token ended which was good: an open socket talks longer than a request takes.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use tokio_util::sync::CancellationToken;

use super::{ALL_OF, Identity, LEEWAY, Tokens};
use crate::clock;

/// How long a timer runs until the time of day is looked at again, which may have been set meanwhile.
const LOOK: Duration = Duration::from_secs(30);

/// Why a token is good no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenEnd {
    /// Its time is over.
    Expired,
    /// Its owner logged out.
    LoggedOut,
    /// It would be refused now, for whatever reason.
    Refused,
}

/// Tokens whose end somebody waits for, by `jti`. A logout looks up its own token here: what it costs does not grow with
/// the number of those who wait for others.
#[derive(Debug, Default)]
pub(super) struct Watchers(Mutex<HashMap<String, (Arc<Watched>, usize)>>);

/// A token, for all who wait for its end.
#[derive(Debug)]
struct Watched {
    identity: Identity,
    ended: CancellationToken,
    why: OnceLock<TokenEnd>,
}

impl Watched {
    /// The first reason counts.
    fn end(&self, why: TokenEnd) {
        let _ = self.why.set(why);
        self.ended.cancel();
    }
}

impl Watchers {
    /// Tells who waits for the end of these tokens.
    pub(super) fn log_out<'a>(&self, ids: impl Iterator<Item = &'a str>) {
        let watchers = self.lock();
        if watchers.is_empty() {
            return;
        }
        for jti in ids {
            match jti.strip_prefix(ALL_OF).map(str::parse::<i64>) {
                // Somebody deletes their account: rare enough to look at all.
                Some(user_id) => {
                    let theirs = |watched: &Watched| Ok(watched.identity.user_id) == user_id;
                    let all = watchers.values().map(|(watched, _)| watched);
                    all.filter(|watched| theirs(watched))
                        .for_each(|watched| watched.end(TokenEnd::LoggedOut));
                }
                None => {
                    if let Some((watched, _)) = watchers.get(jti) {
                        watched.end(TokenEnd::LoggedOut);
                    }
                }
            }
        }
    }

    /// Looks at all of them again, which is needed when keys have changed.
    pub(super) fn look(&self, is_good: impl Fn(&Identity) -> bool) {
        let all: Vec<_> = self
            .lock()
            .values()
            .map(|(one, _)| Arc::clone(one))
            .collect();
        for watched in all.iter().filter(|one| !is_good(&one.identity)) {
            watched.end(TokenEnd::Refused);
        }
    }

    fn add(&self, identity: &Identity) -> Arc<Watched> {
        let mut watchers = self.lock();
        let (watched, number) = watchers.entry(identity.jti.clone()).or_insert_with(|| {
            let watched = Watched {
                identity: identity.clone(),
                ended: CancellationToken::new(),
                why: OnceLock::new(),
            };
            (Arc::new(watched), 0)
        });
        *number += 1;
        Arc::clone(watched)
    }

    fn remove(&self, jti: &str) {
        let mut watchers = self.lock();
        if let Some((_, number)) = watchers.get_mut(jti) {
            *number -= 1;
            if *number == 0 {
                watchers.remove(jti);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, (Arc<Watched>, usize)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for the end of one token.
#[derive(Debug)]
pub struct TokenWatch {
    watched: Arc<Watched>,
    ends_at: i64,
    watchers: Arc<Watchers>,
}

impl Tokens {
    /// Watches a token that was good. It ends at its `exp`; whoever came with it in the seconds by which clocks may differ
    /// has those.
    pub fn watch(&self, identity: &Identity) -> TokenWatch {
        let expires_at = identity.expires_at;
        let is_late = expires_at <= clock::now().timestamp();
        let watch = TokenWatch {
            watched: self.watchers.add(identity),
            ends_at: expires_at + if is_late { LEEWAY.cast_signed() + 1 } else { 0 },
            watchers: Arc::clone(&self.watchers),
        };
        // It may have ended after it was found good, and before it was watched.
        if self.is_revoked(identity) {
            watch.watched.end(TokenEnd::LoggedOut);
        } else if watch.ends_at > clock::now().timestamp() && self.still_good(identity).is_err() {
            watch.watched.end(TokenEnd::Refused);
        }
        watch
    }
}

impl TokenWatch {
    /// Waits until the token is good no more.
    pub async fn ended(&self) -> TokenEnd {
        tokio::select! {
            biased;
            () = self.watched.ended.cancelled() => {
                self.watched.why.get().copied().unwrap_or(TokenEnd::Refused)
            }
            () = until(self.ends_at) => TokenEnd::Expired,
        }
    }
}

impl Drop for TokenWatch {
    fn drop(&mut self) {
        self.watchers.remove(&self.watched.identity.jti);
    }
}

/// Waits for a time of day, in seconds since the epoch.
async fn until(time: i64) {
    loop {
        let left = time.saturating_mul(1000) - clock::now().timestamp_millis();
        match u64::try_from(left) {
            Ok(left) if left > 0 => tokio::time::sleep(LOOK.min(Duration::from_millis(left))).await,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::users::{Revocation, TokenUpdate};
    use secrecy::SecretString;

    use super::*;
    use crate::token::Scheme;

    fn tokens() -> Tokens {
        let tokens = Tokens::new(Scheme::Hs256(SecretString::from("secret")));
        tokens.apply(update(true, &[]));
        tokens
    }

    fn update(snapshot: bool, ids: &[&str]) -> TokenUpdate {
        let expires_at = clock::now().timestamp() + 600;
        let revoked = ids.iter().map(|jti| Revocation {
            jti: (*jti).to_owned(),
            expires_at,
        });
        TokenUpdate {
            snapshot,
            keys: vec![],
            revoked: revoked.collect(),
        }
    }

    fn identity(jti: &str, seconds: i64) -> Identity {
        Identity {
            user_id: 7,
            username: "ada".into(),
            jti: jti.into(),
            expires_at: clock::now().timestamp() + seconds,
            key: None,
        }
    }

    #[tokio::test]
    async fn all_who_watch_a_token_hear_of_its_logout_and_nobody_else() {
        let tokens = tokens();
        let [one, other] = [(); 2].map(|()| tokens.watch(&identity("a", 600)));
        let stays = tokens.watch(&identity("b", 600));
        tokens.apply(update(false, &["a", "unknown"]));
        assert_eq!(one.ended().await, TokenEnd::LoggedOut);
        assert_eq!(other.ended().await, TokenEnd::LoggedOut);
        assert!(!stays.watched.ended.is_cancelled());
        // A stream that was lost begins with a snapshot.
        tokens.apply(update(true, &["a", "b"]));
        assert_eq!(stays.ended().await, TokenEnd::LoggedOut);
        // Between the check and the watch.
        let late = tokens.watch(&identity("a", 600));
        assert_eq!(late.ended().await, TokenEnd::LoggedOut);
        drop((one, other, stays, late));
        assert!(tokens.watchers.lock().is_empty());
    }

    #[tokio::test]
    async fn all_tokens_of_somebody_who_is_no_more_end_and_no_others() {
        let tokens = tokens();
        let [one, other] = ["a", "b"].map(|jti| tokens.watch(&identity(jti, 600)));
        let somebody = Identity {
            user_id: 70,
            ..identity("c", 600)
        };
        let stays = tokens.watch(&somebody);
        tokens.apply(update(false, &[&super::super::all_of(7)]));
        assert_eq!(one.ended().await, TokenEnd::LoggedOut);
        assert_eq!(other.ended().await, TokenEnd::LoggedOut);
        assert!(!stays.watched.ended.is_cancelled());
        assert!(tokens.still_good(&somebody).is_ok());
        // One that was issued at that very moment.
        assert!(tokens.still_good(&identity("d", 600)).is_err());
        let late = tokens.watch(&identity("d", 600));
        assert_eq!(late.ended().await, TokenEnd::LoggedOut);
    }

    #[tokio::test]
    async fn a_token_that_would_be_refused_now_ends() {
        let tokens = tokens();
        let [bad, good] = ["bad", "good"].map(|jti| tokens.watch(&identity(jti, 600)));
        tokens.watchers.look(|identity| identity.jti == "good");
        assert_eq!(bad.ended().await, TokenEnd::Refused);
        assert!(!good.watched.ended.is_cancelled());
    }

    #[tokio::test]
    async fn a_token_ends_at_its_time_and_who_came_late_has_the_leeway() {
        let tokens = tokens();
        assert_eq!(
            tokens.watch(&identity("a", 1)).ended().await,
            TokenEnd::Expired
        );
        let late = tokens.watch(&identity("a", -1));
        assert!(late.ends_at > clock::now().timestamp() + 3);
        let over = tokens.watch(&identity("a", -60));
        assert_eq!(over.ended().await, TokenEnd::Expired);
        let endless = tokens.watch(&identity("a", i64::MAX / 2));
        let waited = tokio::time::timeout(Duration::from_millis(20), endless.ended()).await;
        assert!(waited.is_err());
    }
}
