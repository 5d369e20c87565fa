//! What a process of a service is for, as its command says.

use std::net::SocketAddr;

use super::Command;
use crate::{Service, Settings};

/// What a process of a service is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Answers requests, and does background work beside.
    Serve,
    /// Does background work alone.
    Work,
    /// Brings schemas up to date before anything else starts.
    Migrate,
    /// Does what an operator asks for, beside processes that serve.
    Operate,
}

impl Purpose {
    /// The name in Consul: workers have one of their own, so that no request is routed to them.
    pub(super) fn name<S: Service>(self) -> String {
        match self {
            Self::Serve | Self::Migrate | Self::Operate => S::NAME.to_owned(),
            Self::Work => format!("{}-work", S::NAME),
        }
    }
}

/// What a process that does not end at once is for, and what an operator asks it to do.
pub(super) fn of<S: Service>(
    command: Option<Command>,
    settings: &mut Settings,
) -> Result<(Purpose, Option<&'static str>), String> {
    match command {
        Some(Command::Migrate) => Ok((Purpose::Migrate, None)),
        Some(Command::Operate { chore }) => {
            let chore = known_chore::<S>(chore.as_deref())?;
            // It has no port and does no work that others do.
            settings.admin_addr = SocketAddr::from(([127, 0, 0, 1], 0));
            settings.roles = vec!["none".to_owned()];
            Ok((Purpose::Operate, Some(chore)))
        }
        Some(Command::Work { .. }) if S::ROLES.is_empty() => {
            Err("has no background work to do".to_owned())
        }
        Some(Command::Work { roles }) => {
            if !roles.is_empty() {
                settings.roles = roles;
            }
            Ok((Purpose::Work, None))
        }
        _ => Ok((Purpose::Serve, None)),
    }
}

/// The chore of that name, or what there is to choose from.
fn known_chore<S: Service>(name: Option<&str>) -> Result<&'static str, String> {
    let known = S::CHORES.iter().find(|(known, _)| Some(*known) == name);
    if let Some((known, _)) = known {
        return Ok(known);
    }
    let list = S::CHORES.iter().fold(String::new(), |list, (name, about)| {
        list + "\n  " + name + ": " + about
    });
    Err(if list.is_empty() {
        "there is nothing to be done for operators".to_owned()
    } else {
        format!("what can be done for operators:{list}")
    })
}
