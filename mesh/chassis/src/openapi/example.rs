//! Examples of what schemas describe: what they say themselves, else the plainest that fits.

use serde_json::{Map, Value, json};

use super::Schemas;

/// What members of these names look like, where their schemas say no more than "a text".
const TEXTS: &[(&str, &str)] = &[
    ("access_token", "eyJhbGciOiJFZERTQSJ9.e30.c2ln"),
    ("address", "shop.example"),
    ("bio", "Drives a Zoe."),
    ("body", "The bridge alone is worth it."),
    ("car_model", "Zoe"),
    ("comment_text", "How far does it get in winter?"),
    ("content", "A year with it: never a breakdown."),
    ("created_by", "ada"),
    ("description", "Used for one summer."),
    ("genre", "Comedy"),
    ("message", "Done."),
    ("name", "Ada"),
    ("question", "Where do we meet?"),
    ("status", "ok"),
    ("text", "Snow on the pass, chains needed."),
    ("title", "Quiet and quick"),
    ("token", "eyJhbGciOiJFZERTQSJ9.e30.c2ln"),
    ("token_type", "bearer"),
    ("user", "ada"),
    ("username", "ada"),
];

/// Examples of the schemas of a document.
pub(super) struct Examples<'a>(pub(super) &'a Schemas);

impl Examples<'_> {
    /// A value that fits a schema. A schema with a `pattern` has to say one.
    pub(super) fn of(&self, schema: &Value) -> Value {
        self.named("", schema)
    }

    fn named(&self, name: &str, schema: &Value) -> Value {
        if let Some(place) = schema["$ref"].as_str() {
            let known = place.rsplit('/').next().and_then(|name| self.0.get(name));
            return known.map_or(Value::Null, |known| self.named(name, known));
        }
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
        if let Some(parts) = schema["allOf"].as_array() {
            return self.together(parts);
        }
        let choices = schema["oneOf"].as_array().or(schema["anyOf"].as_array());
        if let Some(choices) = choices {
            let some = choices.iter().find(|choice| choice["type"] != "null");
            return some.map_or(Value::Null, |choice| self.named(name, choice));
        }
        self.plain(name, schema)
    }

    fn plain(&self, name: &str, schema: &Value) -> Value {
        let kind = match &schema["type"] {
            Value::Array(kinds) => kinds.iter().find(|kind| *kind != "null"),
            kind => Some(kind),
        };
        match kind.and_then(Value::as_str) {
            Some("object") => self.object(schema),
            Some("array") => {
                let length = schema["minItems"].as_u64().unwrap_or(1);
                let item = self.of(&schema["items"]);
                (0..length).map(|_| item.clone()).collect()
            }
            Some("string") => text(name, schema),
            Some("integer" | "number") => match &schema["minimum"] {
                Value::Number(minimum) if minimum.as_f64() > Some(1.0) => minimum.clone().into(),
                _ => json!(1),
            },
            Some("boolean") => true.into(),
            _ => Value::Null,
        }
    }

    /// What fits all of several schemas of objects.
    fn together(&self, parts: &[Value]) -> Value {
        let parts = parts.iter().map(|part| self.of(part));
        let parts: Vec<_> = parts.collect();
        match parts.as_slice() {
            [one] => one.clone(),
            many => many
                .iter()
                .filter_map(Value::as_object)
                .flatten()
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// An object with what it must have, and what is in a map.
    fn object(&self, schema: &Value) -> Value {
        let required = schema["required"].as_array().into_iter().flatten();
        let named = required.filter_map(Value::as_str);
        let members = named.map(|name| {
            let value = self.named(name, &schema["properties"][name]);
            (name.to_owned(), value)
        });
        let mut members: Map<_, _> = members.collect();
        let values = &schema["additionalProperties"];
        if values.is_object() && members.is_empty() {
            members.insert("movies".into(), self.of(values));
        }
        members.into()
    }
}

fn text(name: &str, schema: &Value) -> Value {
    let known = TEXTS.iter().find(|(known, _)| *known == name);
    let plain = match schema["format"].as_str() {
        Some("date") => "2026-01-31",
        Some("date-time") => "2026-01-31T12:00:00Z",
        Some("email") => "ada@example.com",
        Some("uri" | "uri-reference") => "https://example.com/",
        Some("uuid") => "01890a5d-ac96-774b-bcce-b302099a8057",
        _ => known.map_or("example", |(_, text)| text),
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
        let schemas = json!({
            "Name": { "type": "string", "minLength": 9, "maxLength": 10 },
            "Kind": { "type": "string", "enum": ["movie", "tv_show"] },
            "Person": { "type": "object", "required": ["username"], "properties": { "username": { "type": "string" } } },
        });
        Examples(schemas.as_object().unwrap()).of(schema)
    }

    #[test]
    fn what_a_schema_says_itself_comes_first() {
        assert_eq!(of(&json!({ "type": "integer", "examples": [7, 8] })), 7);
        assert_eq!(of(&json!({ "type": "integer", "default": 3 })), 3);
        let object = json!({ "type": "object", "required": ["a"], "example": { "b": true } });
        assert_eq!(of(&object), json!({ "b": true }));
    }

    #[test]
    fn an_example_fits_its_schema() {
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
            "name": "Adaxxxxxx", "kind": "movie", "day": "2026-01-31", "code": "ex", "stars": 2, "tags": [true, true],
        });
        assert_eq!(of(&schema), expected);
    }

    #[test]
    fn an_example_of_several_schemas_has_the_members_of_all() {
        let more = json!({ "type": "object", "required": ["likes"], "properties": { "likes": { "type": "integer" } } });
        let both = json!({ "allOf": [{ "$ref": "#/components/schemas/Person" }, more] });
        assert_eq!(of(&both), json!({ "username": "ada", "likes": 1 }));
    }
}
