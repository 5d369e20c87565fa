//! What lists ask the store: each with an index that answers it.

use chassis::Page;
use sea_orm::{
    ColumnTrait as _, DbBackend, EntityTrait as _, ExprTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, Select,
    sea_query::{Expr, LikeExpr, SimpleExpr},
};

use super::entity::{movie, review};
use crate::model::{Popularity, Rating, Search};

/// Shortest part of a title that an index of trigrams can find, in characters.
const TRIGRAM: usize = 3;

/// What fits a search, the newest first.
pub(super) fn search(
    backend: DbBackend,
    search: &Search,
    page: &Page<i64>,
) -> Select<movie::Entity> {
    let mut query = movie::Entity::find().order_by_desc(movie::Column::Id);
    if let Some(id) = page.after {
        query = query.filter(movie::Column::Id.lt(id));
    }
    if let Some(part) = &search.title {
        query = query.filter(title_has(backend, part.as_str()));
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
    query.limit(page.fetch())
}

/// All movies: highest rating, then most reviews, then the newest (D21).
pub(super) fn popular(page: &Page<Popularity>) -> Select<movie::Entity> {
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
    query.limit(page.fetch())
}

/// The reviews of a movie, the newest first.
pub(super) fn reviews(movie_id: i64, page: &Page<i64>) -> Select<review::Entity> {
    let mut query = review::Entity::find()
        .filter(review::Column::MovieId.eq(movie_id))
        .order_by_desc(review::Column::Id);
    if let Some(id) = page.after {
        query = query.filter(review::Column::Id.lt(id));
    }
    query.limit(page.fetch())
}

/// Whether a folded title has this part, in the words that the store's index understands.
fn title_has(backend: DbBackend, part: &str) -> SimpleExpr {
    if backend == DbBackend::Postgres {
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
    use sea_orm::{ConnectionTrait, Database, QueryTrait as _, Statement};
    use sea_orm_migration::MigratorTrait as _;

    use super::*;
    use crate::{model::Folded, store::migration::Migrator};

    #[test]
    fn d21_a_pattern_matches_nothing_but_itself() {
        assert_eq!(escaped(r"100%_\a"), r"100\%\_\\a");
    }

    /// How the store would find what these ask for, by what is asked.
    async fn plans(database: &impl ConnectionTrait, explain: &str) -> Vec<(&'static str, String)> {
        let backend = database.get_database_backend();
        let page = Page {
            limit: 10,
            offset: 0,
            after: Some(4000),
        };
        let title = Search {
            title: Some(Folded::new("alien")),
            ..Search::default()
        };
        let genre = Search {
            genre: Some(Folded::new("horror")),
            ..Search::default()
        };
        let last = Page {
            limit: 10,
            offset: 0,
            after: Some((800, 3, 4000)),
        };
        let asked = [
            ("title", search(backend, &title, &page).build(backend)),
            ("genre", search(backend, &genre, &page).build(backend)),
            (
                "newest",
                search(backend, &Search::default(), &page).build(backend),
            ),
            ("popular", popular(&last).build(backend)),
            ("reviews", reviews(1, &page).build(backend)),
        ];
        let mut plans = Vec::new();
        for (name, query) in asked {
            let query = format!("{explain} {query}");
            let rows = database.query_all_raw(Statement::from_string(backend, query));
            let column = if backend == DbBackend::Postgres { 0 } else { 3 };
            let lines = rows.await.unwrap().into_iter();
            let lines = lines.map(|row| row.try_get_by_index::<String>(column).unwrap());
            plans.push((name, lines.collect::<Vec<_>>().join("\n")));
        }
        plans
    }

    #[tokio::test]
    async fn s3_14_an_index_answers_each_list_in_sqlite() {
        let database = Database::connect("sqlite::memory:").await.unwrap();
        Migrator::up(&database, None).await.unwrap();
        let plans = plans(&database, "EXPLAIN QUERY PLAN").await;
        for ((name, plan), index) in plans.iter().zip([
            "VIRTUAL TABLE INDEX",
            "USING INDEX movies_genre (genre_key=? AND id<?)",
            "USING INTEGER PRIMARY KEY (rowid<?)",
            "USING INDEX movies_popular ((rating,review_count)<(?,?))",
            "USING INDEX reviews_newest (movie_id=? AND id<?)",
        ]) {
            assert!(plan.contains(index), "{name}: {plan}");
            let walks = plan.contains("SCAN movies ") || plan.contains("SCAN reviews");
            assert!(
                !walks && (*name == "title" || !plan.contains("TEMP B-TREE")),
                "{name}: {plan}"
            );
        }
    }

    /// Thousands of movies, and five reviews of each that has any.
    const MANY: &[&str] = &[
        "INSERT INTO movies (title, title_key, description, rating, genre, genre_key, poster_url, release_date, kind, \
         created_by, created_at, review_count, review_sum, reviews_version) \
         SELECT '', md5(n::text), '', n % 1000, '', 'genre ' || n % 100, '', '2000-01-01', 'movie', 1, now(), n % 7, 0, '' \
         FROM generate_series(1, 5000) n",
        "INSERT INTO reviews (movie_id, user_id, username, title, body, rating, created_at, updated_at) \
         SELECT n % 1000 + 1, n, '', '', '', 500, now(), now() FROM generate_series(1, 5000) n",
        // Vacuum, too: what is still to be put into an index of trigrams makes it look dear.
        "VACUUM ANALYZE",
    ];

    #[tokio::test]
    async fn s3_14_an_index_answers_each_list_in_postgres() {
        let database = Database::connect(testkit::stores::postgres().await)
            .await
            .unwrap();
        Migrator::up(&database, None).await.unwrap();
        for statement in MANY {
            database.execute_unprepared(statement).await.unwrap();
        }
        let plans = plans(&database, "EXPLAIN").await;
        for ((name, plan), index) in plans.iter().zip([
            "movies_title_parts",
            "movies_genre",
            "movies_pkey",
            "movies_popular",
            "reviews_newest",
        ]) {
            assert!(
                plan.contains(index) && !plan.contains("Seq Scan"),
                "{name}: {plan}"
            );
        }
    }
}
