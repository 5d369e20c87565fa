//! From a [`Tree`] to a type of ours.

use std::borrow::Cow;

use serde::{
    Deserialize,
    de::{
        DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny,
        MapAccess, SeqAccess, VariantAccess, Visitor, value::StrDeserializer,
    },
};
use serde_json::{Number, Value};

use super::{
    misfit::{LIST, Misfit, NULL, NUMBER, OBJECT, Step, TEXT, TRUTH, WHOLE, one_of},
    tree::{Tree, canonical},
};

/// What some programs put in front of UTF-8: RFC 8259, 8.1, lets readers skip it.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Members that may be null where a value belongs.
const NULLS: usize = 100;

/// Reads JSON that somebody sent. A member that is null is absent, but for types that tell null from absence; a number is
/// whole however it is written.
///
/// # Errors
/// What does not fit, and where.
pub fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Misfit> {
    from_tree(tree(bytes)?)
}

/// The same of a text.
///
/// # Errors
/// As [`from_slice`].
pub fn from_str<T: DeserializeOwned>(text: &str) -> Result<T, Misfit> {
    from_slice(text.as_bytes())
}

/// The same of JSON whose type was not known when it was read.
///
/// # Errors
/// As [`from_slice`].
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Misfit> {
    from_tree(value.into())
}

/// The whole number that a text spells, as a query has it.
pub fn whole(text: &str) -> Option<i64> {
    let number = text.trim().parse::<Number>().ok()?;
    canonical(number).as_i64()
}

/// What was sent, before anybody says what it should be.
pub(super) fn tree(bytes: &[u8]) -> Result<Tree, Misfit> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|_| unread(bytes))
}

/// What is wrong with bytes of which there is no tree.
fn unread(bytes: &[u8]) -> Misfit {
    if std::str::from_utf8(bytes).is_err() {
        return Misfit::syntax("UTF-8");
    }
    match serde_json::from_slice::<IgnoredAny>(bytes) {
        Ok(_) => Misfit::needed("JSON of few levels, with numbers and characters that exist"),
        Err(_) => Misfit::syntax("JSON"),
    }
}

/// Hands a tree to a type. Only the type knows where null may be, and says so when it comes there: then it is taken out.
pub(super) fn from_tree<T: DeserializeOwned>(mut tree: Tree) -> Result<T, Misfit> {
    if tree.has_null() {
        for _ in 0..NULLS {
            match T::deserialize(Reader::of(tree.clone())) {
                Err(misfit)
                    if misfit
                        .way_to_null()
                        .is_some_and(|way| tree.forget_null(way)) => {}
                read => return read,
            }
        }
    }
    T::deserialize(Reader::of(tree))
}

/// Hands a tree to a type. Each step away from the root is noted on an error's way back.
struct Reader {
    tree: Tree,
    /// The members that the type knows; others may not be named.
    known: &'static [&'static str],
}

impl Reader {
    fn of(tree: Tree) -> Self {
        Self { tree, known: &[] }
    }

    /// What is wrong where something else belongs.
    fn wrong(&self, what: impl Into<Cow<'static, str>>) -> Misfit {
        match self.tree {
            Tree::Null => Misfit::null(what),
            _ => Misfit::needed(what),
        }
    }

    fn number<'de, V: Visitor<'de>>(
        self,
        what: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let wrong = self.wrong(what);
        let number = match self.tree {
            Tree::Number(number) => number,
            Tree::Spelled(text) => text.parse().map(canonical).map_err(|_| wrong)?,
            _ => return Err(wrong),
        };
        let read = if let Some(number) = number.as_u64() {
            visitor.visit_u64(number)
        } else if let Some(number) = number.as_i64() {
            visitor.visit_i64(number)
        } else {
            visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
        };
        read.map_err(|error: Misfit| error.instead(what))
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.tree {
            Tree::List(items) => visitor.visit_seq(Items {
                number: 0,
                items: items.into_iter(),
            }),
            _ => Err(self.wrong(LIST)),
        }
    }

    fn object<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.tree {
            Tree::Object(members) => visitor.visit_map(Members {
                known: self.known,
                left: members.into_iter(),
                next: None,
            }),
            _ => Err(self.wrong(OBJECT)),
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.tree {
            Tree::Text(text) | Tree::Spelled(text) => visitor.visit_string(text),
            _ => Err(self.wrong(TEXT)),
        }
    }
}

