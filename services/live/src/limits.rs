//! Who may have how much: sockets a user and address, sessions that have no socket yet, messages a second.

use std::{
    collections::HashMap,
    fmt,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::{Error, client};
use tokio::time::Instant;

use crate::metrics;

/// When somebody who has too many sockets may try again.
const LATER: Duration = Duration::from_secs(5);

/// Settings of limits, for each instance.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "live_limits")]
pub struct Limits {
    /// Sockets that an instance holds at most
    #[arg(long, env = "LIVE_SOCKETS", default_value_t = 10_000)]
    pub sockets: usize,
    /// Sockets that one signed-in user may have on an instance
    #[arg(long, env = "LIVE_SOCKETS_PER_USER", default_value_t = 20)]
    pub sockets_per_user: usize,
    /// Sockets that one address may have on an instance without signing in
    #[arg(long, env = "LIVE_SOCKETS_PER_ADDRESS", default_value_t = 500)]
    pub sockets_per_address: usize,
    /// Sockets that one address may have on an instance, with those of who is signed in
    #[arg(long, env = "LIVE_SOCKETS_PER_ADDRESS_IN_ALL", default_value_t = 5_000)]
    pub sockets_per_address_in_all: usize,
    /// Socket.IO sessions that one address may have on all instances before their WebSockets are open
    #[arg(long, env = "LIVE_POLLING_PER_ADDRESS", default_value_t = 100)]
    pub polling_per_address: usize,
    /// Messages a second that one socket may send in the long run
    #[arg(long, env = "LIVE_MESSAGES_PER_SECOND", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub messages_per_second: u32,
    /// Messages that may wait for a reader before it counts as too slow
    #[arg(long, env = "LIVE_QUEUE", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub queue: u32,
}

/// Somebody who counts as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    User(i64),
    /// Those of an address who are not signed in.
    Guests(Option<IpAddr>),
    /// All of an address.
    Address(Option<IpAddr>),
}

/// Who asks: a user or nobody in particular, from an address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asker {
    pub(crate) user_id: Option<i64>,
    address: Option<IpAddr>,
}

impl Asker {
    pub(crate) fn new(user_id: Option<i64>, address: Option<IpAddr>) -> Self {
        let address = address.map(client::network);
        Self { user_id, address }
    }

    /// The same one, as another user.
    pub(crate) fn signed_in_as(self, user_id: Option<i64>) -> Self {
        Self { user_id, ..self }
    }

    /// Who has one socket more by it, and how many each may have.
    fn sockets(self, limits: &Limits) -> [(Holder, usize); 2] {
        let own = match self.user_id {
            Some(id) => (Holder::User(id), limits.sockets_per_user),
            None => (Holder::Guests(self.address), limits.sockets_per_address),
        };
        let all = limits.sockets_per_address_in_all;
        [own, (Holder::Address(self.address), all)]
    }

    /// Who has one more session without a WebSocket by it, and how many each may have.
    pub(crate) fn sessions(self, limits: &Limits) -> Vec<(Holder, usize)> {
        let address = (Holder::Address(self.address), limits.polling_per_address);
        let user = self.user_id.map(Holder::User);
        let user = user.map(|user| (user, limits.sockets_per_user));
        [address].into_iter().chain(user).collect()
    }
}

impl Holder {
    /// What they are told who have enough.
    pub(crate) fn refusal(self, limit: usize, what: &str) -> Error {
        let whose = match self {
            Self::User(_) => "You have",
            Self::Guests(_) | Self::Address(_) => "Your address has",
        };
        Error::too_many(
            format!("{whose} {limit} {what} open: close one first"),
            LATER,
        )
    }
}

/// As a part of a key of Redis.
impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(formatter, "user:{id}"),
            Self::Guests(Some(address)) => write!(formatter, "guests:{address}"),
            Self::Address(Some(address)) => write!(formatter, "address:{address}"),
            Self::Guests(None) | Self::Address(None) => formatter.write_str("nowhere"),
        }
    }
}

/// The sockets that there are.
#[derive(Debug)]
pub(crate) struct Seats {
    limits: Limits,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Holder, usize>,
}

/// The right to one socket, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    holders: [Holder; 2],
}

