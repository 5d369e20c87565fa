//! Users of Redis, as lines of its settings: a service has the keys and channels of its name.

use std::fmt::Write as _;

use super::readers;
use crate::services::Description;

/// Where they are in the checkout.
pub const FILE: &str = "stores/redis.acl";

/// Nobody looks at the names of others' keys, and nobody leaves code for others to run. Scripts of timelines ask by `INFO`
/// whether Redis is the one that they wrote to.
const COMMANDS: &str =
    "+@all -@admin -@dangerous -function -scan -randomkey -script|flush -script|kill +info";

/// Returns a line for each service.
pub fn users(descriptions: &[Description]) -> String {
    let mut text = String::from(
        "# Written by `cargo mesh generate`. The default user, whose password is `requirepass`, is the operator's.\n",
    );
    for service in readers(descriptions, "REDIS_URL") {
        let name = &service.name;
        let heard = service
            .hears
            .iter()
            .fold(String::new(), |text, other| text + &format!(" &{other}:*"));
        let _ = writeln!(
            text,
            "user {name} on >${{secret.redis-{name}}} ~{name}:* &{name}:*{heard} {COMMANDS}"
        );
    }
    text
}
