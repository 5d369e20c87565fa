use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fields, Misfit, from_slice, from_value, whole};
use crate::{Money, Text};

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only how it is read matters")]
struct Person {
    name: Text<1, 5>,
    age: Option<u8>,
    email: Option<String>,
    admin: Option<bool>,
    share: Option<f64>,
    born: Option<i64>,
    price: Option<Money>,
    kind: Option<Kind>,
    profile: Option<Profile>,
    options: Option<Vec<String>>,
    place: Option<(f64, f64)>,
    seen: Option<chrono::DateTime<chrono::Utc>>,
    free: Option<BTreeMap<String, u32>>,
    either: Option<Either>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only how it is read matters")]
struct Profile {
    bio: Vec<Bio>,
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Bio;

impl TryFrom<String> for Bio {
    type Error = &'static str;

    fn try_from(_: String) -> Result<Self, Self::Error> {
        Err("bio must be short")
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Movie,
    Show,
    Both,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
#[expect(dead_code, reason = "only how it is read matters")]
enum Either {
    Number(i64),
    Truth(bool),
}

fn from_pairs<T: serde::de::DeserializeOwned>(form: &[u8]) -> Result<T, Misfit> {
    Fields::of_query(form)?.read()
}

fn told(body: &Value) -> String {
    let misfit = from_slice::<Person>(body.to_string().as_bytes());
    misfit.unwrap_err().of("The body")
}

fn tell(cases: impl IntoIterator<Item = (Value, &'static str)>) {
    for (body, expected) in cases {
        assert_eq!(told(&body), expected, "{body}");
    }
}

#[test]
fn a_misfit_names_the_member_and_what_belongs_there() {
    tell([
        (json!("canary"), "The body must be an object"),
        (json!(["canary"]), "The body must be an object"),
        (json!({}), "`name` is missing"),
        (json!({"name": 7}), "`name` must be a text"),
        (json!({"name": null}), "`name` is missing"),
        (
            json!({"name": "canary"}),
            "`name`: a text of 1 to 5 characters is needed, this one has 6",
        ),
        (
            json!({"name": "x", "age": 300}),
            "`age` must be a whole number from 0 to 255",
        ),
        (
            json!({"name": "x", "age": "canary"}),
            "`age` must be a whole number from 0 to 255",
        ),
        (
            json!({"name": "x", "born": 1.5}),
            "`born` must be a whole number",
        ),
        (
            json!({"name": "x", "share": "canary"}),
            "`share` must be a number",
        ),
        (
            json!({"name": "x", "admin": "canary"}),
            "`admin` must be true or false",
        ),
        (
            json!({"name": "x", "price": "canary"}),
            "`price` must be an amount of money as a number",
        ),
        (
            json!({"name": "x", "price": -1}),
            "`price`: an amount of money is from 0 to 999999999.99",
        ),
    ]);
}

#[test]
fn a_misfit_deep_inside_is_named_by_its_place() {
    tell([
        (
            json!({"name": "x", "kind": "canary"}),
            "`kind` must be `movie`, `show` or `both`",
        ),
        (
            json!({"name": "x", "kind": ["canary"]}),
            "`kind` must be `movie`, `show` or `both`",
        ),
        (
            json!({"name": "x", "profile": "canary"}),
            "`profile` must be an object",
        ),
        (
            json!({"name": "x", "profile": {}}),
            "`profile.bio` is missing",
        ),
        (
            json!({"name": "x", "profile": {"bio": [{"canary": 1}]}}),
            "`profile.bio[0]` must be a text",
        ),
        (
            json!({"name": "x", "options": ["a", "b", 17]}),
            "`options[2]` must be a text",
        ),
        (
            json!({"name": "x", "options": "canary"}),
            "`options` must be a list",
        ),
        (
            json!({"name": "x", "place": [1]}),
            "`place` must be a list of 2",
        ),
        (
            json!({"name": "x", "free": {"canary": "canary"}}),
            "`free.*` must be a whole number from 0 to 4294967295",
        ),
        (
            json!({"name": "x", "either": "canary"}),
            "`either` must be of another kind",
        ),
    ]);
}

#[test]
fn a_rule_that_names_its_member_does_not_name_it_twice() {
    #[derive(Debug, Deserialize)]
    struct Flat {
        #[expect(dead_code, reason = "it is never read")]
        bio: Bio,
    }
    let profile = told(&json!({"name": "x", "profile": {"bio": ["canary"]}}));
    assert_eq!(profile, "`profile.bio[0]`: bio must be short");
    let flat = from_value::<Flat>(&json!({"bio": "canary"})).unwrap_err();
    assert_eq!(flat.of("The body"), "`bio` must be short");
}

#[test]
fn what_is_no_json_is_told_without_a_place() {
    for bad in ["", "canary", "{\"name\": canary}", "{\"name\":\"x\""] {
        let misfit = from_slice::<Person>(bad.as_bytes()).unwrap_err();
        assert!(misfit.is_syntax());
        assert_eq!(misfit.of("The body"), "The body is not valid JSON");
    }
    let twice = from_slice::<Person>(br#"{"name":"canary","name":"x"}"#).unwrap_err();
    assert!(!twice.of("The body").contains("canary"));
}

#[test]
fn a_byte_order_mark_is_skipped_and_other_bytes_are_no_text() {
    from_slice::<Person>(b"\xef\xbb\xbf{\"name\":\"x\"}").unwrap();
    for bad in [&b"{\"name\":\"\xff\xfe\"}"[..], b"\xff\xfe{\0}\0"] {
        let misfit = from_slice::<Person>(bad).unwrap_err();
        assert!(misfit.is_syntax());
        assert_eq!(misfit.of("The body"), "The body is not valid UTF-8");
    }
    let form = from_pairs::<Person>(b"name=%ff").unwrap_err();
    assert!(form.is_syntax());
}

#[test]
fn a_whole_number_is_whole_however_it_is_written() {
    for written in ["7.0", "7e0", "0.7e1", "70e-1"] {
        let body = format!("{{\"name\":\"x\",\"age\":{written},\"born\":{written}}}");
        let person = from_slice::<Person>(body.as_bytes()).unwrap();
        assert_eq!((person.age, person.born), (Some(7), Some(7)), "{written}");
        let form = format!("name=x&age={written}");
        assert_eq!(from_pairs::<Person>(form.as_bytes()).unwrap().age, Some(7));
        assert_eq!(whole(written), Some(7));
    }
    let nested = json!({"name": "x", "free": {"a": 2.0}, "either": 3.0, "share": 4.0});
    let person = from_value::<Person>(&nested).unwrap();
    assert_eq!(person.free.unwrap()["a"], 2);
    assert!(matches!(person.either, Some(Either::Number(3))));
    assert_eq!(person.share, Some(4.0));
    for odd in ["1.5", "1e300", "-1", "x", "9007199254740993.0"] {
        let body = format!("{{\"name\":\"x\",\"age\":{odd}}}");
        assert!(from_slice::<Person>(body.as_bytes()).is_err(), "{odd}");
    }
    assert_eq!(
        (whole("1.5"), whole("x"), whole("-2.0")),
        (None, None, Some(-2))
    );
}

#[test]
fn null_is_absence_wherever_something_may_be_absent() {
    #[derive(Debug, Deserialize)]
    struct Order {
        #[serde(default)]
        quantity: u8,
        #[serde(default)]
        price: Money,
        #[serde(default)]
        note: Text<0, 5>,
        #[serde(default)]
        parts: Vec<Part>,
        #[serde(default, deserialize_with = "present")]
        #[expect(clippy::option_option, reason = "it tells null from absence")]
        rating: Option<Option<u8>>,
    }
    #[derive(Debug, Deserialize)]
    struct Part {
        #[serde(default)]
        count: u8,
        name: String,
    }
    fn present<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        T::deserialize(deserializer).map(Some)
    }
    let body =
        json!({"quantity": null, "price": null, "note": null, "parts": null, "rating": null});
    let order = from_value::<Order>(&body).unwrap();
    assert_eq!(order.quantity, 0);
    assert_eq!(order.price, Money::default());
    assert_eq!((order.note.as_str(), order.parts.len()), ("", 0));
    assert_eq!(order.rating, Some(None), "this one is told from absence");
    let body = json!({"parts": [{"count": 1, "name": "a"}, {"count": null, "name": "b"}]});
    let order = from_value::<Order>(&body).unwrap();
    assert_eq!(
        (order.parts[1].count, order.parts[1].name.as_str()),
        (0, "b")
    );
    // What has to be there is missing, and a null in a list is none.
    for (body, told, pointer) in [
        (
            json!({"parts": [{"name": null}]}),
            "`parts[0].name` is missing",
            "/parts/0/name",
        ),
        (
            json!({"parts": [null]}),
            "`parts[0]` must be an object",
            "/parts/0",
        ),
        (json!(null), "The body must be an object", ""),
    ] {
        let misfit = from_value::<Order>(&body).unwrap_err();
        assert_eq!(
            (misfit.of("The body").as_str(), misfit.pointer().as_str()),
            (told, pointer)
        );
    }
    let many = format!("{{{}\"parts\":[]}}", "\"quantity\":null,".repeat(10_000));
    from_slice::<Order>(many.as_bytes()).unwrap();
}

#[test]
fn a_misfit_leads_to_its_member_and_never_by_a_name_of_the_senders() {
    for (body, pointer) in [
        (json!({"name": "x", "options": ["a", 1]}), "/options/1"),
        (json!({"name": "x", "profile": {}}), "/profile/bio"),
        (
            json!({"name": "x", "profile": {"bio": ["b"]}}),
            "/profile/bio/0",
        ),
        (json!({"name": "x", "free": {"canary": "canary"}}), "/free"),
        (json!({"age": 1}), "/name"),
        (json!([]), ""),
    ] {
        let misfit = from_value::<Person>(&body).unwrap_err();
        assert_eq!(misfit.pointer(), pointer, "{body}");
        let problem = misfit.in_body().into_response();
        let problem: Value = serde_json::from_slice(problem.body()).unwrap();
        assert_eq!(problem["errors"][0]["pointer"], pointer);
        assert!(!problem.to_string().contains("canary"), "{problem}");
    }
    let rule = from_value::<Person>(&json!({"name": "x", "profile": {"bio": ["b"]}})).unwrap_err();
    let problem = rule.in_body().into_response();
    let problem: Value = serde_json::from_slice(problem.body()).unwrap();
    assert_eq!(problem["errors"][0]["detail"], "bio must be short");
}

#[test]
fn fields_come_from_the_body_first_and_nothing_is_no_field() {
    let fields = Fields::of_json(br#"{"name":"a","email":null}"#).unwrap();
    let query = Fields::of_query(b"name=b&email=c&age=2.0&admin=").unwrap();
    let person: Person = fields.or(query).read().unwrap();
    assert_eq!(person.name.as_str(), "a");
    assert_eq!((person.email.as_deref(), person.age), (Some("c"), Some(2)));
    assert_eq!(person.admin, None);
    assert!(Fields::of_json(b"[1]").is_err() && Fields::of_json(b"{").is_err());
}

#[test]
fn json_that_no_program_can_hold_is_no_broken_json() {
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    for odd in ["1e999", r#"{"name":"\ud800"}"#, &deep] {
        let misfit = from_slice::<Person>(odd.as_bytes()).unwrap_err();
        assert!(!misfit.is_syntax(), "{odd}");
        let told = misfit.of("The body");
        assert!(
            told.starts_with("The body must be JSON of few levels"),
            "{told}"
        );
    }
}

#[test]
fn a_date_is_explained_without_it() {
    let told = told(&json!({"name": "x", "seen": "canary"}));
    assert!(
        told.starts_with("`seen`") && !told.contains("canary"),
        "{told}"
    );
}

#[test]
fn a_member_that_is_there_twice_is_refused_and_others_do_not_matter() {
    let twice = from_slice::<Profile>(br#"{"bio":[],"bio":[]}"#).unwrap_err();
    assert_eq!(twice.of("The body"), "`bio` is there twice");
    let others = from_slice::<Profile>(br#"{"bio":[],"canary":1,"canary":2}"#);
    others.unwrap();
}

#[test]
fn a_form_spells_numbers_and_truths() {
    let person = from_pairs::<Person>(b"name=Ada&age=7&admin=true&kind=movie").unwrap();
    assert!(matches!(
        (person.age, person.admin, person.kind),
        (Some(7), Some(true), Some(Kind::Movie))
    ));
    for (form, expected) in [
        (
            "name=Ada&age=canary",
            "`age` must be a whole number from 0 to 255",
        ),
        ("name=Ada&admin=canary", "`admin` must be true or false"),
        ("name=Ada&name=canary", "`name` is there twice"),
        ("canary", "`name` is missing"),
    ] {
        let misfit = from_pairs::<Person>(form.as_bytes()).unwrap_err();
        assert_eq!(misfit.of("The body"), expected, "{form}");
    }
}
