//! The glossary stays short, each word is in it once, and the code has it.

use std::fs;

use crate::{root, rust_files};

/// So many words can be learned.
const MAX_WORDS: usize = 30;

#[test]
fn each_word_of_the_glossary_is_there_once_and_in_the_code() {
    let page = fs::read_to_string(root().join("docs/glossary.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| "));
    let words = rows.filter_map(|row| Some(row.split_once(" | ")?.0));
    let words: Vec<&str> = words.skip(1).filter(|word| *word != "---").collect();
    assert!((20..=MAX_WORDS).contains(&words.len()), "{}", words.len());
    assert!(words.is_sorted_by(|one, next| one < next), "{words:?}");
    let files = ["services", "mesh"].into_iter().flat_map(rust_files);
    let code: String = files.map(|(_, text)| text.to_lowercase()).collect();
    let is_unused = |word: &&&str| {
        let spellings = ["_", "-", " "].map(|between| word.replace(' ', between));
        !spellings.iter().any(|word| code.contains(word))
    };
    let unused: Vec<_> = words.iter().filter(is_unused).collect();
    assert!(unused.is_empty(), "nothing is called {unused:?}");
}
