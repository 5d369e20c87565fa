//! How many instances there may be. No account, no network and no group of either takes the place of all others: where half
//! of the places are taken, whoever has one there gets no second one.

use chassis::Error;
use chrono::{DateTime, Utc};

use crate::model::ServiceName;

/// How many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) of_owner: usize,
    pub(crate) of_network: usize,
    pub(crate) of_name: usize,
    pub(crate) in_all: usize,
}

/// A place that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Held {
    /// The id in Consul.
    pub(crate) id: String,
    pub(crate) name: ServiceName,
    pub(crate) owner: i64,
    /// Where its owner registered it from, as far as is known.
    pub(crate) network: Option<String>,
    pub(crate) base_url: String,
    /// When it was last heard of, if its heartbeats have stopped.
    pub(crate) silent: Option<DateTime<Utc>>,
}

impl Held {
    /// Whether it is the same instance, which was started again.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.owner, &self.name, &self.base_url) == (other.owner, &other.name, &other.base_url)
    }
}

/// Places that are counted together.
struct Scope {
    most: usize,
    contains: fn(&Held, &Held) -> bool,
    full: String,
    /// What those are told who have one already, where places become scarce.
    scarce: Option<String>,
}

impl Bounds {
    fn scopes(self, new: &Held) -> [Scope; 4] {
        let scarce = |of: &str| {
            Some(format!(
                "Places {of} are scarce, and you have one: deregister it, or try again later"
            ))
        };
        let (name, number) = (&new.name, self.of_name);
        [
            Scope {
                most: self.of_owner,
                contains: |held, new| held.owner == new.owner,
                full: format!(
                    "You have {} instances already: deregister one",
                    self.of_owner
                ),
                scarce: None,
            },
            Scope {
                most: self.of_name,
                contains: |held, new| held.name == new.name,
                full: format!("There are {number} instances of `{name}` already: try again later"),
                scarce: scarce(&format!("under the name `{name}`")),
            },
            Scope {
                most: self.of_network,
                contains: |held, new| new.network.is_some() && held.network == new.network,
                full: format!(
                    "Your network has {} instances already: deregister one",
                    self.of_network
                ),
                scarce: scarce("for your network"),
            },
            Scope {
                most: self.in_all,
                contains: |_, _| true,
                full: "The registry is full: try again later".to_owned(),
                scarce: scarce("in the registry"),
            },
        ]
    }

    /// Finds a place for a new one: the ids of those silent ones that have to go for it.
    ///
    /// # Errors
    /// 409 when there is none.
    pub(crate) fn make_room(self, held: &[Held], new: &Held) -> Result<Vec<String>, Error> {
        let mut gone: Vec<String> = Vec::new();
        for scope in self.scopes(new) {
            let inside: Vec<&Held> = held
                .iter()
                .filter(|held| (scope.contains)(held, new) && !gone.contains(&held.id))
                .collect();
            if inside.len() >= scope.most {
                let silent = inside.iter().filter(|held| held.silent.is_some());
                let longest = silent.min_by_key(|held| held.silent);
                let longest = longest.ok_or_else(|| Error::conflict(scope.full))?;
                gone.push(longest.id.clone());
                continue;
            }
            let has_one = || inside.iter().any(|held| held.owner == new.owner);
            // Who comes for somebody who goes takes no further place.
            if let Some(scarce) = scope.scarce
                && gone.is_empty()
                && inside.len() >= scope.most.div_ceil(2)
                && has_one()
            {
                return Err(Error::conflict(scarce));
            }
        }
        Ok(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        of_owner: 20,
        of_network: 200,
        of_name: 200,
        in_all: 1000,
    };

    fn held(number: usize, owner: i64, name: &str, network: &str) -> Held {
        Held {
            id: number.to_string(),
            name: name.parse().unwrap(),
            owner,
            network: Some(network.to_owned()),
            base_url: format!("http://a:{number}"),
            silent: None,
        }
    }

    /// Each of these takes what it gets.
    fn take(held_already: &mut Vec<Held>, owners: std::ops::Range<i64>, name: &str, network: &str) {
        for owner in owners {
            for _ in 0..30 {
                let new = held(held_already.len(), owner, name, network);
                if BOUNDS.make_room(held_already, &new).is_ok() {
                    held_already.push(new);
                }
            }
        }
    }

    #[test]
    fn a_hundred_accounts_of_one_network_leave_places_there_and_everywhere() {
        for accounts in [25, 100] {
            let mut all = Vec::new();
            take(&mut all, 0..accounts, "filler", "10.0.0.1");
            for (name, network) in [
                ("filler", "10.0.0.1"),
                ("filler", "10.0.0.2"),
                ("shop", "10.0.0.1"),
                ("shop", "10.0.0.2"),
            ] {
                let new = held(5000, 5000, name, network);
                let room = BOUNDS.make_room(&all, &new);
                assert_eq!(room.unwrap(), [""; 0], "{accounts} {name} {network}");
            }
        }
    }

    #[test]
    fn a_hundred_accounts_of_ten_networks_leave_places() {
        let mut all = Vec::new();
        for network in 0..10 {
            let owners = network * 10..network * 10 + 10;
            take(
                &mut all,
                owners,
                &format!("filler-{network}"),
                &format!("10.0.0.{network}"),
            );
        }
        let new = held(5000, 5000, "shop", "10.0.1.1");
        assert!(BOUNDS.make_room(&all, &new).is_ok(), "{}", all.len());
    }

    #[test]
    fn who_is_silent_longest_makes_room() {
        let bounds = Bounds {
            of_owner: 3,
            in_all: 4,
            ..BOUNDS
        };
        let now = chassis::clock::now();
        let ago = |seconds| Some(now - chrono::TimeDelta::seconds(seconds));
        let mut all: Vec<Held> = (0..4)
            .map(|number| held(number, 1 + i64::from(number == 3), "shop", "10.0.0.1"))
            .collect();
        let new = held(9, 3, "shop", "10.0.0.2");
        let refusal = |held: &[Held], new| bounds.make_room(held, new).unwrap_err();
        assert!(refusal(&all, &new).message().contains("full"));
        all[2].silent = ago(31);
        all[3].silent = ago(60);
        assert_eq!(bounds.make_room(&all, &new).unwrap(), ["3"]);
        // An owner's own one goes first for another one of the same.
        let own = held(9, 1, "shop", "10.0.0.2");
        assert_eq!(bounds.make_room(&all, &own).unwrap(), ["2"]);
    }
}
