//! Reviews, and what a movie says of them.
//!
//! Every change begins with an update of the movie: it makes all changes of one movie's reviews
//! wait for each other on Postgres (on SQLite there is one writer anyway), so that number and
//! sum are those of the rows, whatever happens at the same time.

use chassis::{Error, Identity, Page, clock};
use messaging::events::MovieReviewed;
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DatabaseTransaction, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Store,
    entity::{movie, review},
    is_taken, queries, version,
};
use crate::model::{Review, ReviewDraft, ReviewTitle};

/// What became of a new review.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Inserted {
    /// It has this id.
    Yes(i64),
    /// There is no such movie.
    NoMovie,
    /// The person has written one of this movie.
    Already,
}

impl Store {
    /// Adds a review, of one operation once, and tells of it.
    pub(crate) async fn insert_review(
        &self,
        operation: Uuid,
        movie_id: i64,
        author: &Identity,
        draft: ReviewDraft,
    ) -> Result<Inserted, Error> {
        let rating = draft.rating.hundredths();
        let transaction = self.connection.begin().await?;
        if !count(&transaction, movie_id, 1, i64::from(rating)).await? {
            return Ok(Inserted::NoMovie);
        }
        let title = draft.title.as_str().to_owned();
        let operation = operation.to_string();
        let mut row = new_row(movie_id, author, draft);
        row.operation = Set(Some(operation.clone()));
        let review_id = match row.insert(&transaction).await {
            Ok(row) => row.id,
            Err(error) if is_taken(&error) => {
                transaction.rollback().await?;
                return self.review_of(&operation).await;
            }
            Err(error) => return Err(error.into()),
        };
        let event = MovieReviewed {
            movie_id,
            review_id,
            user_id: author.user_id,
            title,
        };
        self.outbox.insert(&transaction, &event).await?;
        version::changed(&transaction).await?;
        self.outbox.commit(transaction).await?;
        Ok(Inserted::Yes(review_id))
    }

    /// What there is instead of a review that could not be added: the one that the operation added
    /// before, or another of the same person.
    async fn review_of(&self, operation: &str) -> Result<Inserted, Error> {
        let before = review::Column::Operation.eq(operation);
        let before = review::Entity::find().filter(before);
        let before = before.one(&self.connection).await?;
        Ok(before.map_or(Inserted::Already, |review| Inserted::Yes(review.id)))
    }

    /// Changes a review; `false` when it is not there any more.
    pub(crate) async fn update_review(
        &self,
        review: &Review,
        draft: ReviewDraft,
    ) -> Result<bool, Error> {
        use review::Column;
        let transaction = self.connection.begin().await?;
        if !count(&transaction, review.movie_id, 0, 0).await? {
            return Ok(false);
        }
        // Read behind the movie's lock: what is subtracted is what was added.
        let row = review::Entity::find_by_id(review.id);
        let Some(row) = row.one(&transaction).await? else {
            return Ok(false);
        };
        let rating = draft.rating.hundredths();
        let mut update = review::Entity::update_many()
            .filter(Column::Id.eq(row.id))
            .col_expr(Column::Title, Expr::value(draft.title.into_string()))
            .col_expr(Column::Rating, Expr::value(rating))
            .col_expr(Column::UpdatedAt, Expr::value(clock::now()));
        if let Some(body) = draft.body {
            update = update.col_expr(Column::Body, Expr::value(body.into_string()));
        }
        update.exec(&transaction).await?;
        // Lists of movies show the mean, and nothing else of a review.
        if rating != row.rating {
            let more = i64::from(rating) - i64::from(row.rating);
            count(&transaction, review.movie_id, 0, more).await?;
            version::changed(&transaction).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes a review; `false` when it is not there any more.
    pub(crate) async fn remove_review(&self, review: &Review) -> Result<bool, Error> {
        let transaction = self.connection.begin().await?;
        if !count(&transaction, review.movie_id, 0, 0).await? {
            return Ok(false);
        }
        let row = review::Entity::find_by_id(review.id);
        let Some(row) = row.one(&transaction).await? else {
            return Ok(false);
        };
        review::Entity::delete_by_id(row.id)
            .exec(&transaction)
            .await?;
        count(&transaction, review.movie_id, -1, -i64::from(row.rating)).await?;
        version::changed(&transaction).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Removes all reviews of somebody whose account is deleted. The movies that they entered stay: those are about movies.
    pub(crate) async fn forget_reviews_of(&self, user_id: i64) -> Result<(), Error> {
        let theirs = review::Entity::find().filter(review::Column::UserId.eq(user_id));
        for row in theirs.all(&self.connection).await? {
            self.remove_review(&Review::from(row)).await?;
        }
        Ok(())
    }

    /// A review of a movie.
    pub(crate) async fn find_review(
        &self,
        movie_id: i64,
        review_id: i64,
    ) -> Result<Option<Review>, Error> {
        let row = review::Entity::find_by_id(review_id)
            .filter(review::Column::MovieId.eq(movie_id))
            .one(&self.connection)
            .await?;
        Ok(row.map(Review::from))
    }

    /// A page of a movie's reviews, the newest first.
    pub(crate) async fn list_reviews(
        &self,
        movie_id: i64,
        page: &Page<i64>,
    ) -> Result<Vec<Review>, Error> {
        let query = queries::reviews(movie_id, page);
        let rows = query.all(&self.connection).await?;
        Ok(rows.into_iter().map(Review::from).collect())
    }
}

/// Adds to what a movie says of its reviews, and locks it; `false` when there is no such movie.
async fn count(
    transaction: &DatabaseTransaction,
    movie_id: i64,
    reviews: i64,
    hundredths: i64,
) -> Result<bool, Error> {
    use movie::Column;
    let more = |column: Column, by: i64| Expr::col(column).add(by);
    let counted = movie::Entity::update_many()
        .filter(Column::Id.eq(movie_id))
        .col_expr(Column::ReviewCount, more(Column::ReviewCount, reviews))
        .col_expr(Column::ReviewSum, more(Column::ReviewSum, hundredths))
        .col_expr(Column::ReviewsVersion, Expr::value(version::new()))
        .exec(transaction)
        .await?;
    Ok(counted.rows_affected > 0)
}

fn new_row(movie_id: i64, author: &Identity, draft: ReviewDraft) -> review::ActiveModel {
    let (now, body) = (clock::now(), draft.body);
    review::ActiveModel {
        id: NotSet,
        movie_id: Set(movie_id),
        user_id: Set(author.user_id),
        username: Set(author.username.clone()),
        title: Set(ReviewTitle::into_string(draft.title)),
        body: Set(body.map_or_else(String::new, chassis::Text::into_string)),
        rating: Set(draft.rating.hundredths()),
        created_at: Set(now),
        updated_at: Set(now),
        operation: NotSet,
    }
}
