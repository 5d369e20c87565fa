//! A door at which passwords are hashed: its own threads, queue and limits.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use chassis::Error;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    hashing::{Threads, busy},
    password::{Memory, Verdict},
};

/// Most that may be inside at once.
const ROOM: usize = 64;
/// When somebody whose network has enough inside may try again.
const LATER: Duration = Duration::from_secs(1);

/// Logins have one, registrations another: who floods one does not make those at the other wait.
#[derive(Debug)]
pub(crate) struct Door {
    threads: Threads,
    inside: Mutex<Inside>,
    most_of_a_network: usize,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    /// `None` stands for all who come without an address, which nobody does through the ingress.
    by: HashMap<Option<IpAddr>, usize>,
}

/// The right to have passwords hashed, until it is dropped.
#[derive(Debug)]
pub(crate) struct Pass<'a> {
    door: &'a Door,
    network: Option<IpAddr>,
}

impl Door {
    pub(crate) fn open(
        name: &str,
        threads: usize,
        most_of_a_network: usize,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            threads: Threads::start(name, threads, ROOM)?,
            inside: Mutex::default(),
            most_of_a_network,
        })
    }

    /// Lets somebody in.
    ///
    /// # Errors
    /// 429 when their network has enough inside, 503 when the room is full.
    pub(crate) fn enter(&self, network: Option<IpAddr>) -> Result<Pass<'_>, Error> {
        let mut inside = self.inside();
        let own = inside.by.get(&network).copied().unwrap_or_default();
        if own >= self.most_of_a_network {
            let message = "Too many requests of your network are under way; try again";
            return Err(Error::too_many(message, LATER));
        }
        if inside.all >= ROOM {
            return Err(busy());
        }
        inside.all += 1;
        inside.by.insert(network, own + 1);
        Ok(Pass {
            door: self,
            network,
        })
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    /// A new hash, in PHC format.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, Error> {
        let password = password.clone();
        let hash = move |memory: &mut Memory| memory.hash(password.expose_secret());
        self.door.threads.run(hash).await?
    }

    /// Compares; `None` stands for an account that does not exist and is always wrong.
    ///
    /// # Errors
    /// 503 when too many wait already.
    pub(crate) async fn verify(
        &self,
        password: &SecretString,
        hash: Option<&str>,
    ) -> Result<Verdict, Error> {
        let (password, hash) = (password.clone(), hash.map(str::to_owned));
        let verify =
            move |memory: &mut Memory| memory.verify(password.expose_secret(), hash.as_deref());
        self.door.threads.run(verify).await
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut inside = self.door.inside();
        inside.all -= 1;
        if let Some(own) = inside.by.get_mut(&self.network) {
            *own -= 1;
            if *own == 0 {
                inside.by.remove(&self.network);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::Code;

    use super::*;

    fn network(last: u8) -> IpAddr {
        IpAddr::from([203, 0, 113, last])
    }

    #[test]
    fn a_network_has_its_share_of_the_room_and_gets_it_back() {
        let door = Door::open("test", 1, 2).unwrap();
        let _first = door.enter(Some(network(1))).unwrap();
        let second = door.enter(Some(network(1))).unwrap();
        let refused = door.enter(Some(network(1))).unwrap_err();
        assert_eq!(refused.code(), Code::TooManyRequests);
        let _other = door.enter(Some(network(2))).unwrap();
        drop(second);
        let _again = door.enter(Some(network(1))).unwrap();
    }

    #[test]
    fn the_room_has_an_end_for_all_networks_together() {
        let door = Door::open("test", 1, 1).unwrap();
        let inside: Vec<_> = (0..=u8::MAX)
            .map(|last| door.enter(Some(network(last))))
            .collect();
        let inside: Vec<_> = inside.into_iter().flatten().collect();
        assert_eq!(inside.len(), ROOM);
        let refused = door.enter(Some(network(255))).unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        drop(inside);
        assert!(door.inside().by.is_empty(), "nobody is remembered");
    }
}
