//! What is said of JSON that does not fit.

use std::{borrow::Cow, fmt};

use serde::de::{self, Expected, Unexpected};

use crate::Error;

/// Why JSON is not what it should be: which member, and what belongs there. It never holds what was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// The way to the member, from the innermost step.
    steps: Vec<Step>,
    fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A member that the type knows.
    Member(&'static str),
    /// A member of an object whose names are the sender's own.
    SomeMember,
    Item(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// It is not even in this format.
    Syntax(&'static str),
    /// Something else belongs there.
    Needed(Cow<'static, str>),
    /// The same, where null is: as if it were absent, as soon as it is taken out.
    Null(Cow<'static, str>),
    /// A member is not there.
    Missing(&'static str),
    /// A member is there twice.
    Twice(&'static str),
    /// What a type of ours says of a value; such sentences name rules, not values.
    Rule(String),
}

impl Misfit {
    pub(super) fn syntax(format: &'static str) -> Self {
        Self::new(Fault::Syntax(format))
    }

    /// Null is where a value belongs: `what`, as in "must be …".
    pub(super) fn null(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Fault::Null(what.into()))
    }

    /// The way to a null where a value belongs, from the innermost step.
    pub(super) fn way_to_null(&self) -> Option<&[Step]> {
        matches!(self.fault, Fault::Null(_)).then_some(&self.steps)
    }

    /// Something else belongs there: `what`, as in "must be …".
    pub(super) fn needed(what: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Fault::Needed(what.into()))
    }

    fn new(fault: Fault) -> Self {
        Self {
            steps: Vec::new(),
            fault,
        }
    }

    /// The same, one step further from the root.
    pub(super) fn within(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// The same, where all that is known of this very value is what its visitor expects: `what` says it better.
    pub(super) fn instead(self, what: &str) -> Self {
        match self.fault {
            Fault::Needed(_) if self.steps.is_empty() => Self::needed(what.to_owned()),
            Fault::Null(_) if self.steps.is_empty() => Self::null(what.to_owned()),
            _ => self,
        }
    }

    /// Whether it is no JSON at all, rather than JSON of another shape.
    pub fn is_syntax(&self) -> bool {
        matches!(self.fault, Fault::Syntax(_))
    }

    /// The refusal of a body: 400 for what is no JSON, 422 for another shape.
    pub(crate) fn in_body(&self) -> Error {
        let message = self.of("The body");
        if self.is_syntax() {
            Error::malformed(message)
        } else {
            Error::unacceptable(message).because_of(self.pointer(), self.alone())
        }
    }

    /// The sentence, with `whole` for all of it: "The body must be an object".
    pub fn of(&self, whole: &str) -> String {
        let place = || match self.place(None).as_str() {
            "" => whole.to_owned(),
            place => format!("`{place}`"),
        };
        match &self.fault {
            Fault::Missing(member) | Fault::Twice(member) => {
                format!("`{}` {}", self.place(Some(member)), self.alone())
            }
            // Some rules name their member themselves.
            Fault::Rule(rule) if self.names_itself(rule).is_none() => {
                format!("{}: {rule}", place())
            }
            _ => format!("{} {}", place(), self.alone()),
        }
    }

    /// The same for who sees the member beside it: "must be an object".
    fn alone(&self) -> String {
        match &self.fault {
            Fault::Syntax(format) => format!("is not valid {format}"),
            Fault::Needed(what) | Fault::Null(what) => format!("must be {what}"),
            Fault::Missing(_) => "is missing".to_owned(),
            Fault::Twice(_) => "is there twice".to_owned(),
            Fault::Rule(rule) => self.names_itself(rule).unwrap_or(rule).to_owned(),
        }
    }

    /// What a rule says of its member, if it begins with the member's name.
    fn names_itself<'a>(&self, rule: &'a str) -> Option<&'a str> {
        match self.steps.first()? {
            Step::Member(name) => rule.strip_prefix(name)?.strip_prefix(' '),
            _ => None,
        }
    }

    /// The way to the member as a JSON Pointer (RFC 6901), as far as its names are ours: `/profile/bio`, `/options/2`.
    pub fn pointer(&self) -> String {
        let mut pointer = String::new();
        for step in self.steps.iter().rev() {
            match step {
                Step::Member(name) => pointer.extend(["/", name]),
                Step::Item(number) => pointer.extend(["/", &number.to_string()]),
                Step::SomeMember => return pointer,
            }
        }
        if let Fault::Missing(member) | Fault::Twice(member) = self.fault {
            pointer.extend(["/", member]);
        }
        pointer
    }

    /// As JavaScript writes it: `profile.bio`, `options[2]`.
    fn place(&self, last: Option<&'static str>) -> String {
        let last = last.map(Step::Member);
        let mut place = String::new();
        for step in self.steps.iter().rev().copied().chain(last) {
            let dot = if place.is_empty() { "" } else { "." };
            let step = match step {
                Step::Member(name) => format!("{dot}{name}"),
                Step::SomeMember => format!("{dot}*"),
                Step::Item(number) => format!("[{number}]"),
            };
            place.push_str(&step);
        }
        place
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.of("it"))
    }
}

impl std::error::Error for Misfit {}

impl de::Error for Misfit {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        // Of serde itself; it goes on with the name of a type.
        if message.starts_with("data did not match any variant") {
            return Self::needed("of another kind");
        }
        Self::new(Fault::Rule(message))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let what = in_words(expected.to_string());
        if found == Unexpected::Unit {
            Self::null(what)
        } else {
            Self::needed(what)
        }
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::needed(in_words(expected.to_string()))
    }

    fn invalid_length(_: usize, expected: &dyn Expected) -> Self {
        Self::needed(in_words(expected.to_string()))
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::needed(one_of(expected))
    }

    fn unknown_field(_: &str, expected: &'static [&'static str]) -> Self {
        let known = expected.join(", ");
        Self::needed(format!("an object of no other members than {known}"))
    }

    fn missing_field(member: &'static str) -> Self {
        Self::new(Fault::Missing(member))
    }

    fn duplicate_field(member: &'static str) -> Self {
        Self::new(Fault::Twice(member))
    }
}

