//! Reads JSON schemas of `OpenAPI` documents.

use serde_json::{Map, Value, json};

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

/// Returns a value that fits a schema: what it says itself, else the plainest. A schema with a `pattern` has to say one.
pub fn example(schema: &Value, document: &Value) -> Value {
    let schema = resolve(schema, document);
    let said = [
        &schema["examples"][0],
        &schema["example"],
        &schema["default"],
        &schema["const"],
        &schema["enum"][0],
    ];
    if let Some(said) = said.into_iter().find(|said| !said.is_null()) {
        return said.clone();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
        kind => Some(kind),
    };
    match kind.and_then(Value::as_str) {
        Some("object") => object(schema, document),
        Some("array") => {
            let length = schema["minItems"].as_u64().unwrap_or(1);
            let item = example(&schema["items"], document);
            (0..length).map(|_| item.clone()).collect()
        }
        Some("string") => text(schema),
        Some("integer" | "number") => match &schema["minimum"] {
            Value::Number(minimum) if minimum.as_f64() > Some(1.0) => minimum.clone().into(),
            _ => json!(1),
        },
        Some("boolean") => true.into(),
        _ => Value::Null,
    }
}

/// An object with what it must have.
fn object(schema: &Value, document: &Value) -> Value {
    let required = schema["required"].as_array().into_iter().flatten();
    let named = required.filter_map(Value::as_str);
    let members = named.map(|name| {
        let value = example(&schema["properties"][name], document);
        (name.to_owned(), value)
    });
    members.collect::<Map<_, _>>().into()
}

fn text(schema: &Value) -> Value {
    let plain = match schema["format"].as_str() {
        Some("date") => "2026-01-31",
        Some("date-time") => "2026-01-31T12:00:00Z",
        Some("email") => "ada@example.com",
        Some("uri") => "https://example.com/",
        Some("uuid") => "01890a5d-ac96-774b-bcce-b302099a8057",
        _ => "example",
    };
    let length = |name: &str| schema[name].as_u64().and_then(|n| usize::try_from(n).ok());
    let (least, most) = (length("minLength"), length("maxLength"));
    let filler = std::iter::repeat_n('x', least.unwrap_or(0).saturating_sub(plain.len()));
    let text = plain.chars().chain(filler);
    text.take(most.unwrap_or(usize::MAX))
        .collect::<String>()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(schema: &Value) -> Value {
        let document = json!({ "components": { "schemas": {
            "Name": { "type": "string", "minLength": 9, "maxLength": 10 },
            "Kind": { "type": "string", "enum": ["movie", "tv_show"] },
        } } });
        example(schema, &document)
    }

    #[test]
    fn s3_39_what_a_schema_says_itself_comes_first() {
        assert_eq!(of(&json!({ "type": "integer", "examples": [7, 8] })), 7);
        assert_eq!(of(&json!({ "type": "integer", "default": 3 })), 3);
        let object = json!({ "type": "object", "required": ["a"], "example": { "b": true } });
        assert_eq!(of(&object), json!({ "b": true }));
    }

    #[test]
    fn s3_39_an_example_fits_its_schema() {
        let name = json!({ "$ref": "#/components/schemas/Name" });
        let schema = json!({
            "type": "object",
            "required": ["name", "kind", "day", "code", "stars", "tags"],
            "properties": {
                "name": { "oneOf": [{ "type": "null" }, name] },
                "kind": { "$ref": "#/components/schemas/Kind" },
                "day": { "type": "string", "format": "date" },
                "code": { "type": ["null", "string"], "maxLength": 2 },
                "stars": { "type": "integer", "minimum": 2 },
                "tags": { "type": "array", "minItems": 2, "items": { "type": "boolean" } },
                "note": { "type": "string" },
            },
        });
        let expected = json!({
            "name": "examplexx", "kind": "movie", "day": "2026-01-31", "code": "ex", "stars": 2, "tags": [true, true],
        });
        assert_eq!(of(&schema), expected);
    }
}
