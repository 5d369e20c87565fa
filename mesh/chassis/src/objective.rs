//! What a route promises. Recording rules and alerts are generated from it (`cargo mesh generate`).

use http::Method;
use serde::Serialize;
use telemetry::metrics::SECONDS_BUCKETS;

use crate::Route;

/// What a route promises to those who call it; the rest of the hundred is its error budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Objective {
    /// Requests that do not fail (no 5xx), in percent.
    pub availability: f64,
    /// Requests that are answered within `within_seconds`, in percent.
    pub fast: f64,
    /// One of the bounds of the histograms, [`SECONDS_BUCKETS`].
    pub within_seconds: f64,
}

impl Objective {
    /// Of a route that reads, where it says nothing else.
    pub const READ: Self = Self {
        availability: 99.9,
        fast: 99.0,
        within_seconds: 0.25,
    };
    /// Of a route that writes, where it says nothing else.
    pub const WRITE: Self = Self {
        within_seconds: 0.5,
        ..Self::READ
    };
    /// Of a route that hashes a password, which is slow on purpose.
    pub const PASSWORD: Self = Self {
        within_seconds: 1.0,
        ..Self::READ
    };

    pub(crate) fn of(method: &Method) -> Self {
        if *method == Method::GET {
            Self::READ
        } else {
            Self::WRITE
        }
    }
}

impl<S> Route<S> {
    /// What it promises, where that is not [`Objective::READ`] for `GET` and [`Objective::WRITE`]
    /// for the rest.
    ///
    /// # Panics
    /// When its latency is none of [`SECONDS_BUCKETS`]: nothing could be counted against it.
    #[must_use]
    pub fn objective(mut self, objective: Objective) -> Self {
        assert!(
            SECONDS_BUCKETS.contains(&objective.within_seconds),
            "{}: within_seconds must be one of {SECONDS_BUCKETS:?}",
            self.template
        );
        self.objective = objective;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Answer;

    fn route() -> Route<()> {
        Route::get("/a", |_, _| async { Ok(Answer::from(String::new())) })
    }

    #[test]
    fn the_defaults_can_be_counted() {
        for objective in [Objective::READ, Objective::WRITE, Objective::PASSWORD] {
            assert_eq!(route().objective(objective).info().objective, objective);
        }
        assert_eq!(route().info().objective, Objective::READ);
    }

    #[test]
    #[should_panic(expected = "within_seconds")]
    fn a_latency_between_two_bounds_is_refused() {
        let _ = route().objective(Objective {
            within_seconds: 0.3,
            ..Objective::READ
        });
    }
}
