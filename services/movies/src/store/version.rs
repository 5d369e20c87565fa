//! Versions of what lists show: a new one in the transaction of each change (ADR 16).
//!
//! A version is random and not a number: a store that was restored from a backup goes on with
//! versions that nobody has seen, not with those of the changes that were lost.

use std::sync::Arc;

use chassis::{Error, clock};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DatabaseTransaction, EntityTrait as _, QueryFilter as _,
    QuerySelect as _, sea_query::Expr,
};

use super::{
    Store,
    entity::{catalogue, movie},
};

/// What a list shows, as a name: equal versions show the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Version(Arc<str>);

impl Version {
    /// The name, without line breaks.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Version {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

/// A name that no version has had.
pub(super) fn new() -> String {
    clock::id().simple().to_string()
}

/// The row that says what version of all movies this is.
#[derive(Debug, Clone)]
pub(super) struct Catalogue {
    version: String,
    cleared: String,
}

impl Catalogue {
    /// The version of something: another one after all caches were cleared, too.
    fn of(&self, version: &str) -> Version {
        Version(format!("{version}.{}", self.cleared).into())
    }
}

impl Store {
    /// The version of all movies.
    pub(crate) async fn catalogue_version(&self) -> Result<Version, Error> {
        let catalogue = self.catalogue().await?;
        Ok(catalogue.of(&catalogue.version))
    }

    /// The version of one movie's reviews; `None` when there is no such movie.
    pub(crate) async fn reviews_version(&self, movie_id: i64) -> Result<Option<Version>, Error> {
        let version = movie::Entity::find_by_id(movie_id)
            .select_only()
            .column(movie::Column::ReviewsVersion)
            .into_tuple::<String>()
            .one(&self.connection)
            .await?;
        Ok(match version {
            Some(version) => Some(self.catalogue().await?.of(&version)),
            None => None,
        })
    }

    /// Makes every cached list an old one.
    pub(crate) async fn clear(&self) -> Result<(), Error> {
        renew(&self.connection, catalogue::Column::Cleared).await
    }

    /// The row as it is now, read once for all who wait for it.
    async fn catalogue(&self) -> Result<Catalogue, Error> {
        self.catalogue
            .get(async || self.read_catalogue().await)
            .await
    }

    async fn read_catalogue(&self) -> Result<Catalogue, Error> {
        let row = catalogue::Entity::find_by_id(catalogue::ONLY);
        let row = row.one(&self.connection).await?;
        let row = row.ok_or_else(|| Error::internal(anyhow::anyhow!("the catalogue is empty")))?;
        Ok(Catalogue {
            version: row.version,
            cleared: row.cleared,
        })
    }
}

/// Says in the transaction of a change that lists of movies are not what they were.
///
/// Last of all: others who change a movie wait from here until the transaction ends.
pub(super) async fn changed(transaction: &DatabaseTransaction) -> Result<(), Error> {
    renew(transaction, catalogue::Column::Version).await
}

async fn renew(connection: &impl ConnectionTrait, column: catalogue::Column) -> Result<(), Error> {
    catalogue::Entity::update_many()
        .filter(catalogue::Column::Id.eq(catalogue::ONLY))
        .col_expr(column, Expr::value(new()))
        .exec(connection)
        .await?;
    Ok(())
}
