//! Reviews of a movie (D22).

use std::sync::Arc;

use chassis::{Answer, Error, Page, Request, clock};
use http::{HeaderValue, header};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{
    Answered, CreatedResponse, MessageResponse,
    lists::{next, page_of},
    no_such_movie,
};
use crate::{
    Movies,
    model::{Rating, Review, ReviewBody, ReviewDraft, ReviewTitle},
    store::Inserted,
};

#[derive(Debug, Deserialize, ToSchema)]
#[schema(examples(json!({
    "title": "Still funny",
    "body": "The bridge alone is worth it.",
    "rating": 9,
})))]
pub(super) struct ReviewRequest {
    title: ReviewTitle,
    body: Option<ReviewBody>,
    rating: Rating,
}

impl From<ReviewRequest> for ReviewDraft {
    fn from(request: ReviewRequest) -> Self {
        Self {
            title: request.title,
            body: request.body,
            rating: request.rating,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "Review")]
pub(super) struct ReviewResponse {
    id: i64,
    movie_id: i64,
    user_id: i64,
    username: String,
    title: String,
    body: String,
    rating: Rating,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl From<Review> for ReviewResponse {
    fn from(review: Review) -> Self {
        Self {
            id: review.id,
            movie_id: review.movie_id,
            user_id: review.user_id,
            username: review.username,
            title: review.title,
            body: review.body,
            rating: review.rating,
            created_at: clock::text(review.created_at),
            updated_at: clock::text(review.updated_at),
        }
    }
}

/// D22
pub(super) async fn create(
    movies: Arc<Movies>,
    request: Request,
    body: ReviewRequest,
) -> Answered<CreatedResponse> {
    let movie_id: i64 = request.param("id")?;
    let author = request.caller()?;
    let operation = request.operation();
    let inserted = movies
        .store
        .insert_review(operation, movie_id, author, body.into());
    let id = match inserted.await? {
        Inserted::Yes(id) => id,
        Inserted::NoMovie => return Err(no_such_movie()),
        Inserted::Already => return Err(Error::conflict("You have reviewed this movie already")),
    };
    let created = CreatedResponse {
        message: "Review created",
        id,
    };
    let location = format!("/api/movies/{movie_id}/reviews/{id}");
    let location = HeaderValue::try_from(location).map_err(Error::internal)?;
    Ok(Answer::from(created).header(header::LOCATION, location))
}

/// A bare array, written already.
#[derive(Debug, ToSchema)]
#[schema(value_type = Vec<ReviewResponse>)]
pub(super) struct ReviewsResponse(Arc<RawValue>);

impl Serialize for ReviewsResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// D22, S3-29
pub(super) async fn list(movies: Arc<Movies>, request: Request) -> Answered<ReviewsResponse> {
    let movie_id: i64 = request.param("id")?;
    let page: Page<i64> = request.page()?;
    let key = (movie_id, page.limit, page.after);
    let key = movies.cache.key("reviews", &key)?;
    let (store, asked) = (movies.store.clone(), page.clone());
    let load = || async move {
        let rows = store.list_reviews(movie_id, &asked).await?;
        page_of(asked.limit, rows, |review| review.id, ReviewResponse::from)
    };
    let version = async {
        let version = movies.store.reviews_version(movie_id).await?;
        version.ok_or_else(no_such_movie)
    };
    let (_, listing) = movies.cache.list(&key, version, load).await?;
    let next = next(&listing)?;
    page.linked(&request, ReviewsResponse(listing.items), next.as_ref())
}

/// D22
pub(super) async fn change(
    movies: Arc<Movies>,
    request: Request,
    body: ReviewRequest,
) -> Answered<MessageResponse> {
    let review = movies.own_review(&request).await?;
    if !movies.store.update_review(&review, body.into()).await? {
        return Err(no_such_review());
    }
    Ok(MessageResponse::from("Review updated successfully").into())
}

/// D22
pub(super) async fn remove(movies: Arc<Movies>, request: Request) -> Answered<MessageResponse> {
    let review = movies.own_review(&request).await?;
    if !movies.store.remove_review(&review).await? {
        return Err(no_such_review());
    }
    Ok(MessageResponse::from("Review deleted successfully").into())
}

fn no_such_review() -> Error {
    Error::not_found("Review not found")
}

impl Movies {
    /// The review that the path names, if the caller wrote it (D6).
    async fn own_review(&self, request: &Request) -> Result<Review, Error> {
        let movie = self.movie(request).await?;
        let review_id = request.param("review_id")?;
        let review = self.store.find_review(movie.id, review_id).await?;
        let review = review.ok_or_else(no_such_review)?;
        if review.user_id != request.caller()?.user_id {
            return Err(Error::forbidden(
                "Only the author of a review can change or delete it",
            ));
        }
        Ok(review)
    }
}