impl Seats {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        metrics::limit(limits.sockets);
        Arc::new(Self {
            limits,
            taken: Mutex::default(),
        })
    }

    /// A seat for somebody.
    ///
    /// # Errors
    /// 429 when they have enough, 503 when there is none left.
    pub(crate) fn take(self: &Arc<Self>, asker: Asker) -> Result<Seat, Error> {
        let holders = asker.sockets(&self.limits);
        let mut taken = self.taken();
        if taken.all >= self.limits.sockets {
            return Err(Error::unavailable("Too many sockets are open; try again"));
        }
        for (holder, limit) in holders {
            if taken.by.get(&holder).is_some_and(|own| *own >= limit) {
                return Err(holder.refusal(limit, "sockets"));
            }
        }
        for (holder, _) in holders {
            *taken.by.entry(holder).or_default() += 1;
        }
        taken.all += 1;
        Ok(Seat {
            seats: Arc::clone(self),
            holders: holders.map(|(holder, _)| holder),
        })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken();
        taken.all -= 1;
        for holder in self.holders {
            if let Some(own) = taken.by.get_mut(&holder) {
                *own -= 1;
                if *own == 0 {
                    taken.by.remove(&holder);
                }
            }
        }
    }
}

/// A bucket that fills by the second and gives one for each message.
#[derive(Debug)]
pub(crate) struct Bucket {
    full: f64,
    rate: f64,
    left: f64,
    filled_at: Instant,
}

impl Bucket {
    /// Two seconds' worth at first, and never more.
    pub(crate) fn new(per_second: u32) -> Self {
        Self::holding(2 * per_second, per_second)
    }

    /// So many at first, and never more.
    pub(crate) fn holding(full: u32, per_second: u32) -> Self {
        Self {
            full: full.into(),
            rate: per_second.into(),
            left: full.into(),
            filled_at: Instant::now(),
        }
    }

    /// Takes one, if there is one.
    pub(crate) fn take(&mut self) -> bool {
        self.take_at(Instant::now())
    }

    fn take_at(&mut self, now: Instant) -> bool {
        let fresh = now.duration_since(self.filled_at).as_secs_f64() * self.rate;
        self.filled_at = now;
        self.left = (self.left + fresh).min(self.full);
        let some = self.left >= 1.0;
        if some {
            self.left -= 1.0;
        }
        some
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seats() -> Arc<Seats> {
        Seats::new(Limits {
            sockets: 7,
            sockets_per_user: 2,
            sockets_per_address: 2,
            sockets_per_address_in_all: 4,
            polling_per_address: 1,
            messages_per_second: 2,
            queue: 1,
        })
    }

    fn asker(user_id: Option<i64>, last: u8) -> Asker {
        Asker::new(user_id, Some(IpAddr::from([192, 0, 2, last])))
    }

    #[test]
    fn s0_23_a_seat_that_is_given_back_can_be_taken_again() {
        let seats = seats();
        let code = |asker| seats.take(asker).unwrap_err().code();
        let (many, none) = (chassis::Code::TooManyRequests, chassis::Code::Unavailable);
        let first = seats.take(asker(Some(1), 1)).unwrap();
        let second = seats.take(asker(Some(1), 2)).unwrap();
        assert_eq!(code(asker(Some(1), 3)), many);
        drop(second);
        let again = seats.take(asker(Some(1), 1)).unwrap();
        let guests = [asker(None, 1), asker(None, 1)].map(|guest| seats.take(guest).unwrap());
        assert_eq!(code(asker(None, 1)), many);
        // All of one address count together, signed in or not.
        assert_eq!(code(asker(Some(2), 1)), many);
        let others = [asker(Some(2), 2), asker(None, 2), asker(None, 3)]
            .map(|other| seats.take(other).unwrap());
        assert_eq!(code(asker(Some(3), 4)), none);
        drop((first, again, guests, others));
        assert_eq!(seats.taken().all, 0);
        assert!(seats.taken().by.is_empty());
    }

    #[test]
    fn addresses_of_one_64_share_the_limit_of_one() {
        let seats = seats();
        let guest = |last: u16| {
            let address = IpAddr::from([0x2001, 0xdb8, 1, 2, 0, 0, 0, last]);
            Asker::new(None, Some(address))
        };
        let _taken = [1, 2].map(|last| seats.take(guest(last)).unwrap());
        let refused = seats.take(guest(3)).unwrap_err();
        assert_eq!(refused.code(), chassis::Code::TooManyRequests);
    }

    #[test]
    fn d8_a_bucket_gives_what_a_second_brings() {
        let mut bucket = Bucket::new(2);
        let begin = bucket.filled_at;
        let given = |bucket: &mut Bucket, now| (0..9).filter(|_| bucket.take_at(now)).count();
        assert_eq!(given(&mut bucket, begin), 4);
        assert_eq!(given(&mut bucket, begin + Duration::from_secs(1)), 2);
        let mut strikes = Bucket::holding(5, 1);
        let begin = strikes.filled_at;
        assert_eq!(given(&mut strikes, begin), 5);
        assert_eq!(given(&mut strikes, begin + Duration::from_secs(3)), 3);
    }
}
