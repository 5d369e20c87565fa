//! Query parameters with a type: what the document says of one is what its reader takes.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::{
    Code, Error, Request, Route, json as reading,
    page::{MAX_OFFSET, Paging},
    schema::Schema,
};

/// A query parameter that may be left out, of a type. What is empty is left out.
///
/// A constant of it is named in the route table ([`Route::takes`]) and reads the request
/// ([`Parameter::of`]).
pub struct Parameter<T> {
    name: &'static str,
    about: &'static str,
    range: Option<(i32, i32)>,
    refusal: Code,
    kind: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Parameter<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name)
    }
}

impl<T> Parameter<T> {
    /// Its name, and what it is for.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            range: None,
            refusal: Code::Malformed,
            kind: PhantomData,
        }
    }

    /// A number from `least` to `most`; others are not acceptable (422).
    #[must_use]
    pub const fn within(mut self, least: i32, most: i32) -> Self {
        self.range = Some((least, most));
        self
    }

    /// The failure that another value is, where it is not 400.
    #[must_use]
    pub const fn refused_as(mut self, code: Code) -> Self {
        self.refusal = code;
        self
    }
}

impl<T: FromStr<Err: fmt::Display> + ToSchema> Parameter<T> {
    /// What a request has of it.
    ///
    /// # Errors
    /// 400, or what the parameter says, for what is none of the type; 422 for a number out of its
    /// range.
    pub fn of(&self, request: &Request) -> Result<Option<T>, Error> {
        let text = request.query(self.name).unwrap_or_default();
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
        if let (Some((least, most)), Some(number)) = (self.range, number)
            && !(f64::from(least)..=f64::from(most)).contains(&number)
        {
            return Err(self.refuse(Code::Unacceptable, &self.wanted()));
        }
        // `2.0` is the number 2, as in a body.
        let whole = reading::whole(text).filter(|_| Self::is_number());
        let text = whole.map_or(text.to_owned(), |whole| whole.to_string());
        match text.parse() {
            Ok(value) if !Self::is_number() || number.is_some() => Ok(Some(value)),
            Err(reason) if !Self::is_number() => {
                Err(self.refuse(self.refusal, &reason.to_string()))
            }
            _ => Err(self.refuse(self.refusal, &self.wanted())),
        }
    }

    /// The failure that its value is, for this reason.
    pub fn refuse(&self, code: Code, reason: &str) -> Error {
        Error::new(code, self.named(reason)).at(format!("/{}", self.name))
    }

    fn is_number() -> bool {
        let schema = Schema::of::<T>().schema;
        matches!(schema["type"].as_str(), Some("integer" | "number"))
    }

    fn wanted(&self) -> String {
        match self.range {
            Some((least, most)) => format!("{} must be a number from {least} to {most}", self.name),
            None => format!("{} must be a number", self.name),
        }
    }

    /// A reason says what it is about, if only by the way.
    fn named(&self, reason: &str) -> String {
        if reason.contains(self.name) {
            reason.to_owned()
        } else {
            format!("{}: {reason}", self.name)
        }
    }

    fn described(&self) -> Described {
        let mut schema = Schema::of::<T>();
        if let Some((least, most)) = self.range {
            schema.schema["minimum"] = least.into();
            schema.schema["maximum"] = most.into();
        }
        Described {
            name: self.name,
            about: self.about.to_owned(),
            schema,
        }
    }
}

/// A parameter as the document shows it.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) about: String,
    pub(crate) schema: Schema,
}

impl Described {
    pub(crate) fn new(name: &'static str, about: impl Into<String>, schema: Value) -> Self {
        Self {
            name,
            about: about.into(),
            schema: Schema {
                schema,
                components: Vec::new(),
            },
        }
    }
}

impl<S> Route<S> {
    /// A query parameter of a type.
    #[must_use]
    pub fn takes<T: FromStr<Err: fmt::Display> + ToSchema>(
        mut self,
        parameter: &Parameter<T>,
    ) -> Self {
        self.query.push(parameter.described());
        self
    }

    /// A query parameter of any text.
    #[must_use]
    pub fn query(mut self, name: &'static str, about: &'static str) -> Self {
        let schema = json!({ "type": "string" });
        self.query.push(Described::new(name, about, schema));
        self
    }

    /// A query parameter that is one of few words.
    #[must_use]
    pub fn choice(mut self, name: &'static str, words: &[&str], about: &'static str) -> Self {
        let schema = json!({ "type": "string", "enum": words });
        self.query.push(Described::new(name, about, schema));
        self
    }

