//! Reads JSON schemas of `OpenAPI` documents.

use serde_json::Value;

/// Returns the members of an object, none of anything else.
pub fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Follows references, and takes what is there of something that may be null.
pub fn resolve<'a>(schema: &'a Value, document: &'a Value) -> &'a Value {
    if let Some(pointer) = schema["$ref"].as_str() {
        let target = document.pointer(pointer.trim_start_matches('#'));
        return target.map_or(&Value::Null, |schema| resolve(schema, document));
    }
    let alternatives = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
    let there = alternatives.and_then(|all| all.iter().find(|one| one["type"] != "null"));
    there.map_or(schema, |one| resolve(one, document))
}
