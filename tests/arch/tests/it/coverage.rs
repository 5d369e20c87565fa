//! Each row of `docs/requirements` is shown by tests that there are, or says why by none:
//! `docs/requirements/coverage.toml` is compared with the documents and with the sources.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{root, rust_files};

/// Where rows and the table are.
const FOLDER: &str = "docs/requirements";

/// What is compared.
#[derive(Clone, Default)]
struct Coverage {
    /// Ids of rows, as often as they stand in the documents.
    rows: Vec<String>,
    /// The tests that show a row.
    shown: BTreeMap<String, Vec<String>>,
    /// Why no test shows a row.
    not_shown: BTreeMap<String, String>,
    /// All tests, as the table writes them.
    tests: BTreeSet<String>,
}

impl Coverage {
    fn read() -> Self {
        let folder = root().join(FOLDER);
        let table = fs::read_to_string(folder.join("coverage.toml")).unwrap();
        let mut table: toml::Table = toml::from_str(&table).unwrap();
        let mut rows = Vec::new();
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                rows.extend(ids(&fs::read_to_string(path).unwrap()));
            }
        }
        let coverage = Self {
            rows,
            shown: table.remove("shown").unwrap().try_into().unwrap(),
            not_shown: table.remove("not-shown").unwrap().try_into().unwrap(),
            tests: tests(),
        };
        assert!(table.is_empty(), "unknown sections: {table:?}");
        coverage
    }

    /// What does not agree, a sentence each.
    fn findings(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut known = BTreeSet::new();
        for row in &self.rows {
            if !known.insert(row) {
                found.push(format!("{row} stands in the documents twice"));
            }
            match (self.shown.get(row), self.not_shown.get(row)) {
                (None, None) => found.push(format!("{row} is not in the table")),
                (Some(_), Some(_)) => found.push(format!("{row} is shown and is not")),
                (Some(tests), None) if tests.is_empty() => {
                    found.push(format!("{row} is shown by nothing"));
                }
                (None, Some(reason)) if reason.trim().is_empty() => {
                    found.push(format!("{row} has no reason"));
                }
                _ => {}
            }
        }
        for row in self.shown.keys().chain(self.not_shown.keys()) {
            if !known.contains(row) {
                found.push(format!("{row} is in no document"));
            }
        }
        for (row, tests) in &self.shown {
            for (index, test) in tests.iter().enumerate() {
                if !self.tests.contains(test) {
                    found.push(format!("{row}: there is no test {test}"));
                }
                if tests[..index].contains(test) {
                    found.push(format!("{row} names {test} twice"));
                }
            }
        }
        found
    }
}

/// The ids in the first column of a document's tables: `cars-04`, `decision-23b`.
fn ids(document: &str) -> Vec<String> {
    let first = |line: &str| Some(line.strip_prefix("| ")?.split_once(" |")?.0.to_owned());
    let is_id = |text: &String| {
        text.split_once('-').is_some_and(|(kind, number)| {
            !kind.is_empty() && number.starts_with(|digit: char| digit.is_ascii_digit())
        })
    };
    document.lines().filter_map(first).filter(is_id).collect()
}

/// Every test of the sources: `users::login::odd_logins_are_refused`.
fn tests() -> BTreeSet<String> {
    let folders = ["services", "mesh", "observability", "tests"];
    let files = folders.into_iter().flat_map(rust_files);
    let each = files.flat_map(|(path, text)| {
        let module = module(&path);
        let named = move |name| format!("{module}::{name}");
        names(&text).into_iter().map(named).collect::<Vec<_>>()
    });
    each.collect()
}

/// `services/users/tests/it/login.rs` is `users::login`; a test target that is not `it` is named.
fn module(path: &str) -> String {
    let parts: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let is_crate = |end: &usize| {
        root()
            .join(parts[..*end].join("/"))
            .join("Cargo.toml")
            .exists()
    };
    let end = (1..parts.len()).rev().find(is_crate).unwrap();
    let inner = match &parts[end..] {
        ["tests", "it", inner @ ..] | [_, inner @ ..] => inner,
        [] => &[],
    };
    let inner = match inner {
        [inner @ .., "mod" | "main" | "lib"] | inner => inner,
    };
    [&[parts[end - 1]], inner].concat().join("::")
}