    /// What a parameter of the template is.
    #[must_use]
    pub fn place<T: ToSchema>(mut self, name: &'static str, about: &'static str) -> Self {
        self.places.push(Described {
            name,
            about: about.to_owned(),
            schema: Schema::of::<T>(),
        });
        self
    }

    /// A parameter of the template that is the id of a thing.
    #[must_use]
    pub fn uuid(mut self, name: &'static str, about: &'static str) -> Self {
        let schema = json!({ "type": "string", "format": "uuid" });
        self.places.push(Described::new(name, about, schema));
        self
    }

    /// A list with `limit` and `cursor`.
    #[must_use]
    pub fn paged(self) -> Self {
        self.paged_by(Paging::PLAIN)
    }

    /// A list with bounds of its own, and maybe an `offset`.
    #[must_use]
    pub fn paged_by(mut self, paging: Paging) -> Self {
        self.paging = paging;
        self.paged = true;
        let limit = json!({
            "type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX, "default": paging.default,
        });
        let about = format!("Items of a page; more than {0} means {0}", paging.most);
        self.query.push(Described::new("limit", about, limit));
        let about = "Where the page begins: from the Link header of the page before";
        let cursor = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]*$", "maxLength": 1024 });
        self.query.push(Described::new("cursor", about, cursor));
        if !paging.offset {
            return self;
        }
        let about = "Items that are left out before the first; further on, go by the Link header";
        let offset = json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_OFFSET, "default": 0 });
        self.query.push(Described::new("offset", about, offset));
        self.fails(&[Code::Unacceptable])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Text;

    const STARS: Parameter<f64> = Parameter::new("stars", "The least").within(0, 10);
    const OWNER: Parameter<i64> = Parameter::new("owner", "Whose");
    const WORD: Parameter<Text<2, 5>> = Parameter::new("word", "A part");

    fn read<T: FromStr<Err: fmt::Display> + ToSchema>(
        parameter: &Parameter<T>,
        query: &str,
    ) -> Result<Option<T>, (Code, String)> {
        let request = Request::asking(query);
        let read = parameter.of(&request);
        read.map_err(|error| (error.code(), error.message().to_owned()))
    }

    #[test]
    fn what_the_document_says_of_a_parameter_is_what_its_reader_takes() {
        let stars = STARS.described().schema.schema;
        assert_eq!(stars["type"], "number");
        assert_eq!(
            (&stars["minimum"], &stars["maximum"]),
            (&json!(0), &json!(10))
        );
        assert_eq!(read(&STARS, "stars=9.5").unwrap(), Some(9.5));
        assert_eq!(read(&STARS, "other=9.5").unwrap(), None);
        let wanted = "stars must be a number from 0 to 10".to_owned();
        for (query, code) in [
            ("stars=10.1", Code::Unacceptable),
            ("stars=-1", Code::Unacceptable),
            ("stars=many", Code::Malformed),
            ("stars=NaN", Code::Malformed),
            ("stars=inf", Code::Malformed),
        ] {
            assert_eq!(
                read(&STARS, query).unwrap_err(),
                (code, wanted.clone()),
                "{query}"
            );
        }
        assert_eq!(OWNER.described().schema.schema["type"], "integer");
        assert_eq!(read(&OWNER, "owner=7").unwrap(), Some(7));
        assert_eq!(read(&OWNER, "owner=7.0").unwrap(), Some(7));
        let refused = read(&OWNER, "owner=7.5").unwrap_err();
        assert_eq!(
            refused,
            (Code::Malformed, "owner must be a number".to_owned())
        );
    }

    #[test]
    fn an_empty_parameter_is_none() {
        assert_eq!(read(&STARS, "stars=").unwrap(), None);
        assert_eq!(read(&OWNER, "owner=%20").unwrap(), None);
        assert_eq!(read(&WORD, "word=").unwrap(), None);
    }

    #[test]
    fn the_reason_names_the_parameter() {
        assert_eq!(WORD.described().schema.schema["maxLength"], 5);
        let (code, reason) = read(&WORD, "word=toolong").unwrap_err();
        assert_eq!(code, Code::Malformed);
        assert!(
            reason.starts_with("word: a text of 2 to 5 characters"),
            "{reason}"
        );
        let other = Parameter::<Text<2, 5>>::new("word", "").refused_as(Code::Unacceptable);
        assert_eq!(read(&other, "word=x").unwrap_err().0, Code::Unacceptable);
    }
}
