//! Who may have how much: sockets a user and address, messages a second.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chassis::Error;
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
    #[arg(long, env = "LIVE_SOCKETS_PER_ADDRESS", default_value_t = 5_000)]
    pub sockets_per_address: usize,
    /// Messages a second that one socket may send in the long run
    #[arg(long, env = "LIVE_MESSAGES_PER_SECOND", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub messages_per_second: u32,
    /// Messages that may wait for a reader before it counts as too slow
    #[arg(long, env = "LIVE_QUEUE", default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub queue: u32,
}

/// Who a socket is counted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    User(i64),
    Address(Option<IpAddr>),
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
    holder: Holder,
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
    pub(crate) fn take(
        self: &Arc<Self>,
        user_id: Option<i64>,
        address: Option<IpAddr>,
    ) -> Result<Seat, Error> {
        let (holder, limit) = match user_id {
            Some(id) => (Holder::User(id), self.limits.sockets_per_user),
            None => (Holder::Address(address), self.limits.sockets_per_address),
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.limits.sockets {
            return Err(Error::unavailable("Too many sockets are open; try again"));
        }
        let own = taken.by.entry(holder).or_default();
        if *own >= limit {
            let message = format!("You have {limit} sockets open: close one first");
            return Err(Error::too_many(message, LATER));
        }
        *own += 1;
        taken.all += 1;
        Ok(Seat {
            seats: Arc::clone(self),
            holder,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self
            .seats
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(own) = taken.by.get_mut(&self.holder) {
            *own -= 1;
            if *own == 0 {
                taken.by.remove(&self.holder);
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
            sockets: 4,
            sockets_per_user: 2,
            sockets_per_address: 3,
            messages_per_second: 2,
            queue: 1,
        })
    }

    #[test]
    fn s0_23_a_seat_that_is_given_back_can_be_taken_again() {
        let seats = seats();
        let _first = seats.take(Some(1), None).unwrap();
        let second = seats.take(Some(1), None).unwrap();
        let refused = seats.take(Some(1), None).unwrap_err();
        assert_eq!(refused.code(), chassis::Code::TooManyRequests);
        drop(second);
        let _again = seats.take(Some(1), None).unwrap();
        let _others = [seats.take(None, None), seats.take(None, None)].map(Result::unwrap);
        let refused = seats.take(Some(2), None).unwrap_err();
        assert_eq!(refused.code(), chassis::Code::Unavailable);
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
