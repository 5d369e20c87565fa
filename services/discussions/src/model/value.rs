//! Values with rules: car models and the topics they make, kinds, ratings.

use std::{fmt, str::FromStr};

use chassis::text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Longest name of a car, in characters.
const MAX_MODEL: usize = 100;

/// The name of a car as somebody wrote it, composed and with single blanks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 100, pattern = r"^[^\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]*[^\s\x00-\x1f\x7f-\x9f][^\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]*$", examples("Zoe"))]
pub struct CarModel(String);

impl CarModel {
    /// What the name is compared by: everybody who writes of a `Golf GTI` or a `golf gti` meets.
    pub fn topic(&self) -> Topic {
        Topic::of(&self.0)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl FromStr for CarModel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let name = text::composed(&name);
        if text::is_blank(&name) {
            return Err("car_model must have characters that can be seen".into());
        }
        let length = name.chars().count();
        if !(1..=MAX_MODEL).contains(&length) {
            return Err(format!(
                "car_model must have 1 to {MAX_MODEL} characters, this one has {length}"
            ));
        }
        if name.chars().any(char::is_control) {
            return Err("car_model may not contain control characters".into());
        }
        Ok(Self(name))
    }
}

impl TryFrom<String> for CarModel {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// A car model as it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Topic(String);

impl Topic {
    /// The topic of a car's name, as a post keeps it.
    pub fn of(car_model: &str) -> Self {
        Self(text::folded(car_model))
    }

    /// The topic as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What kind of post it is (D10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[schema(title = "PostKind")]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A car worth having.
    #[default]
    Recommendation,
    /// What it is like.
    Review,
    /// How to keep it.
    Tip,
    /// What happened.
    News,
}

impl Kind {
    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recommendation => "recommendation",
            Self::Review => "review",
            Self::Tip => "tip",
            Self::News => "news",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Recommendation, Self::Review, Self::Tip, Self::News];
        let known = all.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| "kind must be recommendation, review, tip or news".into())
    }
}

/// A rating, from 1 to 5 (D10, S0-31).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(title = "Stars")]
#[serde(into = "i64", try_from = "i64")]
#[schema(value_type = i64, minimum = 1, maximum = 5)]
pub struct Rating(i64);

impl TryFrom<i64> for Rating {
    type Error = &'static str;

    fn try_from(stars: i64) -> Result<Self, Self::Error> {
        if (1..=5).contains(&stars) {
            Ok(Self(stars))
        } else {
            Err("rating must be from 1 to 5")
        }
    }
}

impl From<Rating> for i64 {
    fn from(rating: Rating) -> Self {
        rating.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d10_spellings_of_a_car_are_one_topic() {
        let model: CarModel = "  Golf \t GTI ".parse().unwrap();
        assert_eq!(model.as_str(), "Golf GTI");
        assert_eq!(
            model.topic(),
            "GOLF gti".parse::<CarModel>().unwrap().topic()
        );
        let composed: CarModel = "Citro\u{eb}n STRA\u{1e9e}E".parse().unwrap();
        let apart: CarModel = "citroe\u{308}n strasse".parse().unwrap();
        assert_eq!(composed.topic(), apart.topic());
        assert_eq!(apart.as_str(), "citro\u{eb}n strasse");
        for bad in [
            "",
            "  ",
            "\u{200b}",
            "\u{3164} \u{2800}",
            "a\0b",
            "a\u{7}b",
            &"x".repeat(101),
        ] {
            assert!(bad.parse::<CarModel>().is_err(), "{bad}");
        }
    }

    #[test]
    fn d10_a_rating_has_one_to_five_stars() {
        assert!(Rating::try_from(1).is_ok() && Rating::try_from(5).is_ok());
        assert!(Rating::try_from(0).is_err() && Rating::try_from(6).is_err());
    }

    #[test]
    fn d10_kinds_read_as_they_are_written() {
        for kind in [Kind::Recommendation, Kind::Review, Kind::Tip, Kind::News] {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert!("Review".parse::<Kind>().is_err() && "$ne".parse::<Kind>().is_err());
    }
}
