//! Types as the OpenAPI document shows them: each thing once, under one name.
//!
//! The name of a type is its `title` (`#[schema(title = "Movie")]`), or else that of the Rust type
//! without `Response` behind. A list of a thing refers to the thing, so that generated clients have
//! one type of it; texts that only have a length ([`Text`](crate::Text)) have no name.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::reply::Reply;

/// Where schemas are referred to.
const SCHEMAS: &str = "#/components/schemas/";

/// The JSON schema of a type, with those it refers to.
#[derive(Debug, Clone)]
pub struct Schema {
    pub(crate) schema: Value,
    pub(crate) components: Vec<(String, Value)>,
}

impl Schema {
    pub(crate) fn of<T: ToSchema>() -> Self {
        let json = |schema| serde_json::to_value(schema).unwrap_or_default();
        let mut found = Vec::new();
        T::schemas(&mut found);
        let mut found: Vec<(String, Value)> = found
            .into_iter()
            .map(|(name, schema)| (name, json(schema)))
            .collect();
        let mut schema = json(T::schema());
        if is_thing(&schema) {
            let name = T::name().into_owned();
            found.push((name.clone(), schema));
            schema = reference(&name);
        }
        named(schema, &found)
    }
}

/// Whether a schema is of something that has a name: what has members of its own, or a choice.
fn is_thing(schema: &Value) -> bool {
    ["properties", "allOf", "oneOf", "enum"]
        .iter()
        .any(|part| schema.get(part).is_some())
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("{SCHEMAS}{name}") })
}

/// The same with the names that the document has for the types of `found`.
fn named(mut schema: Value, found: &[(String, Value)]) -> Schema {
    let mut components = Vec::new();
    for (name, component) in found.iter().filter(|(name, _)| !is_length(name)) {
        let (public, mut component) = (public(name, component), component.clone());
        forget_title(&mut component);
        rename(&mut component, found, &mut components);
        components.push((public, component));
    }
    rename(&mut schema, found, &mut components);
    Schema { schema, components }
}

/// Whether it is a [`Text`](crate::Text), which is shown where it is used.
fn is_length(name: &str) -> bool {
    let bounds = name.strip_prefix("Text").and_then(|of| of.split_once("To"));
    bounds.is_some_and(|(least, most)| least.parse::<u32>().is_ok() && most.parse::<u32>().is_ok())
}

fn public(name: &str, schema: &Value) -> String {
    let title = schema["title"].as_str();
    let plain = name
        .strip_suffix("Response")
        .filter(|rest| !rest.is_empty());
    title.or(plain).unwrap_or(name).to_owned()
}

fn forget_title(schema: &mut Value) {
    if let Some(members) = schema.as_object_mut() {
        members.remove("title");
    }
}

/// Gives references their public names, and makes references of schemas that have a title.
fn rename(schema: &mut Value, found: &[(String, Value)], components: &mut Vec<(String, Value)>) {
    match schema {
        Value::Array(parts) => parts
            .iter_mut()
            .for_each(|part| rename(part, found, components)),
        Value::Object(members) => {
            // What examples say is nobody's schema.
            let parts = members.iter_mut();
            parts
                .filter(|(name, _)| !matches!(name.as_str(), "examples" | "example" | "enum"))
                .for_each(|(_, part)| rename(part, found, components));
            refer(members, found);
        }
        _ => {}
    }
    if let Some(title) = schema.get("title").and_then(Value::as_str) {
        let title = title.to_owned();
        let mut thing = std::mem::replace(schema, reference(&title));
        forget_title(&mut thing);
        components.push((title, thing));
    }
}

fn refer(members: &mut Map<String, Value>, found: &[(String, Value)]) {
    let wanted = members.get("$ref").and_then(Value::as_str);
    let Some(name) = wanted.and_then(|place| place.strip_prefix(SCHEMAS)) else {
        return;
    };
    let Some((name, schema)) = found.iter().find(|(known, _)| known == name) else {
        return;
    };
    if is_length(name) {
        members.remove("$ref");
        let parts = schema.as_object().into_iter().flatten();
        for (part, value) in parts {
            members.entry(part).or_insert_with(|| value.clone());
        }
    } else {
        let place = format!("{SCHEMAS}{}", public(name, schema));
        members.insert("$ref".into(), place.into());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Text;

    #[derive(ToSchema)]
    #[schema(title = "Car")]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct CarResponse {
        name: Text<1, 20>,
        /// What it is called by friends.
        nickname: Option<Text<1, 9>>,
        owner: OwnerResponse,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct OwnerResponse {
        id: i64,
    }

    #[derive(ToSchema)]
    #[expect(dead_code, reason = "only its schema is looked at")]
    struct Garage {
        cars: Vec<CarResponse>,
    }

    fn names(schema: &Schema) -> Vec<&str> {
        let names = schema.components.iter();
        let mut names: Vec<_> = names.map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    #[test]
    fn a_list_refers_to_what_it_is_of() {
        let cars = Schema::of::<Vec<CarResponse>>();
        assert_eq!(cars.schema["items"], reference("Car"));
        assert_eq!(names(&cars), ["Car", "Owner"]);
    }

    #[test]
    fn a_thing_has_one_name_wherever_it_is() {
        for schema in [Schema::of::<CarResponse>(), Schema::of::<Garage>()] {
            let components: Map<_, _> = schema.components.iter().cloned().collect();
            let car = &components["Car"];
            assert_eq!(car["properties"]["owner"], reference("Owner"), "{car}");
            assert_eq!(car.get("title"), None);
        }
        let garage = Schema::of::<Garage>();
        assert_eq!(garage.schema, reference("Garage"));
        assert_eq!(names(&garage), ["Car", "Garage", "Owner"]);
    }

    #[test]
    fn a_text_with_a_length_stands_where_it_is_used() {
        let car = Schema::of::<CarResponse>();
        let components: Map<_, _> = car.components.iter().cloned().collect();
        let name = &components["Car"]["properties"]["name"];
        assert_eq!(
            (&name["minLength"], &name["maxLength"]),
            (&json!(1), &json!(20))
        );
        let text = components["Car"].to_string();
        assert!(!text.contains("Text1To"), "{text}");
    }
}
