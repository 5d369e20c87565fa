//! One movie (S3-11, S3-12, S3-15 to S3-17).

use std::sync::Arc;

use chassis::{Answer, Error, Request};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answered, CreatedResponse, MessageResponse, no_such_movie};
use crate::{
    Movies,
    model::{Description, Genre, Kind, Movie, MovieDraft, PosterUrl, Rating, ReleaseDate, Title},
};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(title = "MovieRequest")]
#[schema(examples(json!({
    "title": "The General",
    "description": "A driver and his engine, through the lines and back.",
    "rating": 8.1,
    "genre": "Comedy",
    "poster_url": "https://example.com/the-general.jpg",
    "release_date": "1926-12-31",
    "kind": "movie",
})))]
pub(super) struct MovieRequest {
    title: Title,
    description: Option<Description>,
    rating: Rating,
    genre: Genre,
    poster_url: Option<PosterUrl>,
    release_date: ReleaseDate,
    kind: Option<Kind>,
}

impl From<MovieRequest> for MovieDraft {
    fn from(request: MovieRequest) -> Self {
        Self {
            title: request.title,
            description: request.description,
            rating: request.rating,
            genre: request.genre,
            poster_url: request.poster_url,
            release_date: request.release_date,
            kind: request.kind,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Movie")]
pub(super) struct MovieResponse {
    id: i64,
    title: String,
    description: String,
    rating: Rating,
    genre: String,
    poster_url: String,
    release_date: ReleaseDate,
    kind: Kind,
    review_count: i64,
    /// The mean of the reviews; null while there is none.
    review_rating: Option<Rating>,
}

impl From<Movie> for MovieResponse {
    fn from(movie: Movie) -> Self {
        Self {
            id: movie.id,
            title: movie.title,
            description: movie.description,
            rating: movie.rating,
            genre: movie.genre,
            poster_url: movie.poster_url,
            release_date: movie.release_date,
            kind: movie.kind,
            review_count: movie.review_count,
            review_rating: movie.review_rating,
        }
    }
}

/// S3-15
pub(super) async fn create(
    movies: Arc<Movies>,
    request: Request,
    body: MovieRequest,
) -> Answered<CreatedResponse> {
    let owner = request.caller()?.user_id;
    let id = movies
        .store
        .insert_movie(request.operation(), body.into(), owner)
        .await?;
    let created = CreatedResponse {
        message: "Movie created",
        id,
    };
    let location = HeaderValue::try_from(format!("/api/movies/{id}")).map_err(Error::internal)?;
    Ok(Answer::from(created).header(header::LOCATION, location))
}

/// S3-11, S3-12
pub(super) async fn show(movies: Arc<Movies>, request: Request) -> Answered<MovieResponse> {
    let movie = movies.movie(&request).await?;
    Ok(MovieResponse::from(movie).into())
}

/// S3-16
pub(super) async fn change(
    movies: Arc<Movies>,
    request: Request,
    body: MovieRequest,
) -> Answered<MessageResponse> {
    let movie = movies.own_movie(&request).await?;
    if !movies.store.update_movie(movie.id, body.into()).await? {
        return Err(no_such_movie());
    }
    Ok(MessageResponse::from("Movie updated successfully").into())
}

/// S3-17
pub(super) async fn remove(movies: Arc<Movies>, request: Request) -> Answered<MessageResponse> {
    let movie = movies.own_movie(&request).await?;
    if !movies.store.remove_movie(movie.id).await? {
        return Err(no_such_movie());
    }
    Ok(MessageResponse::from("Movie deleted successfully").into())
}

impl Movies {
    /// The movie that the path names, if the caller entered it (D6).
    async fn own_movie(&self, request: &Request) -> Result<Movie, Error> {
        let movie = self.movie(request).await?;
        if movie.created_by != request.caller()?.user_id {
            return Err(Error::forbidden(
                "Only the one who entered a movie can change or delete it",
            ));
        }
        Ok(movie)
    }
}
