//! JSON before anybody says what it should be.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Number, Value};

use super::misfit::Step;

/// Any JSON. Members keep their order and may be there twice: what reads them says so.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    Null,
    Truth(bool),
    Number(Number),
    Text(String),
    /// What a form or a query has: a text, or whatever it spells.
    Spelled(String),
    List(Vec<Tree>),
    Object(Vec<(String, Tree)>),
}

/// Whole numbers from here on are not all floats.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number as it is read, however it is written: `2.0` and `2e0` are 2, as JSON Schema has it.
pub(super) fn canonical(number: Number) -> Number {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < EXACT => {
            #[expect(clippy::cast_possible_truncation, reason = "it is whole, and small")]
            let whole = float as i64;
            whole.into()
        }
        _ => number,
    }
}

impl Tree {
    /// Whether null is anywhere in it.
    pub(super) fn has_null(&self) -> bool {
        match self {
            Self::Null => true,
            Self::List(items) => items.iter().any(Self::has_null),
            Self::Object(members) => members.iter().any(|(_, tree)| tree.has_null()),
            _ => false,
        }
    }

    /// Takes out a member that is null; its way begins with the innermost step. `false` when there is none.
    pub(super) fn forget_null(&mut self, way: &[Step]) -> bool {
        let Some((step, inner)) = way.split_last() else {
            return false;
        };
        match (self, step) {
            (Self::List(items), Step::Item(number)) => items
                .get_mut(*number)
                .is_some_and(|item| item.forget_null(inner)),
            (Self::Object(members), Step::Member(name)) if inner.is_empty() => {
                let before = members.len();
                members.retain(|(known, tree)| known != name || !matches!(tree, Self::Null));
                members.len() < before
            }
            (Self::Object(members), Step::Member(name)) => members
                .iter_mut()
                .any(|(known, tree)| known == name && tree.forget_null(inner)),
            _ => false,
        }
    }
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Truth(*truth),
            Value::Number(number) => Self::Number(canonical(number.clone())),
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(items) => Self::List(items.iter().map(Self::from).collect()),
            Value::Object(members) => Self::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), value.into()))
                    .collect(),
            ),
        }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Tree;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Tree, E> {
        Ok(Tree::Truth(truth))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Tree, E> {
        Ok(Tree::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Tree, E> {
        Ok(Number::from_f64(number)
            .map(canonical)
            .map_or(Tree::Null, Tree::Number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Tree, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = object.next_entry()? {
            members.push(member);
        }
        Ok(Tree::Object(members))
    }
}
