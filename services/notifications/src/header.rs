//! Headers with text that people wrote, so that a reader shows what was written.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lettre::message::header::{HeaderName, HeaderValue};

/// Bytes of an encoded word: in Base64, with its frame and the name of the header, a line stays below the 76 characters of RFC 2047.
const WORD: usize = 39;

/// A header whose value is any text in one line.
///
/// Text that looks like an encoded word (`=?utf-8?q?=0D=0A?=`) is encoded too, else whoever reads the mail decodes it
/// into what nobody let through (RFC 2047, 5 and 7). lettre leaves every word alone that is ASCII.
pub(crate) fn text(name: &'static str, value: &str) -> HeaderValue {
    let name = HeaderName::new_from_ascii_str(name);
    if value.is_ascii() && !value.contains("=?") {
        return HeaderValue::new(name, value.to_owned());
    }
    let words: Vec<String> = words(value)
        .iter()
        .map(|word| format!("=?utf-8?b?{}?=", STANDARD.encode(word)))
        .collect();
    HeaderValue::dangerous_new_pre_encoded(name, value.to_owned(), words.join("\r\n "))
}

/// The text in parts of whole characters.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (word, after) = rest.split_at(rest.floor_char_boundary(WORD));
        words.push(word);
        rest = after;
    }
    words
}

#[cfg(test)]
mod tests {
    use lettre::message::header::Headers;

    use super::*;

    fn sent(value: &str) -> String {
        let mut headers = Headers::new();
        headers.insert_raw(text("Subject", value));
        headers.to_string()
    }

    #[test]
    fn plain_text_is_sent_as_it_is() {
        assert_eq!(sent("A lamp = 5?"), "Subject: A lamp = 5?\r\n");
    }

    #[test]
    fn what_looks_encoded_is_encoded_again() {
        for typed in [
            "=?utf-8?q?=0D=0ABcc:_evil@example.com?=",
            "Hi =?x?b?QQ==?= there",
            "=?",
            "Grüße =?utf-8?q?=0D=0A?=",
        ] {
            let sent = sent(typed);
            let expected = STANDARD.encode(typed);
            assert_eq!(sent, format!("Subject: =?utf-8?b?{expected}?=\r\n"));
        }
    }

    #[test]
    fn long_text_is_cut_between_characters_into_words_of_75() {
        let typed = "€".repeat(200);
        let sent = sent(&typed);
        let mut decoded = Vec::new();
        for line in sent.trim_start_matches("Subject:").lines() {
            let word = line.trim();
            assert!(word.len() <= 75, "{word}");
            let base64 = word.strip_prefix("=?utf-8?b?").unwrap();
            let word = STANDARD.decode(base64.strip_suffix("?=").unwrap()).unwrap();
            String::from_utf8(word.clone()).unwrap();
            decoded.extend(word);
        }
        assert_eq!(String::from_utf8(decoded).unwrap(), typed);
    }
}
