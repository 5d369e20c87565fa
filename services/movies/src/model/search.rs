//! What is searched for, in its normal form.

use chassis::text;
use serde::Serialize;

use super::{Kind, Rating};

/// Longest text that is searched for, in characters: no title is longer.
const LONGEST: usize = 200;

/// Text as it is looked for ([`text::folded`]).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Folded(String);

impl Folded {
    /// Folds what somebody wrote.
    pub fn new(text: &str) -> Self {
        Self(text::folded(text).trim().to_owned())
    }

    /// What a list is filtered by; `None` where nothing is asked.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn asked(text: &str) -> Result<Option<Self>, String> {
        if text.chars().count() > LONGEST || text.contains('\0') {
            return Err(format!("at most {LONGEST} characters, none of them NUL"));
        }
        let folded = Self::new(text);
        Ok((!folded.0.is_empty()).then_some(folded))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// What movies are searched by (S3-14, D21).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Search {
    /// A part of the title.
    pub title: Option<Folded>,
    /// The whole genre.
    pub genre: Option<Folded>,
    /// The least rating.
    pub min_rating: Rating,
    /// The greatest rating.
    pub max_rating: Rating,
    /// Movies or TV shows only.
    pub kind: Option<Kind>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            title: None,
            genre: None,
            min_rating: Rating::LEAST,
            max_rating: Rating::MOST,
            kind: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d21_case_is_folded_in_every_alphabet() {
        for (one, other) in [
            ("ALIEN", "alien"),
            ("Amélie", "AMÉLIE"),
            ("ОСТРОВ", "остров"),
            ("Straße", "STRASSE"),
            ("Straße", "STRA\u{1e9e}E"),
            ("Café", "CAFE\u{301}"),
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΟΣ", "οδοσ"),
            ("  padded ", "PADDED"),
        ] {
            assert_eq!(Folded::new(one), Folded::new(other));
        }
        assert_ne!(Folded::new("Amelie"), Folded::new("Amélie"));
        // A part stays a part.
        let (whole, part) = (Folded::new("ΟΔΟΣΣΕΙΑ"), Folded::new("ΟΔΟΣ"));
        assert!(whole.as_str().contains(part.as_str()));
    }

    #[test]
    fn what_is_asked_is_bounded_and_nothing_asked_is_no_filter() {
        assert_eq!(Folded::asked("").unwrap(), None);
        assert_eq!(Folded::asked("  ").unwrap(), None);
        assert!(Folded::asked(&"x".repeat(201)).is_err());
        assert!(Folded::asked("a\0").is_err());
        assert_eq!(Folded::asked("A").unwrap(), Some(Folded::new("a")));
    }
}
