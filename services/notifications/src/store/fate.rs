//! What becomes of a notification: each change says what it expects to find.

use chassis::{Error, clock};
use sea_orm::{
    ColumnTrait as _, EntityTrait as _, QueryFilter as _, UpdateMany,
    sea_query::{Expr, SimpleExpr},
};

use super::{
    Store,
    entity::notification::{Column, Entity},
};
use crate::model::{Notification, Status};

impl Store {
    /// Takes it for this process alone, as it was read; `false` when somebody else did.
    pub(crate) async fn claim(&self, read: &Notification) -> Result<bool, Error> {
        let update = change(&read.content.id, Status::Sending)
            .col_expr(Column::Attempts, Expr::value(read.attempts + 1))
            .filter(Column::Status.eq(read.status.as_str()))
            .filter(Column::Attempts.eq(read.attempts));
        Ok(update.exec(&self.connection).await?.rows_affected > 0)
    }

    /// It is sent, whatever anybody thought of it.
    pub(crate) async fn sent(&self, id: &str) -> Result<(), Error> {
        change(id, Status::Sent)
            .col_expr(Column::Reason, null())
            .col_expr(Column::SentAt, Expr::value(clock::now()))
            .exec(&self.connection)
            .await?;
        Ok(())
    }

    /// It is not sent, for a reason: it is tried again (`Queued`), nobody tries it any more
    /// (`Failed`), or nobody knows (`Unclear`).
    pub(crate) async fn not_sent(
        &self,
        id: &str,
        status: Status,
        attempts: i32,
        reason: &str,
    ) -> Result<(), Error> {
        change(id, status)
            .col_expr(Column::Reason, Expr::value(reason))
            .col_expr(Column::Attempts, Expr::value(attempts))
            .filter(Column::Status.ne(Status::Sent.as_str()))
            .exec(&self.connection)
            .await?;
        Ok(())
    }
}

fn change(id: &str, status: Status) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::Id.eq(id))
        .col_expr(Column::Status, Expr::value(status.as_str()))
        .col_expr(Column::ChangedAt, Expr::value(clock::now()))
}

fn null() -> SimpleExpr {
    Expr::value(Option::<String>::None)
}
