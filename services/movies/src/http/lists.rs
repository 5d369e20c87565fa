//! Lists of movies (S3-10, S3-13, S3-14, S3-18).

use std::sync::Arc;

use chassis::{Code, Error, Page, Parameter, Request, Text};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Answered, MessageResponse, movies::MovieResponse};
use crate::{
    Movies,
    cache::Listing,
    metrics::Origin,
    model::{Folded, Kind, Movie, Popularity, Rating, Search},
};

/// What a search may ask for.
pub(super) const TITLE: Parameter<Text<0, 200>> =
    Parameter::new("title", "A part of the title, in any case").refused_as(Code::Unacceptable);
pub(super) const GENRE: Parameter<Text<0, 200>> =
    Parameter::new("genre", "The genre, in any case").refused_as(Code::Unacceptable);
pub(super) const MIN_RATING: Parameter<f64> =
    Parameter::new("min_rating", "The least rating").within(0, 10);
pub(super) const MAX_RATING: Parameter<f64> =
    Parameter::new("max_rating", "The greatest rating").within(0, 10);
pub(super) const KIND: Parameter<Kind> =
    Parameter::new("kind", "Only these").refused_as(Code::Unacceptable);

/// S3-10
pub(super) async fn newest(movies: Arc<Movies>, request: Request) -> Answered<Vec<MovieResponse>> {
    let page: Page<i64> = request.page()?;
    let rows = movies.store.list_movies(&Search::default(), &page).await?;
    page.answer(&request, rows, |movie| movie.id, MovieResponse::from)
}

/// A list, and where it came from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(title = "MovieList")]
pub(super) struct ListResponse {
    /// `Results retrieved from cache` or `Results retrieved from database`.
    message: &'static str,
    #[schema(value_type = Vec<MovieResponse>)]
    data: Arc<RawValue>,
}

/// S3-13
pub(super) async fn popular(movies: Arc<Movies>, request: Request) -> Answered<ListResponse> {
    let page: Page<Popularity> = request.page()?;
    let key = movies.cache.key("popular", &(page.limit, page.after))?;
    let (store, asked) = (movies.store.clone(), page.clone());
    let load = || async move {
        let rows = store.list_popular(&asked).await?;
        listing(&asked, rows, Movie::popularity)
    };
    let version = movies.store.catalogue_version();
    let found = movies.cache.list(&key, version, load).await?;
    answer(&request, &page, found)
}

/// S3-14
pub(super) async fn search(movies: Arc<Movies>, request: Request) -> Answered<ListResponse> {
    let page: Page<i64> = request.page()?;
    let search = parse(&request)?;
    let key = (&search, page.limit, page.after);
    let key = movies.cache.key("search", &key)?;
    let (store, asked) = (movies.store.clone(), page.clone());
    let load = || async move {
        let rows = store.list_movies(&search, &asked).await?;
        listing(&asked, rows, |movie| movie.id)
    };
    let version = movies.store.catalogue_version();
    let found = movies.cache.list(&key, version, load).await?;
    answer(&request, &page, found)
}

/// S3-18
pub(super) async fn clear_cache(movies: Arc<Movies>, _: Request) -> Answered<MessageResponse> {
    movies.store.clear().await?;
    Ok(MessageResponse::from("All cache cleared successfully").into())
}

/// At most a page of `rows`, as it is answered and cached.
pub(super) fn page_of<R, T: Serialize, K: Serialize>(
    limit: u64,
    mut rows: Vec<R>,
    key: impl Fn(&R) -> K,
    show: impl Fn(R) -> T,
) -> Result<Listing, Error> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(key);
    let shown: Vec<T> = rows.into_iter().map(show).collect();
    Listing::new(&shown, next.as_ref())
}

fn listing<K: Serialize>(
    page: &Page<K>,
    rows: Vec<Movie>,
    key: impl Fn(&Movie) -> K,
) -> Result<Listing, Error> {
    page_of(page.limit, rows, key, MovieResponse::from)
}

/// The key that the next page begins after.
pub(super) fn next<K: DeserializeOwned>(listing: &Listing) -> Result<Option<K>, Error> {
    serde_json::from_str(&listing.next).map_err(Error::internal)
}

fn answer<K: Serialize + DeserializeOwned>(
    request: &Request,
    page: &Page<K>,
    (origin, listing): (Origin, Listing),
) -> Answered<ListResponse> {
    let next = next(&listing)?;
    let response = ListResponse {
        message: match origin {
            Origin::Cache => "Results retrieved from cache",
            Origin::Store => "Results retrieved from database",
        },
        data: listing.items,
    };
    page.linked(request, response, next.as_ref())
}

/// What is asked.
fn parse(request: &Request) -> Result<Search, Error> {
    let text = |parameter: &Parameter<Text<0, 200>>| {
        let text = parameter.of(request)?;
        let folded = text.map(|text| Folded::asked(text.as_str())).transpose();
        let folded = folded.map(Option::flatten);
        folded.map_err(|reason| parameter.refuse(Code::Unacceptable, &reason))
    };
    let search = Search {
        title: text(&TITLE)?,
        genre: text(&GENRE)?,
        min_rating: bound(request, &MIN_RATING, Rating::at_least)?.unwrap_or(Rating::LEAST),
        max_rating: bound(request, &MAX_RATING, Rating::at_most)?.unwrap_or(Rating::MOST),
        kind: KIND.of(request)?,
    };
    if search.min_rating > search.max_rating {
        return Err(Error::unacceptable(
            "min_rating is greater than max_rating: nothing can be between",
        )
        .at("/min_rating"));
    }
    Ok(search)
}

fn bound(
    request: &Request,
    parameter: &Parameter<f64>,
    parse: fn(f64) -> Result<Rating, String>,
) -> Result<Option<Rating>, Error> {
    let bound = parameter.of(request)?.map(parse);
    let bound = bound.transpose();
    bound.map_err(|reason| parameter.refuse(Code::Unacceptable, &reason))
}
