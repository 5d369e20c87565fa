//! How accounts are named: by a number or by a username.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat,
        schema::{SchemaType, Type},
    },
};

/// Shortest and longest username, in characters (D1).
pub const USERNAME_LENGTH: std::ops::RangeInclusive<usize> = 3..=50;

/// Whether a text is made as usernames are (D1); some that are can still not be had.
pub fn is_username(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    USERNAME_LENGTH.contains(&text.len()) && text.bytes().all(allowed)
}

/// The number of an account in a body. Clients of the discussions send it as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountId(i64);

impl AccountId {
    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for AccountId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Digits).map(Self)
    }
}

/// Reads a whole number, or a text of its digits.
struct Digits;

impl de::Visitor<'_> for Digits {
    type Value = i64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a whole number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<i64, E> {
        Ok(number)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<i64, E> {
        i64::try_from(number).map_err(|_| misfit())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<i64, E> {
        // Below 2^53 a float without a fraction is that number, and no other.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it has no fraction and fits"
        )]
        if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
            Ok(number as i64)
        } else {
            Err(misfit())
        }
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<i64, E> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| digits);
        number.ok_or_else(misfit)
    }
}

fn misfit<E: de::Error>() -> E {
    E::custom("a whole number is needed, or a text of its digits")
}

impl PartialSchema for AccountId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .pattern(Some("^[0-9]+$"))
            .into()
    }
}

impl ToSchema for AccountId {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn an_account_is_a_number_or_a_text_of_its_digits() {
        let read = |text: &str| json::from_str::<AccountId>(text).map(AccountId::get);
        for good in ["7", "\"7\"", "\"007\"", "7.0"] {
            assert_eq!(read(good).unwrap(), 7, "{good}");
        }
        for bad in [
            "\"\"",
            "\"x\"",
            "\"7.5\"",
            "\"+7\"",
            "\" 7\"",
            "\"-7\"",
            "7.5",
            "1e300",
            "true",
            "null",
            "[7]",
            "\"99999999999999999999\"",
            "99999999999999999999",
            "\"\u{0667}\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn d1_a_username_has_up_to_50_of_an_alphabet() {
        for good in ["ada", "Ada_1.x-y", &"x".repeat(50)] {
            assert!(is_username(good), "{good}");
        }
        for bad in ["", "ab", "a b c", "ä-ö", "a/b", "a\0bc", &"x".repeat(51)] {
            assert!(!is_username(bad), "{bad}");
        }
    }
}
