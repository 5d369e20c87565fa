//! The REST face: the route table, and what several resources share.

mod lists;
mod movies;
mod reviews;
mod status;

use chassis::{Code, Error, Route};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Movies, model::Movie};

type Answered<T> = Result<chassis::Answer<T>, Error>;

pub(crate) fn routes() -> Vec<Route<Movies>> {
    [movie_routes(), list_routes(), review_routes()]
        .into_iter()
        .flatten()
        .collect()
}

fn movie_routes() -> Vec<Route<Movies>> {
    vec![
        Route::get("/api/movies/status", status::status).summary("Whether the database answers"),
        Route::post("/api/movies", movies::create)
            .summary("Enters a movie or TV show")
            .idempotent(),
        Route::get("/api/movies/{id:int}", movies::show).summary("Shows a movie"),
        Route::put("/api/movies/{id:int}", movies::change)
            .summary("Changes an own movie; description, poster_url and kind stay when not sent")
            .fails(&[Code::Forbidden]),
        Route::delete("/api/movies/{id:int}", movies::remove)
            .summary("Deletes an own movie with its reviews")
            .fails(&[Code::Forbidden]),
    ]
}

fn list_routes() -> Vec<Route<Movies>> {
    vec![
        Route::get("/api/movies", lists::newest)
            .summary("Lists movies, newest first")
            .paged(),
        Route::get("/api/movies/popular", lists::popular)
            .summary("Lists movies: highest rating, then most reviews; cached")
            .paged(),
        Route::get("/api/movies/search", lists::search)
            .summary("Searches movies, newest first; cached")
            .query("title", "A part of the title, in any case")
            .query("genre", "The genre, in any case")
            .query("min_rating", "The least rating, 0 to 10")
            .query("max_rating", "The greatest rating, 0 to 10")
            .query("kind", "movie or tv_show")
            .fails(&[Code::Unacceptable])
            .paged(),
        Route::delete("/api/movies/cache/clear", lists::clear_cache)
            .summary("Empties the cache; any signed-in person may"),
    ]
}

fn review_routes() -> Vec<Route<Movies>> {
    vec![
        Route::post("/api/movies/{id:int}/reviews", reviews::create)
            .summary("Reviews a movie; once a person")
            .fails(&[Code::Conflict])
            .idempotent(),
        Route::get("/api/movies/{id:int}/reviews", reviews::list)
            .summary("Lists a movie's reviews, newest first; cached")
            .paged(),
        Route::put(
            "/api/movies/{id:int}/reviews/{review_id:int}",
            reviews::change,
        )
        .summary("Changes an own review; the body stays when not sent")
        .fails(&[Code::Forbidden]),
        Route::delete(
            "/api/movies/{id:int}/reviews/{review_id:int}",
            reviews::remove,
        )
        .summary("Deletes an own review")
        .fails(&[Code::Forbidden]),
    ]
}

#[derive(Debug, Serialize, ToSchema)]
struct MessageResponse {
    message: &'static str,
}

impl From<&'static str> for MessageResponse {
    fn from(message: &'static str) -> Self {
        Self { message }
    }
}

#[derive(Debug, Serialize, ToSchema)]
struct CreatedResponse {
    message: &'static str,
    id: i64,
}

fn no_such_movie() -> Error {
    Error::not_found("Movie not found")
}

impl Movies {
    /// The movie that the path names.
    async fn movie(&self, request: &chassis::Request) -> Result<Movie, Error> {
        let movie = self.store.find_movie(request.param("id")?).await?;
        movie.ok_or_else(no_such_movie)
    }
}