/// The tests of a file: functions with an attribute, and those that run `on_each_…!` store.
fn names(text: &str) -> BTreeSet<String> {
    let (mut found, mut listed, mut defined) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let (mut marked, mut inside) = (false, false);
    for line in text.lines().map(str::trim) {
        let list = line.contains("on_each_") && line.contains("![")
            || line.contains("on_each_") && line.contains("!(");
        inside |= list && !line.contains('$');
        if inside {
            let rest = line.split('!').next_back().unwrap();
            let words = rest.split(|c: char| !(c.is_alphanumeric() || c == '_'));
            listed.extend(words.map(str::to_owned));
            inside = !line.ends_with([')', ']', ';']);
        } else if let Some(name) = function(line) {
            defined.insert(name.to_owned());
            if marked {
                found.insert(name.to_owned());
            }
            marked = false;
        } else if line == "#[test]" || line.starts_with("#[tokio::test") {
            marked = true;
        }
    }
    found.extend(defined.intersection(&listed).cloned());
    found
}

/// The name of the function that a line begins.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    let rest = line.strip_prefix("fn ")?;
    rest.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .next()
}

#[test]
fn every_row_is_shown_by_tests_that_there_are_or_says_why_not() {
    let coverage = Coverage::read();
    assert!(coverage.rows.len() > 300, "{}", coverage.rows.len());
    assert!(coverage.tests.len() > 1000, "{}", coverage.tests.len());
    let found = coverage.findings();
    assert!(found.is_empty(), "{FOLDER}/coverage.toml: {found:#?}");
}

/// A table that agrees, with one change.
fn changed(change: impl FnOnce(&mut Coverage)) -> Vec<String> {
    let mut coverage = Coverage {
        rows: vec!["cars-01".into(), "cars-02".into()],
        shown: [("cars-01".into(), vec!["users::login::logs_in".into()])].into(),
        not_shown: [("cars-02".into(), "by hand".into())].into(),
        tests: ["users::login::logs_in".into()].into(),
    };
    assert!(coverage.findings().is_empty());
    change(&mut coverage);
    coverage.findings()
}

#[test]
fn whatever_does_not_agree_is_found() {
    let found = changed(|coverage| coverage.rows.push("cars-03".into()));
    assert_eq!(found, ["cars-03 is not in the table"]);
    let found = changed(|coverage| coverage.rows.push("cars-01".into()));
    assert_eq!(found, ["cars-01 stands in the documents twice"]);
    let found = changed(|coverage| coverage.rows.truncate(1));
    assert_eq!(found, ["cars-02 is in no document"]);
    let found = changed(|coverage| coverage.tests.clear());
    assert_eq!(found, ["cars-01: there is no test users::login::logs_in"]);
    let found = changed(|coverage| coverage.shown.get_mut("cars-01").unwrap().clear());
    assert_eq!(found, ["cars-01 is shown by nothing"]);
    let found = changed(|coverage| {
        let tests = coverage.shown.get_mut("cars-01").unwrap();
        tests.push(tests[0].clone());
    });
    assert_eq!(found, ["cars-01 names users::login::logs_in twice"]);
    let found = changed(|coverage| coverage.not_shown.get_mut("cars-02").unwrap().clear());
    assert_eq!(found, ["cars-02 has no reason"]);
    let found = changed(|coverage| {
        let reason = "by hand".to_owned();
        coverage.not_shown.insert("cars-01".into(), reason);
    });
    assert_eq!(found, ["cars-01 is shown and is not"]);
}

#[test]
fn rows_and_tests_are_read_as_they_are_written() {
    let document = "| id | what |\n| --- | --- |\n| cars-04 | A. |\n| decision-23b | B. | why |\n";
    assert_eq!(ids(document), ["cars-04", "decision-23b"]);
    assert_eq!(module("services/users/tests/it/login.rs"), "users::login");
    assert_eq!(
        module("mesh/chassis/src/sql/failure.rs"),
        "chassis::sql::failure"
    );
    assert_eq!(module("tests/e2e/tests/faults/main.rs"), "e2e::faults");
    let source = "crate::on_each_store![\n    a_row_is_kept,\n];\n\
        async fn a_row_is_kept(backend: Backend) {}\nfn helper() {}\n\
        #[tokio::test(flavor = \"multi_thread\")]\nasync fn it_answers() {}\n\
        #[test]\n#[should_panic(expected = \"x\")]\nfn it_panics() {}\n";
    let expected = ["a_row_is_kept", "it_answers", "it_panics"];
    assert_eq!(names(source), expected.map(str::to_owned).into());
}
