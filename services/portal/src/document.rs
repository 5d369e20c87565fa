//! The OpenAPI document of all services, which `cargo mesh generate` brings together.

use std::sync::LazyLock;

use serde_json::Value;

use crate::model::Documented;

/// The document as it was when this was built. `docs/openapi.yaml` is the same.
const PLAZA: &str = include_str!("../plaza.json");

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let document = serde_json::from_str(PLAZA);
    document.unwrap_or_else(|error| {
        tracing::error!(cause = %error, "openapi document cannot be read");
        Value::Null
    })
});

static SERVICES: LazyLock<Vec<Documented>> = LazyLock::new(|| {
    let tags = DOCUMENT["tags"].as_array().into_iter().flatten();
    let describe = |tag: &Value| Documented {
        name: text(&tag["name"]),
        description: text(&tag["description"]),
        operations: operations(&tag["name"]),
    };
    tags.map(describe).collect()
});

/// Every service that is documented.
pub(crate) fn services() -> &'static [Documented] {
    &SERVICES
}

/// The document.
pub(crate) fn plaza() -> Value {
    DOCUMENT.clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// How many operations have a tag.
fn operations(tag: &Value) -> usize {
    let paths = DOCUMENT["paths"].as_object().into_iter().flatten();
    let operations = paths.flat_map(|(_, path)| path.as_object().into_iter().flatten());
    let tagged = operations.filter(|(_, operation)| operation["tags"][0] == *tag);
    tagged.count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_service_has_operations_in_the_document() {
        assert!(services().len() > 10, "{:?}", services());
        for service in services() {
            assert!(
                service.operations > 0 && !service.description.is_empty(),
                "{service:?}"
            );
        }
    }
}
