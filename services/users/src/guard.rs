//! Settings of what keeps guesses and floods away.

use std::thread;

use chassis::Environment;

use crate::{door::Door, throttle::Limits};

/// Threads that hash at most, where nothing is said: each has 19 MiB, and a container 256.
const MOST_THREADS: usize = 4;
/// Registrations a minute from one network, where nothing is said: in production.
const REGISTRATIONS: u32 = 20;
/// The same in development, where tests and demos come from one address: more than can be hashed.
const REGISTRATIONS_IN_DEVELOPMENT: u32 = 6_000;

/// What may be tried how often. An IPv6 network is a /64, and an IPv4 one a single address.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "users_guard")]
pub struct Settings {
    /// Failed logins a minute after which an account has to wait, from one network
    #[arg(long, env = "LOGIN_FAILURES_PER_ACCOUNT", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub login_failures_per_account: u32,
    /// Failed logins a minute after which an account has to wait, from all networks together that nobody has logged in to it from
    #[arg(long, env = "LOGIN_FAILURES_FROM_STRANGERS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub login_failures_from_strangers: u32,
    /// Failed logins a minute after which a network has to wait, to whichever accounts
    #[arg(long, env = "LOGIN_FAILURES_PER_ADDRESS", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub login_failures_per_address: u32,
    /// Logins of one network that an instance takes at once
    #[arg(long, env = "LOGINS_AT_ONCE_PER_ADDRESS", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub logins_at_once_per_address: u32,
    /// Registrations a minute after which a network has to wait [default: 20 in production, 6000 in development]
    #[arg(long, env = "REGISTRATIONS_PER_ADDRESS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub registrations_per_address: Option<u32>,
    /// Registrations of one network that an instance takes at once
    #[arg(long, env = "REGISTRATIONS_AT_ONCE_PER_ADDRESS", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub registrations_at_once_per_address: u32,
    /// Threads that hash passwords, 19 MiB each; half of them, rounded down, for registrations alone and the rest for logins alone [default: one a core, from 2 to 4]
    #[arg(long, env = "HASH_THREADS", value_parser = clap::value_parser!(u32).range(2..=64))]
    pub hash_threads: Option<u32>,
}

impl Settings {
    pub(crate) fn limits(&self, environment: Environment) -> Limits {
        let registrations = match environment {
            Environment::Development => REGISTRATIONS_IN_DEVELOPMENT,
            Environment::Production => REGISTRATIONS,
        };
        Limits {
            failures_per_account: self.login_failures_per_account,
            failures_from_strangers: self.login_failures_from_strangers,
            failures_per_address: self.login_failures_per_address,
            registrations_per_address: self.registrations_per_address.unwrap_or(registrations),
        }
    }

    /// The door of those who log in.
    pub(crate) fn logins(&self) -> anyhow::Result<Door> {
        let threads = self.threads().div_ceil(2);
        Door::open("login", threads, self.logins_at_once_per_address as usize)
    }

    /// The door of those who register.
    pub(crate) fn registrations(&self) -> anyhow::Result<Door> {
        let most = self.registrations_at_once_per_address as usize;
        Door::open("register", self.threads() / 2, most)
    }

    fn threads(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.hash_threads.map_or_else(
            || cores().clamp(2, MOST_THREADS),
            |threads| threads as usize,
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Flags {
        #[command(flatten)]
        own: Settings,
    }

    #[test]
    fn few_register_from_one_network_in_production_and_tests_have_room() {
        let own = Flags::parse_from(["users"]).own;
        let most = |own: &Settings, environment| own.limits(environment).registrations_per_address;
        assert_eq!(most(&own, Environment::Production), 20);
        assert_eq!(most(&own, Environment::Development), 6_000);
        let own = Flags::parse_from(["users", "--registrations-per-address=7"]).own;
        assert_eq!(most(&own, Environment::Production), 7);
    }

    #[test]
    fn each_door_has_a_thread_and_the_memory_of_all_fits_into_the_chart() {
        let own = Flags::parse_from(["users"]).own;
        assert!((2..=MOST_THREADS).contains(&own.threads()));
        for few in ["1", "0"] {
            assert!(Flags::try_parse_from(["users", "--hash-threads", few]).is_err());
        }
    }
}
