//! Fields that may come in different ways: as JSON, as a form, in the query.

use std::collections::HashSet;

use percent_encoding::percent_decode;
use serde::de::DeserializeOwned;

use super::{
    misfit::{Misfit, OBJECT},
    read,
    tree::Tree,
};

/// Named values. Numbers and truths of a form are spelled; what is null or an empty text is not there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, Tree)>);

impl Fields {
    /// The members of an object, or of nothing at all.
    pub(crate) fn of_json(bytes: &[u8]) -> Result<Self, Misfit> {
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        match read::tree(bytes)? {
            Tree::Null => Ok(Self::default()),
            Tree::Object(mut members) => {
                members.retain(|(_, tree)| !matches!(tree, Tree::Null));
                Ok(Self(members))
            }
            _ => Err(Misfit::needed(OBJECT)),
        }
    }

    /// The pairs of a form that is written as a query, or of a query.
    pub(crate) fn of_query(text: &[u8]) -> Result<Self, Misfit> {
        // The parser puts other characters where it finds none.
        if percent_decode(text).decode_utf8().is_err() {
            return Err(Misfit::syntax("UTF-8"));
        }
        let pairs: Vec<(String, String)> =
            serde_urlencoded::from_bytes(text).map_err(|_| Misfit::needed("a form"))?;
        Ok(Self::of_pairs(pairs))
    }

    /// The fields of a form.
    pub(crate) fn of_pairs(pairs: Vec<(String, String)>) -> Self {
        let pairs = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        Self(
            pairs
                .map(|(name, value)| (name, Tree::Spelled(value)))
                .collect(),
        )
    }

    /// These, and those of the others that are not among them.
    pub(crate) fn or(mut self, others: Self) -> Self {
        let known: HashSet<&str> = self.0.iter().map(|(name, _)| name.as_str()).collect();
        let mut more = others.0;
        more.retain(|(name, _)| !known.contains(name.as_str()));
        self.0.append(&mut more);
        self
    }

    /// Hands them to a type.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Misfit> {
        read::from_tree(Tree::Object(self.0))
    }
}