/// One of a few texts.
pub(super) fn one_of(texts: &[&str]) -> String {
    match texts {
        [] => "something else".to_owned(),
        [only] => format!("`{only}`"),
        [others @ .., last] => format!("`{}` or `{last}`", others.join("`, `")),
    }
}

/// What a visitor of serde expects, in the words of JSON; its own words where they name no type of Rust's.
fn in_words(expected: String) -> Cow<'static, str> {
    let word = expected.split(' ').next().unwrap_or_default();
    match (word, expected.as_str()) {
        (_, "a string" | "a borrowed string" | "str" | "string" | "a character") => TEXT.into(),
        (_, "a boolean") => TRUTH.into(),
        (_, "a sequence") | ("tuple", _) => LIST.into(),
        (_, "a map") | ("struct", _) => OBJECT.into(),
        (_, "unit") => NULL.into(),
        ("f32" | "f64", _) => NUMBER.into(),
        (
            "i8" | "i16" | "i32" | "i64" | "i128" | "isize" | "u8" | "u16" | "u32" | "u64" | "u128"
            | "usize",
            _,
        ) => WHOLE.into(),
        ("enum" | "variant" | "option" | "newtype" | "internally" | "adjacently" | "unit", _) => {
            "of another kind".into()
        }
        _ => expected.into(),
    }
}

pub(super) const TEXT: &str = "a text";
pub(super) const NUMBER: &str = "a number";
pub(super) const WHOLE: &str = "a whole number";
pub(super) const TRUTH: &str = "true or false";
pub(super) const LIST: &str = "a list";
pub(super) const OBJECT: &str = "an object";
pub(super) const NULL: &str = "null";
