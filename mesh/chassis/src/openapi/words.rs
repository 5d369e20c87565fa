//! What a route says of itself, for the document and whoever reads it.

use http::StatusCode;
use utoipa::ToSchema;

use crate::{Code, Route, schema::Schema};

impl<S> Route<S> {
    /// The name of the operation, as generated clients, spans and metrics have it: `listMovies`.
    /// No two operations of all services share one, and it never changes (`docs/operations.txt`).
    #[must_use]
    pub fn id(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// What the route does, in one line.
    #[must_use]
    pub fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// A media type that it answers beside JSON, or instead of it where the handler answers
    /// [`Content`](crate::Content), for the documentation.
    #[must_use]
    pub fn media(mut self, kind: &'static str) -> Self {
        self.media.push(kind);
        self
    }

    /// Failures of its own, beside those that follow from its shape.
    #[must_use]
    pub fn fails(mut self, codes: &[Code]) -> Self {
        self.fails.extend_from_slice(codes);
        self
    }

    /// Left out of the document, which has room for one operation of a method and path: another
    /// service's is there (D15).
    #[must_use]
    pub fn undocumented(mut self) -> Self {
        self.documented = false;
        self
    }

    /// What there is to say of the route beside its summary, as sentences.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Self {
        self.about = about;
        self
    }

    /// A header of success beside those that follow from the route's shape.
    #[must_use]
    pub fn tells(mut self, name: &'static str, about: &'static str) -> Self {
        self.tells.push((name, about));
        self
    }

    /// Success says where what was made is.
    #[must_use]
    pub fn located(self) -> Self {
        self.tells("Location", "Where what was made is")
    }

    /// Success has a tag, and is not sent again to who has it.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    /// An answer of another status that is no problem document.
    #[must_use]
    pub fn or<T: ToSchema>(mut self, status: StatusCode) -> Self {
        self.others.push((status, Schema::of::<T>()));
        self
    }
}