/// Methods that read a number which has to fit.
macro_rules! numbers {
    ($($method:ident: $what:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
            self.number($what, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Misfit;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            Tree::Truth(truth) => visitor.visit_bool(truth),
            Tree::Text(text) | Tree::Spelled(text) => visitor.visit_string(text),
            Tree::List(_) => self.list(visitor),
            Tree::Object(_) => self.object(visitor),
            Tree::Number(number) => {
                if let Some(number) = number.as_u64() {
                    visitor.visit_u64(number)
                } else if let Some(number) = number.as_i64() {
                    visitor.visit_i64(number)
                } else {
                    visitor.visit_f64(number.as_f64().unwrap_or(f64::NAN))
                }
            }
        }
    }

    numbers! {
        deserialize_i8: "a whole number from -128 to 127";
        deserialize_i16: "a whole number from -32768 to 32767";
        deserialize_i32: "a whole number from -2147483648 to 2147483647";
        deserialize_i64: WHOLE;
        deserialize_i128: WHOLE;
        deserialize_u8: "a whole number from 0 to 255";
        deserialize_u16: "a whole number from 0 to 65535";
        deserialize_u32: "a whole number from 0 to 4294967295";
        deserialize_u64: "a whole number from 0";
        deserialize_u128: "a whole number from 0";
        deserialize_f32: NUMBER;
        deserialize_f64: NUMBER;
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match &self.tree {
            Tree::Truth(truth) => visitor.visit_bool(*truth),
            Tree::Spelled(text) => match text.parse() {
                Ok(truth) => visitor.visit_bool(truth),
                Err(_) => Err(Misfit::needed(TRUTH)),
            },
            _ => Err(self.wrong(TRUTH)),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.tree {
            Tree::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        match self.tree {
            Tree::Null => visitor.visit_unit(),
            _ => Err(Misfit::needed(NULL)),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.list(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        match &self.tree {
            Tree::List(items) if items.len() == length => self.list(visitor),
            _ => Err(self.wrong(format!("a list of {length}"))),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.object(visitor)
    }

    /// A list is no object here, whatever its items: serde would take them in the order of the members.
    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.known = known;
        self.object(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        let wrong = self.wrong(one_of(variants));
        let (name, content) = match self.tree {
            Tree::Text(name) | Tree::Spelled(name) => (name, None),
            Tree::Object(members) if members.len() == 1 => {
                let (name, content) = members.into_iter().next().ok_or(wrong)?;
                (name, Some(content))
            }
            _ => return Err(wrong),
        };
        visitor.visit_enum(Variant { name, content })
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        self.text(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Misfit> {
        visitor.visit_unit()
    }
}

struct Items {
    number: usize,
    items: std::vec::IntoIter<Tree>,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Misfit;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Misfit> {
        let Some(tree) = self.items.next() else {
            return Ok(None);
        };
        let step = Step::Item(self.number);
        self.number += 1;
        let item = seed.deserialize(Reader::of(tree));
        item.map(Some).map_err(|error| error.within(step))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Members {
    known: &'static [&'static str],
    left: std::vec::IntoIter<(String, Tree)>,
    next: Option<(Step, Tree)>,
}

impl<'de> MapAccess<'de> for Members {
    type Error = Misfit;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Misfit> {
        let Some((name, tree)) = self.left.next() else {
            return Ok(None);
        };
        let known = self.known.iter().find(|known| **known == name);
        let step = known.map_or(Step::SomeMember, |known| Step::Member(known));
        self.next = Some((step, tree));
        seed.deserialize(StrDeserializer::new(&name)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Misfit> {
        let next = self.next.take();
        let (step, tree) = next.ok_or_else(|| Misfit::custom("a value without its name"))?;
        let value = seed.deserialize(Reader::of(tree));
        value.map_err(|error| error.within(step))
    }
}

struct Variant {
    name: String,
    content: Option<Tree>,
}

impl<'de> EnumAccess<'de> for Variant {
    type Error = Misfit;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Content), Misfit> {
        let variant = seed.deserialize(StrDeserializer::new(&self.name))?;
        Ok((variant, Content(self.content)))
    }
}

struct Content(Option<Tree>);

impl Content {
    fn reader(self) -> Reader {
        Reader::of(self.0.unwrap_or(Tree::Null))
    }
}

impl<'de> VariantAccess<'de> for Content {
    type Error = Misfit;

    fn unit_variant(self) -> Result<(), Misfit> {
        <()>::deserialize(self.reader())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Misfit> {
        seed.deserialize(self.reader())
    }

    fn tuple_variant<V: Visitor<'de>>(self, length: usize, visitor: V) -> Result<V::Value, Misfit> {
        self.reader().deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        known: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Misfit> {
        self.reader().deserialize_struct("", known, visitor)
    }
}
