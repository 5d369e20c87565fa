//! Files by hand with parts that are generated, each between two comments.

use anyhow::{Context, Result};

/// Replaces what is between `<mark> generated: <name>` and `<mark> end: <name>`, both of them whole lines, with `content`.
pub fn replace(text: &str, name: &str, content: &str) -> Result<String> {
    let (begin, end) = (format!("generated: {name}"), format!("end: {name}"));
    let missing = || format!("there is no part between `{begin}` and `{end}`");
    let from = text.find(&begin).with_context(missing)?;
    let from = text[from..].find('\n').with_context(missing)? + from + 1;
    let to = text[from..].find(&end).with_context(missing)? + from;
    let to = text[..to].rfind('\n').with_context(missing)? + 1;
    Ok(format!(
        "{}{}\n{}",
        &text[..from],
        content.trim_end_matches('\n'),
        &text[to..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_between_the_comments_changes() {
        let text = "a\n  # generated: x (by a command)\nold\nolder\n  # end: x\nb\n";
        let once = replace(text, "x", "new\n").unwrap();
        assert_eq!(
            once,
            "a\n  # generated: x (by a command)\nnew\n  # end: x\nb\n"
        );
        assert_eq!(replace(&once, "x", "new\n").unwrap(), once);
        assert!(replace(text, "y", "").is_err());
    }
}
