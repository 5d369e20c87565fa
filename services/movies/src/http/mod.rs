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
        Route::get("/api/movies/status", status::status)
            .id("getMoviesStatus")
            .or::<status::StatusResponse>(http::StatusCode::INTERNAL_SERVER_ERROR)
            .summary("Whether the database of movies answers"),
        Route::post("/api/movies", movies::create)
            .id("createMovie")
            .located()
            .summary("Enters a movie or TV show")
            .idempotent(),
        Route::get("/api/movies/{id:int}", movies::show)
            .id("getMovie")
            .summary("Shows a movie"),
        Route::put("/api/movies/{id:int}", movies::change)
            .id("updateMovie")
            .summary("Changes an own movie; description, poster_url and kind stay when not sent")
            .fails(&[Code::Forbidden]),
        Route::delete("/api/movies/{id:int}", movies::remove)
            .id("deleteMovie")
            .summary("Deletes an own movie with its reviews")
            .fails(&[Code::Forbidden]),
    ]
}

fn list_routes() -> Vec<Route<Movies>> {
    vec![
        Route::get("/api/movies", lists::newest)
            .id("listMovies")
            .summary("Lists movies, newest first")
            .paged(),
        Route::get("/api/movies/popular", lists::popular)
            .id("listPopularMovies")
            .summary("Lists movies: highest rating, then most reviews; cached")
            .paged(),
        Route::get("/api/movies/search", lists::search)
            .id("searchMovies")
            .summary("Searches movies, newest first; cached")
            .takes(&lists::TITLE)
            .takes(&lists::GENRE)
            .takes(&lists::MIN_RATING)
            .takes(&lists::MAX_RATING)
            .takes(&lists::KIND)
            .fails(&[Code::Unacceptable])
            .paged(),
        Route::delete("/api/movies/cache/clear", lists::clear_cache)
            .id("clearMovieCache")
            .summary("Empties the cache; any signed-in person may"),
    ]
}

fn review_routes() -> Vec<Route<Movies>> {
    vec![
        Route::post("/api/movies/{id:int}/reviews", reviews::create)
            .id("createReview")
            .located()
            .summary("Reviews a movie; once a person")
            .fails(&[Code::Conflict])
            .idempotent(),
        Route::get("/api/movies/{id:int}/reviews", reviews::list)
            .id("listReviews")
            .summary("Lists a movie's reviews, newest first; cached")
            .paged(),
        Route::put(
            "/api/movies/{id:int}/reviews/{review_id:int}",
            reviews::change,
        )
        .id("updateReview")
        .summary("Changes an own review; the body stays when not sent")
        .fails(&[Code::Forbidden]),
        Route::delete(
            "/api/movies/{id:int}/reviews/{review_id:int}",
            reviews::remove,
        )
        .id("deleteReview")
        .summary("Deletes an own review")
        .fails(&[Code::Forbidden]),
    ]
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Message")]
struct MessageResponse {
    message: &'static str,
}

impl From<&'static str> for MessageResponse {
    fn from(message: &'static str) -> Self {
        Self { message }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Created")]
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
