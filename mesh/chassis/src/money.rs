//! Money: whole cents inside, a JSON number with two decimals outside (D12).

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Visitor, ser::Error as _};
use serde_json::value::RawValue;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// The largest amount, in cents: a thousand million less one cent.
const MAX_CENTS: i64 = 99_999_999_999;

/// An amount of money from 0 to 999,999,999.99.
///
/// Deserialising a negative number, a larger one, or one with parts of a cent fails, which the
/// chassis answers with 422. Nothing is ever rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Money(i64);

impl Money {
    /// So many cents; `None` for an amount out of bounds.
    pub fn from_cents(cents: i64) -> Option<Self> {
        (0..=MAX_CENTS).contains(&cents).then_some(Self(cents))
    }

    /// The amount in cents.
    pub fn cents(self) -> i64 {
        self.0
    }

    /// What `quantity` of them cost; `None` when that is out of bounds.
    pub fn times(self, quantity: u32) -> Option<Self> {
        Self::from_cents(self.0.checked_mul(i64::from(quantity))?)
    }

    /// Reads decimal notation without an exponent, as [`f64`] and the integers print it.
    fn parse(text: &str) -> Result<Self, &'static str> {
        const BOUNDS: &str = "an amount of money is from 0 to 999999999.99";
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 2 {
            return Err("an amount of money has two decimals at most");
        }
        let digits = format!("{whole}{fraction:0<2}");
        if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(BOUNDS);
        }
        let cents = digits.parse().ok();
        cents.and_then(Self::from_cents).ok_or(BOUNDS)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Money {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // A float would print 10.0 for ten.
        let number = RawValue::from_string(self.to_string()).map_err(S::Error::custom)?;
        number.serialize(serializer)
    }
}

struct Amount;

impl Visitor<'_> for Amount {
    type Value = Money;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an amount of money as a number")
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Money, E> {
        Money::parse(&number.to_string()).map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Money, E> {
        Money::parse(&number.to_string()).map_err(E::custom)
    }

    /// The shortest text that means this float is what the client wrote, if that had two decimals.
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Money, E> {
        Money::parse(&number.to_string()).map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Amount)
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0))
            .maximum(Some(999_999_999.99))
            .description(Some(
                "An amount of money: a number of at most two decimals.",
            ))
            .examples([serde_json::json!(49.9)])
            .into()
    }
}

impl ToSchema for Money {
    fn name() -> Cow<'static, str> {
        "Money".into()
    }
}

/// What something costs: an amount of money above nothing.
///
/// An offer without a price is a mistake or a gift, and no market can tell which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(Money);

impl Price {
    /// The amount.
    pub fn money(self) -> Money {
        self.0
    }
}

impl TryFrom<Money> for Price {
    type Error = &'static str;

    fn try_from(money: Money) -> Result<Self, Self::Error> {
        if money.0 > 0 {
            Ok(Self(money))
        } else {
            Err("a price is above 0")
        }
    }
}

impl<'de> Deserialize<'de> for Price {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let money = Money::deserialize(deserializer)?;
        Self::try_from(money).map_err(serde::de::Error::custom)
    }
}

impl PartialSchema for Price {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0.01))
            .maximum(Some(999_999_999.99))
            .multiple_of(Some(0.01))
            .into()
    }
}

impl ToSchema for Price {
    fn name() -> Cow<'static, str> {
        "Price".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<i64, String> {
        let money = serde_json::from_str::<Money>(json);
        money.map(Money::cents).map_err(|error| error.to_string())
    }

    #[test]
    fn d12_numbers_of_two_decimals_are_read_exactly() {
        for (json, cents) in [
            ("0", 0),
            ("0.0", 0),
            ("0.01", 1),
            ("0.1", 10),
            ("0.10", 10),
            ("0.29", 29),
            ("1.10", 110),
            ("8.41", 841),
            ("19.99", 1999),
            ("1.999e1", 1999),
            ("1e2", 10_000),
            ("4.35", 435),
            ("1.15", 115),
            ("999999999.99", MAX_CENTS),
        ] {
            assert_eq!(read(json), Ok(cents), "{json}");
        }
    }

    #[test]
    fn d12_nothing_is_rounded() {
        for json in [
            "0.001",
            "19.999",
            "0.30000000000000004",
            "1e-3",
            "-0.01",
            "-1",
            "1000000000",
            "1e300",
            "18446744073709551615",
            "\"1.00\"",
            "null",
            "true",
            "[1]",
            "{}",
        ] {
            assert!(read(json).is_err(), "{json}");
        }
    }

    #[test]
    fn d12_every_amount_is_written_with_two_decimals_and_read_back() {
        let tens = (0..=10).map(|power| 10_i64.pow(power));
        for cents in (0..20_000).chain(tens.flat_map(|ten| [ten - 1, ten, ten + 1])) {
            let money = Money::from_cents(cents).unwrap();
            let json = serde_json::to_string(&money).unwrap();
            assert_eq!(json, format!("{}.{:02}", cents / 100, cents % 100));
            assert_eq!(read(&json), Ok(cents), "{json}");
        }
    }

    #[test]
    fn a_price_is_above_nothing() {
        for json in ["0", "0.0", "0e5", "-0", "-1", "0.001"] {
            assert!(serde_json::from_str::<Price>(json).is_err(), "{json}");
        }
        let least: Price = serde_json::from_str("0.01").unwrap();
        assert_eq!(least.money().cents(), 1);
    }

    #[test]
    fn d12_totals_are_bounded() {
        let money = Money::from_cents(1999).unwrap();
        assert_eq!(money.times(3).map(Money::cents), Some(5997));
        assert_eq!(money.times(u32::MAX), None);
        assert_eq!(Money::from_cents(MAX_CENTS + 1), None);
        assert_eq!(Money::from_cents(-1), None);
    }
}
