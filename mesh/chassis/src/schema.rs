//! Types as the OpenAPI document shows them.

use serde_json::Value;
use utoipa::ToSchema;

use crate::reply::Reply;

/// The JSON schema of a type, with those it refers to.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) schema: Value,
    pub(crate) components: Vec<(String, Value)>,
}

impl Schema {
    pub(crate) fn of<T: ToSchema>() -> Self {
        let mut components = Vec::new();
        T::schemas(&mut components);
        let json = |schema| serde_json::to_value(schema).unwrap_or_default();
        Self {
            schema: json(T::schema()),
            components: components
                .into_iter()
                .map(|(name, schema)| (name, json(schema)))
                .collect(),
        }
    }
}

/// What a route answers, without the type.
pub(crate) struct Shape {
    pub(crate) schema: Schema,
    pub(crate) json: bool,
}

impl Shape {
    pub(crate) fn of<T: Reply>() -> Self {
        Self {
            schema: T::schema(),
            json: T::JSON,
        }
    }
}
