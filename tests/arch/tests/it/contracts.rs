//! Every contract row that is built has a test that names it.

use std::collections::BTreeSet;

use crate::rust_files;

/// The rows built so far; those of a service are added with it.
const ROWS: &[&str] = &[
    "s0_01", "s0_02", "s0_03", "s0_04", "s0_05", "s0_06", "s0_07", "s0_08", "s0_09", "s0_10",
    "s0_12", "s0_13", "s0_25", "s0_30", "s1_01", "s1_02", "s1_13", "s2_14", "s2_15", "s2_16",
    "s2_17", "s2_18", "s2_19", "s3_01", "s3_02", "s3_05", "s3_06", "s3_07", "s3_08", "s3_09",
    "s4_01", "s4_02", "s4_03", "s4_04", "d1", "d2", "d3", "d4", "d5", "d7", "d8", "d9", "d10",
    "d17", "d25",
];

#[test]
fn every_row_is_named_by_a_test() {
    let files = ["services", "tests", "mesh"]
        .into_iter()
        .flat_map(rust_files);
    let text: String = files.map(|(_, text)| text).collect();
    let tests: BTreeSet<&str> = text
        .split("fn ")
        .skip(1)
        .filter_map(|rest| {
            rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .next()
        })
        .collect();
    let missing: Vec<&&str> = ROWS
        .iter()
        .filter(|row| {
            !tests
                .iter()
                .any(|test| test.starts_with(&format!("{row}_")))
        })
        .collect();
    assert!(missing.is_empty(), "no test begins with {missing:?}");
}
