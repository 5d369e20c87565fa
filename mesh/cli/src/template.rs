//! Fills `${name}` in JSON settings, and turns the objects that Consul wants as text into text.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// Values by name: what a template may ask for.
pub type Values = BTreeMap<String, Value>;

/// Parses JSON settings and fills them. A string that is one placeholder becomes the value itself, so a port becomes a number and
/// an object an object; inside a longer string a value is written out.
pub fn fill(text: &str, values: &Values) -> Result<Value> {
    let mut value = serde_json::from_str(text).context("not JSON")?;
    walk(&mut value, values)?;
    Ok(value)
}

/// Fills placeholders in any text.
pub fn fill_text(text: &str, values: &Values) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let end = rest[start..].find('}').context("`${` without `}`")? + start;
        filled.push_str(&rest[..start]);
        filled.push_str(&plain(lookup(&rest[start + 2..end], values)?));
        rest = &rest[end + 1..];
    }
    filled.push_str(rest);
    Ok(filled)
}

/// Turns every object under a key that ends in `_json` into its text: files keep such settings readable, Consul wants strings.
pub fn stringify(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map.iter_mut() {
                stringify(inner);
                if key.ends_with("_json") && !inner.is_string() {
                    *inner = Value::String(inner.to_string());
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(stringify),
        _ => {}
    }
}

fn walk(value: &mut Value, values: &Values) -> Result<()> {
    match value {
        Value::String(text) => {
            if let Some(name) = whole_placeholder(text) {
                *value = lookup(name, values)?.clone();
            } else if text.contains("${") {
                *text = fill_text(text, values)?;
            }
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| walk(item, values))?,
        Value::Object(map) => map.values_mut().try_for_each(|item| walk(item, values))?,
        _ => {}
    }
    Ok(())
}

fn whole_placeholder(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains("${")).then_some(name)
}

fn lookup<'a>(name: &str, values: &'a Values) -> Result<&'a Value> {
    let Some(value) = values.get(name) else {
        bail!("nothing is called `{name}` here")
    };
    Ok(value)
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn values() -> Values {
        Values::from([
            ("port.a".to_owned(), json!(80)),
            ("name".to_owned(), json!("users")),
        ])
    }

    #[test]
    fn a_whole_placeholder_keeps_its_type() {
        let filled = fill(
            r#"{"port":"${port.a}","url":"http://h:${port.a}/${name}"}"#,
            &values(),
        )
        .unwrap();
        assert_eq!(filled, json!({"port": 80, "url": "http://h:80/users"}));
    }

    #[test]
    fn an_unknown_name_is_an_error() {
        assert!(fill(r#"["${nobody}"]"#, &values()).is_err());
    }

    #[test]
    fn objects_under_json_keys_become_text() {
        let mut value = json!({"Config": {"envoy_x_json": {"a": 1}}});
        stringify(&mut value);
        assert_eq!(value, json!({"Config": {"envoy_x_json": "{\"a\":1}"}}));
    }
}
