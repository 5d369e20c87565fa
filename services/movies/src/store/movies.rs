//! Movies: read, written, listed, searched.

use chassis::{Error, Page, Text, clock, sql};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DbBackend, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
    sea_query::{Expr, LikeExpr, SimpleExpr},
};
use uuid::Uuid;

use super::{Store, entity::movie, is_taken, version};
use crate::model::{Folded, Movie, MovieDraft, Popularity, PosterUrl, Rating, Search};

/// Shortest part of a title that an index of trigrams can find, in characters.
const TRIGRAM: usize = 3;

impl Store {
    /// Enters a movie, of one operation once; its id.
    pub(crate) async fn insert_movie(
        &self,
        operation: Uuid,
        draft: MovieDraft,
        created_by: i64,
    ) -> Result<i64, Error> {
        let operation = operation.to_string();
        let poster_url = draft.poster_url.as_ref().map_or("", PosterUrl::as_str);
        let row = movie::ActiveModel {
            id: NotSet,
            title_key: Set(Folded::new(draft.title.as_str()).into_string()),
            title: Set(draft.title.into_string()),
            description: Set(draft
                .description
                .map_or_else(String::new, Text::into_string)),
            rating: Set(draft.rating.hundredths()),
            genre_key: Set(Folded::new(draft.genre.as_str()).into_string()),
            genre: Set(draft.genre.into_string()),
            poster_url: Set(poster_url.to_owned()),
            release_date: Set(draft.release_date.date()),
            kind: Set(draft.kind.unwrap_or_default().as_str().to_owned()),
            created_by: Set(created_by),
            created_at: Set(clock::now()),
            review_count: Set(0),
            review_sum: Set(0),
            reviews_version: Set(version::new()),
            operation: Set(Some(operation.clone())),
        };
        let transaction = sql::begin(&self.connection).await?;
        let row = match row.insert(&transaction).await {
            Ok(row) => row,
            Err(error) if is_taken(&error) => {
                transaction.rollback().await?;
                return self.movie_of(&operation).await;
            }
            Err(error) => return Err(error.into()),
        };
        version::changed(&transaction).await?;
        transaction.commit().await?;
        Ok(row.id)
    }

    /// The movie that an operation entered before.
    async fn movie_of(&self, operation: &str) -> Result<i64, Error> {
        let before = movie::Column::Operation.eq(operation);
        let before = movie::Entity::find().filter(before);
        let before = before.one(&self.connection).await?;
        let gone = || Error::conflict("The movie that this request entered was deleted");
        Ok(before.ok_or_else(gone)?.id)
    }

    /// Changes a movie; `false` when it is not there any more.
    pub(crate) async fn update_movie(&self, id: i64, draft: MovieDraft) -> Result<bool, Error> {
        use movie::Column;
        let title_key = Folded::new(draft.title.as_str()).into_string();
        let genre_key = Folded::new(draft.genre.as_str()).into_string();
        let mut update = movie::Entity::update_many()
            .filter(Column::Id.eq(id))
            .col_expr(Column::Title, Expr::value(draft.title.into_string()))
            .col_expr(Column::TitleKey, Expr::value(title_key))
            .col_expr(Column::Rating, Expr::value(draft.rating.hundredths()))
            .col_expr(Column::Genre, Expr::value(draft.genre.into_string()))
            .col_expr(Column::GenreKey, Expr::value(genre_key))
            .col_expr(Column::ReleaseDate, Expr::value(draft.release_date.date()));
        let kept = [
            (
                Column::Description,
                draft.description.map(Text::into_string),
            ),
            (
                Column::PosterUrl,
                draft.poster_url.map(|url| url.as_str().to_owned()),
            ),
            (
                Column::Kind,
                draft.kind.map(|kind| kind.as_str().to_owned()),
            ),
        ];
        for (column, value) in kept {
            if let Some(value) = value {
                update = update.col_expr(column, Expr::value(value));
            }
        }
        let transaction = sql::begin(&self.connection).await?;
        let updated = update.exec(&transaction).await?.rows_affected;
        version::changed(&transaction).await?;
        transaction.commit().await?;
        Ok(updated > 0)
    }

