//! Values with rules: ratings, dates, posters, kinds.

use std::str::FromStr;

use chassis::is_web_url;
use chrono::{Datelike as _, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A rating from 0 to 10, kept to two decimals: what is finer is rounded.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[schema(title = "MovieRating")]
#[serde(into = "f64", try_from = "f64")]
#[schema(value_type = f64, minimum = 0, maximum = 10)]
pub struct Rating(i32);

impl Rating {
    /// The lowest.
    pub const LEAST: Self = Self(0);
    /// The highest.
    pub const MOST: Self = Self(1000);

    /// Out of a store, which keeps integers: they compare and add up exactly everywhere.
    pub fn from_hundredths(hundredths: i32) -> Self {
        Self(hundredths.clamp(Self::LEAST.0, Self::MOST.0))
    }

    /// Into a store.
    pub fn hundredths(self) -> i32 {
        self.0
    }

    /// The mean of `count` ratings that add up to `sum` hundredths.
    pub fn mean(sum: i64, count: i64) -> Option<Self> {
        let rounded = (2 * sum + count).checked_div(2 * count)?;
        i32::try_from(rounded).ok().map(Self::from_hundredths)
    }

    /// The least rating that is not below `bound`.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn at_least(bound: f64) -> Result<Self, String> {
        Self::bound(bound, f64::ceil)
    }

    /// The greatest rating that is not above `bound`.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn at_most(bound: f64) -> Result<Self, String> {
        Self::bound(bound, f64::floor)
    }

    fn bound(bound: f64, round: fn(f64) -> f64) -> Result<Self, String> {
        let nearest = Self::try_from(bound)?;
        let hundredths = bound * 100.0;
        // 8.55 is a little more than 855 hundredths in binary, and means just these.
        if (hundredths - f64::from(nearest.0)).abs() < 1e-6 {
            return Ok(nearest);
        }
        Self::try_from(round(hundredths) / 100.0)
    }
}

impl From<Rating> for f64 {
    fn from(rating: Rating) -> Self {
        Self::from(rating.0) / 100.0
    }
}

impl TryFrom<f64> for Rating {
    type Error = String;

    fn try_from(rating: f64) -> Result<Self, String> {
        if !(0.0..=10.0).contains(&rating) {
            return Err("a rating must be a number from 0 to 10".into());
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "0 to 1000 and rounded: checked above"
        )]
        Ok(Self((rating * 100.0).round() as i32))
    }
}

/// The day on which something came out, as `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(into = "String", try_from = "String")]
#[schema(value_type = String, format = Date, pattern = "^(1[89][0-9]{2}|2[01][0-9]{2}|2200)-[0-9]{2}-[0-9]{2}$", examples("1926-12-31"))]
pub struct ReleaseDate(NaiveDate);

impl ReleaseDate {
    /// Out of a store.
    pub fn new(date: NaiveDate) -> Self {
        Self(date)
    }

    /// Into a store.
    pub fn date(self) -> NaiveDate {
        self.0
    }
}

impl From<ReleaseDate> for String {
    fn from(date: ReleaseDate) -> Self {
        date.0.format("%Y-%m-%d").to_string()
    }
}

impl TryFrom<String> for ReleaseDate {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let date = NaiveDate::parse_from_str(&text, "%Y-%m-%d").ok().map(Self);
        // The parser takes `2024-1-5` and ` +2024-01-05` too; the year bounds a slip of the pen.
        let sound =
            |date: &Self| String::from(*date) == text && (1800..=2200).contains(&date.0.year());
        date.filter(sound)
            .ok_or_else(|| "release_date must be a day from 1800 to 2200 as YYYY-MM-DD".into())
    }
}

/// A picture's address: `http` or `https`, at most 2048 bytes, or empty for none.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, max_length = 2048, format = "uri-reference", pattern = "^(https?://.*)?$", examples("https://example.com/the-general.jpg"))]
pub struct PosterUrl(String);

impl PosterUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for PosterUrl {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.is_empty() || is_web_url(&text) {
            return Ok(Self(text));
        }
        Err(
            "poster_url must be an http or https URL of at most 2048 bytes, without a user in it, or empty".into(),
        )
    }
}

/// What it is (D22).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[schema(title = "MovieKind")]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A movie.
    #[default]
    Movie,
    /// A TV show.
    TvShow,
}

impl Kind {
    /// The word that stands for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Movie => "movie",
            Self::TvShow => "tv_show",
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Movie, Self::TvShow].into_iter();
        known
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| "kind must be movie or tv_show".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rating(text: &str) -> Result<Rating, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn s3_27_a_rating_is_a_float_from_0_to_10_with_two_decimals() {
        for (sent, answered) in [
            ("0", "0.0"),
            ("10", "10.0"),
            ("8.55", "8.55"),
            ("7.1999998", "7.2"),
            ("9.999", "10.0"),
        ] {
            let kept = rating(sent).unwrap();
            assert_eq!(serde_json::to_string(&kept).unwrap(), answered);
        }
        for bad in ["-0.1", "10.001", "1e300", "\"8\"", "null", "true", "NaN"] {
            assert!(rating(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn d21_a_bound_is_exact() {
        for (bound, least, most) in [
            (8.55, 855, 855),
            (8.551, 856, 855),
            (8.549, 855, 854),
            (0.0, 0, 0),
            (10.0, 1000, 1000),
            (9.999, 1000, 999),
        ] {
            assert_eq!(
                Rating::at_least(bound).unwrap().hundredths(),
                least,
                "{bound}"
            );
            assert_eq!(
                Rating::at_most(bound).unwrap().hundredths(),
                most,
                "{bound}"
            );
        }
        for bad in [-0.001, 10.001, f64::NAN, f64::INFINITY] {
            assert!(Rating::at_least(bad).is_err() && Rating::at_most(bad).is_err());
        }
    }

    #[test]
    fn d22_the_mean_is_rounded_to_two_decimals() {
        let mean = |sum, count| Rating::mean(sum, count).map(Rating::hundredths);
        assert_eq!(mean(0, 0), None);
        assert_eq!((mean(500, 1), mean(1667, 2)), (Some(500), Some(834)));
        assert_eq!(mean(1000 * 3_000_000_000, 3_000_000_000), Some(1000));
    }

    #[test]
    fn s3_27_a_release_date_is_a_day_that_exists() {
        let date = |text: &str| ReleaseDate::try_from(text.to_owned());
        assert_eq!(String::from(date("2024-02-29").unwrap()), "2024-02-29");
        for bad in [
            "",
            "2023-02-29",
            "2024-1-5",
            " 2024-01-05",
            "+2024-01-05",
            "24-01-05",
            "0001-01-01",
            "9999-12-31",
            "2024-01-05T00:00:00Z",
            "05.01.2024",
            "２０２４-01-05",
        ] {
            assert!(date(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_poster_is_a_web_address() {
        let poster = |text: &str| PosterUrl::try_from(text.to_owned());
        for good in ["", "https://example.com/a.png", "http://example.com/ä?b=c"] {
            assert!(poster(good).is_ok(), "{good}");
        }
        let long = format!("https://example.com/{}", "x".repeat(2048));
        for bad in [
            "javascript:alert(1)",
            "a.png",
            "https://a b",
            "ftp://a/b",
            "https://ada:secret@example.com/a.png",
            &long,
        ] {
            assert!(poster(bad).is_err(), "{bad}");
        }
    }
}
