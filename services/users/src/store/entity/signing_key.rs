//! `signing_keys`: the key pairs that tokens are signed with.

use sea_orm::entity::prelude::*;

use crate::keys::SigningKey;

#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "signing_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub generation: i64,
    pub kid: String,
    pub pkcs8: Vec<u8>,
    pub public_key: Vec<u8>,
    pub created_at: DateTimeUtc,
    pub expires_at: Option<DateTimeUtc>,
}

// The private half must not get into a log by `{:?}`.
impl std::fmt::Debug for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "signing key {}", self.kid)
    }
}

#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl From<Model> for SigningKey {
    fn from(row: Model) -> Self {
        Self {
            kid: row.kid,
            generation: row.generation,
            pkcs8: row.pkcs8,
            public: row.public_key,
            created_at: row.created_at,
            expires_at: row.expires_at,
        }
    }
}
