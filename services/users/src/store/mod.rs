//! Everything that `users` keeps, in SQL: the only place with queries.

mod attempts;
mod deletions;
mod entity;
mod follows;
mod migration;
mod migration_attempts;
mod tokens;

use chassis::{Context, Error, address_key, clock, sql};
use messaging::{Broker, Outbox, events::UserRegistered};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::{NotSet, Set},
    ColumnTrait as _, DbErr, EntityTrait as _, QueryFilter as _, SqlErr,
    sea_query::Expr,
};

use crate::model::{AvatarUrl, Bio, Email, Name, NewUser, User, Username};
pub(crate) use attempts::{Counted, Limit, TooMany, WINDOW, Within};
pub(crate) use deletions::Unanswered;
use entity::user;
pub(crate) use follows::FollowKey;
pub(crate) use follows::{Direction, Person};

/// Why an account could not be made.
#[derive(Debug)]
pub(crate) enum NotInserted {
    /// Somebody has the username.
    UsernameTaken,
    /// Somebody has the address.
    EmailTaken,
    /// The store failed.
    Store(Error),
}

impl From<Error> for NotInserted {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// The relational store.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    connection: sql::Database,
    outbox: Outbox,
}

impl Store {
    /// Connects, migrates, and starts to publish what happens.
    pub(crate) async fn open(
        context: &Context,
        url: Option<&str>,
        broker: &Broker,
    ) -> anyhow::Result<Self> {
        let connection = sql::connect::<migration::Migrator>(context, url, "users.db").await?;
        let outbox = Outbox::start(broker, &connection, context);
        Ok(Self { connection, outbox })
    }

    /// Whether the store answers.
    pub(crate) async fn ping(&self) -> Result<(), Error> {
        Ok(self.connection.ping().await?)
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        self.connection.close().await;
    }

    /// Makes an account, and tells of it.
    pub(crate) async fn insert_user(
        &self,
        new: &NewUser,
        password_hash: String,
    ) -> Result<User, NotInserted> {
        let row = user::ActiveModel {
            id: NotSet,
            username: Set(new.username.as_str().to_owned()),
            username_key: Set(new.username.key()),
            email: Set(new.email.as_str().to_owned()),
            email_key: Set(new.email.key()),
            name: Set(new
                .name
                .as_ref()
                .map_or(new.username.as_str(), Name::as_str)
                .to_owned()),
            bio: Set(new.bio.as_ref().map_or("", Bio::as_str).to_owned()),
            avatar_url: Set(String::new()),
            password_hash: Set(password_hash),
            created_at: Set(clock::now()),
        };
        let transaction = self.connection.begin().await.map_err(Error::from)?;
        let row = row.insert(&transaction).await;
        let user = row.map(User::from).map_err(|error| taken(error, new))?;
        // Looked for last: who has the name and who had it are never both missed.
        if deletions::holds(&transaction, &new.username).await? {
            return Err(NotInserted::UsernameTaken);
        }
        let event = UserRegistered {
            user_id: user.id,
            username: user.username.clone(),
            name: user.name.clone(),
            email: user.email.clone(),
        };
        self.outbox.insert(&transaction, &event).await?;
        self.outbox.commit(transaction).await?;
        Ok(user)
    }

    /// Whose e-mail address or username this is, compared without case.
    pub(crate) async fn find_by_login(&self, login: &str) -> Result<Option<User>, Error> {
        let former = login.trim().to_lowercase();
        // No username has an `@`, and every address has one.
        if !login.contains('@') {
            return self.find(user::Column::UsernameKey.eq(former)).await;
        }
        let key = address_key(login);
        let found = self.find(user::Column::EmailKey.eq(key.as_str())).await?;
        if found.is_some() || key == former {
            return Ok(found);
        }
        self.find(user::Column::EmailKey.eq(former)).await
    }

    /// Whose username this is, compared without case.
    pub(crate) async fn find_by_username(&self, username: &str) -> Result<Option<User>, Error> {
        self.find(user::Column::UsernameKey.eq(username.to_lowercase()))
            .await
    }

    /// The account with this number.
    pub(crate) async fn find_by_id(&self, id: i64) -> Result<Option<User>, Error> {
        self.find(user::Column::Id.eq(id)).await
    }

    /// Whether an address has an account already.
    pub(crate) async fn has_email(&self, email: &Email) -> Result<bool, Error> {
        let keys = [email.key(), email.former_key()];
        let found = self.find(user::Column::EmailKey.is_in(keys)).await?;
        Ok(found.is_some())
    }

    /// Whether a username has an account already, or had one that is not forgotten everywhere.
    pub(crate) async fn has_username(&self, username: &Username) -> Result<bool, Error> {
        let own = user::Column::UsernameKey.eq(username.key());
        Ok(self.find(own).await?.is_some() || deletions::holds(&self.connection, username).await?)
    }

    async fn find(
        &self,
        condition: impl sea_orm::sea_query::IntoCondition,
    ) -> Result<Option<User>, Error> {
        let row = user::Entity::find()
            .filter(condition)
            .one(&self.connection)
            .await?;
        Ok(row.map(User::from))
    }

    /// Those of `ids` that exist.
    pub(crate) async fn list_by_ids(&self, ids: &[i64]) -> Result<Vec<User>, Error> {
        let rows = user::Entity::find()
            .filter(user::Column::Id.is_in(ids.iter().copied()))
            .all(&self.connection);
        Ok(rows.await?.into_iter().map(User::from).collect())
    }

    /// Changes what is given and leaves the rest.
    pub(crate) async fn update_profile(
        &self,
        id: i64,
        name: Option<&Name>,
        bio: Option<&Bio>,
        avatar_url: Option<&AvatarUrl>,
    ) -> Result<(), Error> {
        let changes = [
            (user::Column::Name, name.map(Name::as_str)),
            (user::Column::Bio, bio.map(Bio::as_str)),
            (user::Column::AvatarUrl, avatar_url.map(AvatarUrl::as_str)),
        ];
        let mut update = user::Entity::update_many().filter(user::Column::Id.eq(id));
        let mut changed = false;
        for (column, value) in changes {
            if let Some(value) = value {
                update = update.col_expr(column, Expr::value(value));
                changed = true;
            }
        }
        if changed {
            update.exec(&self.connection).await?;
        }
        Ok(())
    }

    /// Replaces a hash, unless it was replaced meanwhile.
    pub(crate) async fn update_password_hash(&self, user: &User, new: String) -> Result<(), Error> {
        user::Entity::update_many()
            .filter(user::Column::Id.eq(user.id))
            .filter(user::Column::PasswordHash.eq(user.password_hash.as_str()))
            .col_expr(user::Column::PasswordHash, Expr::value(new))
            .exec(&self.connection)
            .await?;
        Ok(())
    }
}

/// Which of the unique columns the store complained about.
fn taken(error: DbErr, new: &NewUser) -> NotInserted {
    match error.sql_err() {
        Some(SqlErr::UniqueConstraintViolation(text)) if text.contains("email_key") => {
            NotInserted::EmailTaken
        }
        Some(SqlErr::UniqueConstraintViolation(_)) => {
            tracing::debug!(user.username = new.username.as_str(), "username taken");
            NotInserted::UsernameTaken
        }
        _ => NotInserted::Store(error.into()),
    }
}
