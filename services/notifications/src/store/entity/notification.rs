//! `notifications`: what was said, to whom, and what became of it.

use sea_orm::entity::prelude::*;

use crate::model::{self, Body, Kind, NewNotification, Recipient, Status, Subject};

#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "notifications")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub user_id: i64,
    pub kind: String,
    pub recipient: String,
    pub subject: String,
    #[sea_orm(column_type = "Text")]
    pub message: String,
    #[sea_orm(column_type = "Text")]
    pub body_text: String,
    #[sea_orm(column_type = "Text")]
    pub body_html: String,
    pub status: String,
    #[sea_orm(column_type = "Text", nullable)]
    pub reason: Option<String>,
    pub attempts: i32,
    #[sea_orm(unique)]
    pub source: Option<String>,
    pub changed_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
    pub sent_at: Option<DateTimeUtc>,
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl TryFrom<Model> for model::Notification {
    type Error = String;

    fn try_from(row: Model) -> Result<Self, String> {
        let kind: Kind = row.kind.parse()?;
        let status: Status = row.status.parse()?;
        Ok(Self {
            content: NewNotification {
                id: row.id,
                user_id: row.user_id,
                kind,
                recipient: Recipient::stored(row.recipient),
                subject: Subject::of(&row.subject),
                message: row.message,
                body: Body {
                    text: row.body_text,
                    html: row.body_html,
                },
                source: row.source,
            },
            status,
            reason: row.reason,
            attempts: row.attempts,
            changed_at: row.changed_at,
            created_at: row.created_at,
            sent_at: row.sent_at,
        })
    }
}
