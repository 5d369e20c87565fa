//! The most bytes that a body may need: from the characters that its schema allows, at their widest escape.

use serde_json::Value;

use crate::{DEFAULT_BODY_LIMIT, schema::Schema, text::WIDEST};

/// Bytes beyond which no schema raises a limit.
const MOST: usize = 1024 * 1024;
/// Schemas inside each other.
const LEVELS: usize = 16;
/// A number with sign, point and exponent, or a truth.
const NUMBER: usize = 32;
/// A character of a name, escaped.
const ESCAPED: usize = 6;

/// Bytes that a body of this schema may have.
pub(crate) fn limit(body: Option<&Schema>) -> usize {
    let widest = body.map_or(0, |body| Walk(body).bytes(&body.schema, LEVELS));
    DEFAULT_BODY_LIMIT.saturating_add(widest).min(MOST)
}

struct Walk<'a>(&'a Schema);

impl Walk<'_> {
    fn bytes(&self, schema: &Value, levels: usize) -> usize {
        let Some(levels) = levels.checked_sub(1) else {
            return 0;
        };
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap_or_default();
            let mut named = self.0.components.iter();
            let found = named.find(|(known, _)| known == name);
            return found.map_or(0, |(_, schema)| self.bytes(schema, levels));
        }
        let bytes_of = |schemas: &Value| -> Vec<usize> {
            let schemas = schemas.as_array().into_iter().flatten();
            schemas.map(|schema| self.bytes(schema, levels)).collect()
        };
        let either = ["oneOf", "anyOf"]
            .into_iter()
            .filter_map(|word| bytes_of(&schema[word]).into_iter().max())
            .sum::<usize>();
        let all: usize = bytes_of(&schema["allOf"]).into_iter().sum();
        let own = text(schema)
            .max(self.list(schema, levels))
            .max(self.object(schema, levels))
            .max(NUMBER);
        own.saturating_add(either).saturating_add(all)
    }

    fn list(&self, schema: &Value, levels: usize) -> usize {
        let items = size(&schema["maxItems"]);
        let item = self.bytes(&schema["items"], levels).saturating_add(1);
        items.saturating_mul(item).saturating_add(2)
    }

    fn object(&self, schema: &Value, levels: usize) -> usize {
        let members = schema["properties"].as_object().into_iter().flatten();
        let bytes = members.map(|(name, schema)| {
            let name = ESCAPED * name.len() + "\"\":,".len();
            self.bytes(schema, levels).saturating_add(name)
        });
        bytes.fold(2, usize::saturating_add)
    }
}

fn text(schema: &Value) -> usize {
    let words = schema["enum"].as_array().into_iter().flatten();
    let longest = words.filter_map(Value::as_str).map(str::len).max();
    let characters = size(&schema["maxLength"]).max(longest.unwrap_or(0));
    characters.saturating_mul(WIDEST).saturating_add(2)
}

fn size(number: &Value) -> usize {
    let number = number.as_u64().unwrap_or(0);
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::Path};

    use serde_json::{Map, json};

    use super::*;

    /// JSON of the schema, as long as it may be, with each character as it is widest.
    fn longest(schema: &Value, named: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str() {
            let name = name.rsplit('/').next().unwrap();
            return longest(&named[name], named);
        }
        for several in ["oneOf", "anyOf"] {
            if let Some(schemas) = schema[several].as_array() {
                let each = schemas.iter().map(|schema| longest(schema, named));
                return each.max_by_key(String::len).unwrap();
            }
        }
        if let Some(members) = schema["properties"].as_object() {
            let members: Vec<String> = members
                .iter()
                .map(|(name, schema)| format!("\"{name}\":{}", longest(schema, named)))
                .collect();
            return format!("{{{}}}", members.join(","));
        }
        if let Some(items) = schema["maxItems"].as_u64() {
            let items: Vec<String> = (0..items)
                .map(|_| longest(&schema["items"], named))
                .collect();
            return format!("[{}]", items.join(","));
        }
        let length = schema["maxLength"].as_u64().unwrap_or(0);
        let text = "\\ud83d\\ude00".repeat(usize::try_from(length).unwrap());
        format!("\"{text}\"")
    }

    fn schema_of(document: &Value, body: &Value) -> Schema {
        let named = document["components"]["schemas"].as_object();
        let named = named.cloned().unwrap_or_else(Map::new);
        Schema {
            schema: body.clone(),
            components: named.into_iter().collect(),
        }
    }

    #[test]
    fn every_body_at_its_longest_fits_into_the_bytes_that_its_route_takes() {
        let services = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../services");
        let mut sizes = BTreeMap::new();
        for service in fs::read_dir(services).unwrap() {
            let path = service.unwrap().path().join("openapi.json");
            let Ok(document) = fs::read(&path) else {
                continue;
            };
            let document: Value = serde_json::from_slice(&document).unwrap();
            let paths = document["paths"].as_object().unwrap();
            for (path, operation) in paths.iter().flat_map(|(path, operations)| {
                let operations = operations.as_object().unwrap().values();
                operations.map(move |operation| (path, operation))
            }) {
                let body = &operation["requestBody"]["content"]["application/json"]["schema"];
                if body.is_null() {
                    continue;
                }
                let named = &document["components"]["schemas"];
                let text = longest(body, named);
                let limit = limit(Some(&schema_of(&document, body)));
                assert!(text.len() < limit, "{path}: {} bytes", text.len());
                // And there is room for what belongs to no text.
                assert!(limit - text.len() > DEFAULT_BODY_LIMIT / 2, "{path}");
                sizes.insert(path.clone(), text.len());
            }
        }
        assert!(sizes["/api/posts"] > 120_000, "{sizes:?}");
        assert!(sizes.len() > 20, "{sizes:?}");
    }

    #[test]
    fn a_limit_follows_from_what_is_in_lists_and_in_other_schemas() {
        let schema = Schema {
            schema: json!({ "$ref": "#/components/schemas/Poll" }),
            components: vec![
                (
                    "Poll".into(),
                    json!({ "type": "object", "properties": {
                    "options": { "type": "array", "maxItems": 10, "items": { "$ref": "#/x/Option" } },
                } }),
                ),
                (
                    "Option".into(),
                    json!({ "type": ["string", "null"], "maxLength": 1000 }),
                ),
            ],
        };
        let bytes = limit(Some(&schema)) - DEFAULT_BODY_LIMIT;
        assert!((120_000..121_000).contains(&bytes), "{bytes}");
        assert_eq!(limit(None), DEFAULT_BODY_LIMIT);
    }

    #[test]
    fn a_schema_without_end_has_a_limit_all_the_same() {
        let endless = Schema {
            schema: json!({ "$ref": "#/A" }),
            components: vec![(
                "A".into(),
                json!({ "type": "array", "maxItems": 1_000_000, "items": { "$ref": "#/A" } }),
            )],
        };
        assert_eq!(limit(Some(&endless)), MOST);
    }
}
