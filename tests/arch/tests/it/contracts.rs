//! Every contract row that is built has a test that names it.

use std::collections::BTreeSet;

use crate::rust_files;

/// The rows built so far; those of a service are added with it.
const ROWS: &[&str] = &[
    "s1_15", "s1_16", "s1_21", "s0_15", "s0_20", "s0_29", "s0_31", "s2_31", "s2_32", "s2_33",
    "s2_34", "s4_05", "s4_06", "s4_07", "s4_08", "s4_09", "s4_11", "s4_12", "s4_15", "s4_17",
    "s4_24", "s4_27", "s0_01", "s0_02", "s0_03", "s0_04", "s0_05", "s0_06", "s0_07", "s0_08",
    "s0_09", "s0_10", "s0_12", "s0_13", "s0_25", "s0_30", "s1_01", "s1_02", "s1_13", "s2_14",
    "s2_15", "s2_16", "s2_17", "s2_18", "s2_19", "s3_01", "s3_02", "s3_05", "s3_06", "s3_07",
    "s3_08", "s3_09", "s4_01", "s4_02", "s4_03", "s4_04", "d1", "d2", "d3", "d4", "d5", "d7", "d8",
    "d9", "d10", "d17", "d25", "s2_05", "s2_06", "s2_07", "s2_08", "s2_09", "s2_10", "s2_11",
    "s2_12", "s2_13", "s2_40", "s2_69", "s2_74", "d15", "d16", "s1_05", "s1_08", "s2_37", "s2_61",
    "s2_62", "s2_38", "s2_65", "s2_75", "s4_13", "s4_14", "d6", "d13", "d14", "d18", "d27",
    "s1_03", "s1_04", "s1_07", "s1_18", "s1_19", "d12", "d26", "d28", "s2_39", "s2_41", "s2_42",
    "s2_43", "s2_44", "s2_45", "s2_46", "s2_47", "s2_48", "s2_49", "s2_50", "s2_51", "s2_52",
    "s2_53", "s2_54", "s2_55", "s2_56", "s2_57", "s2_58", "s2_59", "s2_60", "s2_63", "s2_66",
    "s2_67", "s2_70", "s2_71", "s2_72", "s2_26", "s2_27", "s2_28", "s2_29", "s2_30", "s2_36",
    "s2_68", "s2_20", "s2_21", "s2_22", "s2_23", "s2_24", "s2_25", "s2_35", "s2_73", "d19",
    "s2_01", "s2_02", "s2_03", "s2_04", "s2_64", "s2_76", "s3_03", "s3_04", "s3_10", "s3_11",
    "s3_12", "s3_13", "s3_14", "s3_15", "s3_16", "s3_17", "s3_18", "s3_26", "s3_27", "s3_28",
    "s3_29", "s3_30", "s3_36", "s3_43", "s3_44", "s3_45", "s3_47", "s3_50", "d21", "d22", "s0_11",
    "s0_16", "s0_23", "s0_27", "s3_19", "s3_20", "s3_21", "s3_22", "s3_23", "s3_24", "s3_25",
    "s3_48", "d23", "d23b", "s0_28", "s3_49", "s1_06", "s1_12", "s1_14", "s1_17", "s1_20", "s1_22",
    "s4_16", "s4_18", "s4_28", "s0_21", "s0_22", "s0_24", "s1_09", "s1_10", "s1_11", "s3_32",
    "s3_33", "s3_34", "s3_35", "s3_37", "s3_38", "s3_40", "s3_41", "s3_42", "s4_10", "s4_19",
    "s4_20", "s4_21", "s4_22", "s4_23", "s4_29", "s3_39", "s4_25", "s4_26",
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
    let covered: BTreeSet<String> = tests.iter().flat_map(|test| rows_of(test)).collect();
    let missing: Vec<&&str> = ROWS.iter().filter(|row| !covered.contains(**row)).collect();
    assert!(missing.is_empty(), "no test begins with {missing:?}");
}

/// The rows that a test names: `s2_39_port_…` one, `s2_45_to_s2_48_…` four.
fn rows_of(test: &str) -> Vec<String> {
    let words: Vec<&str> = test.split('_').collect();
    match words.as_slice() {
        [source, first, "to", again, last, ..] if source == again => {
            let (Ok(from), Ok(to)) = (first.parse::<u32>(), last.parse::<u32>()) else {
                return Vec::new();
            };
            (from..=to)
                .map(|row| format!("{source}_{row:02}"))
                .collect()
        }
        [source, row, _, ..] if row.bytes().all(|byte| byte.is_ascii_digit()) => {
            vec![format!("{source}_{row}"), (*source).to_owned()]
        }
        [decision, _, ..] => vec![(*decision).to_owned()],
        _ => Vec::new(),
    }
}

#[test]
fn a_test_names_a_row_or_a_range_of_rows() {
    assert_eq!(rows_of("s2_45_to_s2_47_parts"), ["s2_45", "s2_46", "s2_47"]);
    assert_eq!(rows_of("s2_39_port")[0], "s2_39");
    assert_eq!(rows_of("d23b_socket_io"), ["d23b"]);
}
