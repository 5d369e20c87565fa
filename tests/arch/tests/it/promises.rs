//! What `docs/security.md` promises is shown by tests that there are.

use std::fs;

use crate::root;

/// The texts between backticks in the last column of the tables.
fn shown_by(page: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let rows = rows.filter_map(|line| {
        let mut columns = line.trim_matches('|').split(" | ");
        let (promise, tests) = (columns.next()?.trim(), columns.next()?);
        Some((promise, tests.split('`').skip(1).step_by(2).collect()))
    });
    let of_tables = |(promise, _): &(&str, Vec<&str>)| !["promise", "---"].contains(promise);
    rows.filter(of_tables).collect()
}

#[test]
fn every_promise_names_a_test_that_there_is() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let promises = shown_by(&page);
    assert!(promises.len() > 20, "{}", promises.len());
    for (promise, tests) in promises {
        assert!(!tests.is_empty(), "no test shows: {promise}");
        for test in tests {
            let (path, name) = test.split_once("::").unwrap_or((test, ""));
            let text = fs::read_to_string(root().join(path)).unwrap_or_default();
            let there = text.contains(&format!("fn {name}("));
            assert!(there, "{promise}: there is no {test}");
        }
    }
}