    /// Removes a movie with its reviews; `false` when it is not there any more.
    pub(crate) async fn remove_movie(&self, id: i64) -> Result<bool, Error> {
        let transaction = sql::begin(&self.connection).await?;
        let removed = movie::Entity::delete_by_id(id).exec(&transaction).await?;
        version::changed(&transaction).await?;
        transaction.commit().await?;
        Ok(removed.rows_affected > 0)
    }

    /// The movie with this id.
    pub(crate) async fn find_movie(&self, id: i64) -> Result<Option<Movie>, Error> {
        let row = movie::Entity::find_by_id(id).one(&self.connection).await?;
        Ok(row.map(Movie::from))
    }

    /// A page of what fits a search, the newest first; `Search::default()` fits all.
    pub(crate) async fn list_movies(
        &self,
        search: &Search,
        page: &Page<i64>,
    ) -> Result<Vec<Movie>, Error> {
        let mut query = movie::Entity::find().order_by_desc(movie::Column::Id);
        if let Some(id) = page.after {
            query = query.filter(movie::Column::Id.lt(id));
        }
        if let Some(part) = &search.title {
            query = query.filter(self.title_has(part.as_str()));
        }
        if let Some(genre) = &search.genre {
            query = query.filter(movie::Column::GenreKey.eq(genre.as_str()));
        }
        if search.min_rating > Rating::LEAST {
            query = query.filter(movie::Column::Rating.gte(search.min_rating.hundredths()));
        }
        if search.max_rating < Rating::MOST {
            query = query.filter(movie::Column::Rating.lte(search.max_rating.hundredths()));
        }
        if let Some(kind) = search.kind {
            query = query.filter(movie::Column::Kind.eq(kind.as_str()));
        }
        self.page_of(query, page.fetch()).await
    }

    /// A page of all movies: highest rating, then most reviews, then the newest (D21).
    pub(crate) async fn list_popular(&self, page: &Page<Popularity>) -> Result<Vec<Movie>, Error> {
        let columns = [
            movie::Column::Rating,
            movie::Column::ReviewCount,
            movie::Column::Id,
        ];
        let mut query = movie::Entity::find();
        for column in columns {
            query = query.order_by_desc(column);
        }
        if let Some((rating, reviews, id)) = page.after {
            let last = [rating.into(), reviews.into(), id.into()].map(SimpleExpr::Value);
            query = query.filter(Expr::tuple(columns.map(Expr::col)).lt(Expr::tuple(last)));
        }
        self.page_of(query, page.fetch()).await
    }

    async fn page_of(&self, query: Select<movie::Entity>, fetch: u64) -> Result<Vec<Movie>, Error> {
        let rows = query.limit(fetch).all(&self.connection).await?;
        Ok(rows.into_iter().map(Movie::from).collect())
    }

    /// Whether a folded title has this part, in the words that the store's index understands.
    fn title_has(&self, part: &str) -> SimpleExpr {
        if self.connection.get_database_backend() == DbBackend::Postgres {
            let pattern = LikeExpr::new(format!("%{}%", escaped(part))).escape('\\');
            return Expr::col(movie::Column::TitleKey).like(pattern);
        }
        if part.chars().count() < TRIGRAM {
            let (column, part) = (Expr::col(movie::Column::TitleKey), Expr::value(part));
            return Expr::cust_with_exprs("instr(?, ?) > 0", [column, part]);
        }
        let phrase = format!("\"{}\"", part.replace('"', "\"\""));
        let found = "id IN (SELECT rowid FROM movie_titles WHERE title_key MATCH ?)";
        Expr::cust_with_values(found, [phrase])
    }
}

/// A text that LIKE takes literally.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '\\') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

#[cfg(test)]
mod tests {
    #[test]
    fn d21_a_pattern_matches_nothing_but_itself() {
        assert_eq!(super::escaped(r"100%_\a"), r"100\%\_\\a");
    }
}
