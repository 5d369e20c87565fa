//! Movies: read, written, listed, searched.

use chassis::{Error, Page, Text, clock};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, ConnectionTrait as _, EntityTrait as _, QueryFilter as _, Select,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{Store, entity::movie, is_taken, queries, version};
use crate::model::{Folded, Movie, MovieDraft, Popularity, PosterUrl, Search};

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
        let transaction = self.connection.begin().await?;
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
        let transaction = self.connection.begin().await?;
        let updated = update.exec(&transaction).await?.rows_affected;
        version::changed(&transaction).await?;
        transaction.commit().await?;
        Ok(updated > 0)
    }

    /// Removes a movie with its reviews; `false` when it is not there any more.
    pub(crate) async fn remove_movie(&self, id: i64) -> Result<bool, Error> {
        let transaction = self.connection.begin().await?;
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
        let backend = self.connection.get_database_backend();
        self.movies(queries::search(backend, search, page)).await
    }

    /// A page of all movies: highest rating, then most reviews, then the newest (D21).
    pub(crate) async fn list_popular(&self, page: &Page<Popularity>) -> Result<Vec<Movie>, Error> {
        self.movies(queries::popular(page)).await
    }

    async fn movies(&self, query: Select<movie::Entity>) -> Result<Vec<Movie>, Error> {
        let rows = query.all(&self.connection).await?;
        Ok(rows.into_iter().map(Movie::from).collect())
    }
}
