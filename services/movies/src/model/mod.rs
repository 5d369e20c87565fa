//! Movies, reviews and their rules; nothing here knows of HTTP, SQL or Redis.

mod search;
mod value;

pub use search::{Folded, Search};
pub use value::{Kind, PosterUrl, Rating, ReleaseDate};

use chassis::Text;
use chrono::{DateTime, Utc};

/// A movie's title.
pub type Title = Text<1, 200>;
/// What a movie is about.
pub type Description = Text<0, 5000>;
/// A genre; free text, compared without case.
pub type Genre = Text<1, 50>;
/// The headline of a review.
pub type ReviewTitle = Text<1, 200>;
/// What a review says.
pub type ReviewBody = Text<0, 5000>;

/// A movie or a TV show (S3-27).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movie {
    /// From 1.
    pub id: i64,
    /// As its owner wrote it.
    pub title: String,
    /// What it is about.
    pub description: String,
    /// The owner's rating.
    pub rating: Rating,
    /// As its owner wrote it.
    pub genre: String,
    /// A picture; empty for none.
    pub poster_url: String,
    /// When it came out.
    pub release_date: ReleaseDate,
    /// What it is.
    pub kind: Kind,
    /// Who entered it, and alone may change it (D6).
    pub created_by: i64,
    /// How many reviews there are.
    pub review_count: i64,
    /// The mean of their ratings, once there is one.
    pub review_rating: Option<Rating>,
}

impl Movie {
    /// Where it stands in the list of popular movies: the greatest first (D21).
    pub fn popularity(&self) -> Popularity {
        (self.rating.hundredths(), self.review_count, self.id)
    }
}

/// Rating, number of reviews, id.
pub type Popularity = (i32, i64, i64);

/// What is written of a movie; `None` keeps what there is, or means the default.
#[derive(Debug, Clone)]
pub struct MovieDraft {
    /// The title.
    pub title: Title,
    /// What it is about; empty by default.
    pub description: Option<Description>,
    /// The owner's rating.
    pub rating: Rating,
    /// The genre.
    pub genre: Genre,
    /// A picture; none by default.
    pub poster_url: Option<PosterUrl>,
    /// When it came out.
    pub release_date: ReleaseDate,
    /// A movie by default.
    pub kind: Option<Kind>,
}

/// A review: one a person and movie (D22).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// From 1, over all movies.
    pub id: i64,
    /// What it is about.
    pub movie_id: i64,
    /// Who wrote it.
    pub user_id: i64,
    /// Their name.
    pub username: String,
    /// The headline.
    pub title: String,
    /// What it says.
    pub body: String,
    /// How good the movie is.
    pub rating: Rating,
    /// When it was written.
    pub created_at: DateTime<Utc>,
    /// When it was changed last, or written.
    pub updated_at: DateTime<Utc>,
}

/// What is written of a review; `None` keeps what there is, or means the default.
#[derive(Debug, Clone)]
pub struct ReviewDraft {
    /// The headline.
    pub title: ReviewTitle,
    /// What it says; empty by default.
    pub body: Option<ReviewBody>,
    /// How good the movie is.
    pub rating: Rating,
}
