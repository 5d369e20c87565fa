//! What a handler says when it could not do its work.

use std::{error::Error as StdError, fmt};

use chassis::Code;
use sea_orm::DbErr;

/// Why an event could not be handled, and what shall become of it.
///
/// `?` makes one of any error: [`Failure::Wait`] when a store is away, else [`Failure::Retry`].
pub enum Failure {
    /// A part that every event needs is away: wait for it, without counting this as a try.
    Wait(anyhow::Error),
    /// Try again later, a few times.
    Retry(anyhow::Error),
    /// Trying again cannot help: to the dead letters, with this reason.
    Reject(String),
}

impl Failure {
    /// Trying again cannot help.
    pub fn reject(reason: impl Into<String>) -> Self {
        Self::Reject(reason.into())
    }

    /// What an error means, by what it is.
    pub fn of(error: impl Into<anyhow::Error>) -> Self {
        let error = match error.into().downcast::<DbErr>() {
            Ok(error) => anyhow::Error::new(chassis::Error::from(error)),
            Err(other) => other,
        };
        let away = error
            .downcast_ref::<chassis::Error>()
            .is_some_and(|error| error.code() == Code::Unavailable);
        if away {
            Self::Wait(error)
        } else {
            Self::Retry(error)
        }
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::of(error)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(error) => write!(formatter, "wait: {error:#}"),
            Self::Retry(error) => write!(formatter, "retry: {error:#}"),
            Self::Reject(reason) => write!(formatter, "reject: {reason}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::RuntimeErr;

    use super::*;

    fn handler(error: DbErr) -> Result<(), Failure> {
        Err(error)?;
        Ok(())
    }

    #[test]
    fn a_store_that_is_away_does_not_count_as_a_try() {
        let away = DbErr::Conn(RuntimeErr::Internal("refused".into()));
        assert!(matches!(handler(away), Err(Failure::Wait(_))));
        let peer = chassis::Error::unavailable("away");
        assert!(matches!(Failure::of(peer), Failure::Wait(_)));
    }

    #[test]
    fn other_errors_are_tried_again() {
        let broken = DbErr::Custom("no such table".into());
        assert!(matches!(handler(broken), Err(Failure::Retry(_))));
        let text = anyhow::anyhow!("odd");
        assert!(matches!(Failure::of(text), Failure::Retry(_)));
    }
}
