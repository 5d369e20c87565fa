//! Text from outside, checked where it comes in, and in the forms that it is compared in.

use std::{fmt, str::FromStr};

use caseless::Caseless as _;
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, GeneralCategory},
};
use serde::{Deserialize, Deserializer, Serialize, de};
use unicode_normalization::UnicodeNormalization as _;
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

/// Bytes that one character takes at most, in JSON (`\ud83d\ude00`) as in a form (`%F0%9F%98%80`).
pub const WIDEST: usize = 12;

/// The form in which a text is kept: what looks the same and is composed in different ways is the same (NFC).
pub fn composed(text: &str) -> String {
    text.nfc().collect()
}

/// The form in which texts are looked for: without case in any alphabet (`ß` and `ẞ` are `ss`), without characters that
/// nobody sees, and however its letters are composed (Unicode, canonical caseless matching).
///
/// The stores' own `LOWER` differ: that of SQLite knows ASCII only, that of Postgres what its locale says. So what is
/// looked for is folded here and kept beside what is shown.
pub fn folded(text: &str) -> String {
    let seen = text.chars().filter(|letter| !is_ignorable(*letter));
    seen.nfd().default_case_fold().nfc().collect()
}

/// The form in which passwords are compared (RFC 8265, 4.2.2: `OpaqueString`): every kind of blank is the common one, and what
/// is composed in different ways is the same. Case, width and all else count.
pub fn opaque(secret: &str) -> String {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let blank = |letter| categories.get(letter) == GeneralCategory::SpaceSeparator;
    let letters = secret.chars();
    letters
        .map(|letter| if blank(letter) { ' ' } else { letter })
        .nfc()
        .collect()
}

/// Whether nobody sees anything of it: blanks, joiners, fillers, marks of direction and the like.
pub fn is_blank(text: &str) -> bool {
    // They are drawn as nothing, though Unicode counts them as letters and signs.
    const EMPTY: [char; 3] = ['\u{2800}', '\u{16fe4}', '\u{1d159}'];
    let unseen = |letter: char| {
        letter.is_whitespace()
            || letter.is_control()
            || is_ignorable(letter)
            || ('\u{fff9}'..='\u{fffb}').contains(&letter)
            || EMPTY.contains(&letter)
    };
    text.chars().all(unseen)
}

fn is_ignorable(letter: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(letter)
}

/// Text of `MIN` to `MAX` characters after trimming, composed, without NUL (which no SQL store takes). One of which nobody
/// sees anything has no characters.
///
/// Deserialising another text fails, which the chassis answers with 422.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text<const MIN: usize, const MAX: usize>(String);

impl<const MIN: usize, const MAX: usize> Text<MIN, MAX> {
    /// Bytes that such a text takes at most on the wire.
    pub const WIDEST: usize = MAX * WIDEST;

    /// Checks, trims and composes.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn new(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("a text may not contain NUL".into());
        }
        let text = if is_blank(text) {
            String::new()
        } else {
            composed(text.trim())
        };
        let length = text.chars().count();
        if length < MIN || length > MAX {
            return Err(format!(
                "a text of {MIN} to {MAX} characters is needed, this one has {length}"
            ));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Where nothing is a text too, nothing is what there is by default.
impl<const MAX: usize> Default for Text<0, MAX> {
    fn default() -> Self {
        Self(String::new())
    }
}

/// In an address: what is none names nothing.
impl<const MIN: usize, const MAX: usize> FromStr for Text<MIN, MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::new(text)
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for Text<MIN, MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<'de, const MIN: usize, const MAX: usize> Deserialize<'de> for Text<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl<const MIN: usize, const MAX: usize> PartialSchema for Text<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        // No store takes NUL, and blanks alone are no text.
        let pattern = match MIN {
            0 => r"^[^\x00]*$",
            _ => r"^[^\x00]*[^\x00\s][^\x00]*$",
        };
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(pattern))
            .min_length(Some(MIN))
            .max_length(Some(MAX))
            .into()
    }
}

impl<const MIN: usize, const MAX: usize> ToSchema for Text<MIN, MAX> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("Text{MIN}To{MAX}").into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_counts_characters_and_blanks_around_do_not_count() {
        assert_eq!(Text::<1, 3>::new(" äöü ").unwrap().as_str(), "äöü");
        assert!(Text::<1, 3>::new("   ").is_err());
        assert!(Text::<1, 3>::new("abcd").is_err());
        assert!(Text::<1, 3>::new("a\0").is_err());
    }

    #[test]
    fn a_text_is_kept_composed() {
        let text = Text::<1, 4>::new("cafe\u{301}").unwrap();
        assert_eq!(text.as_str(), "caf\u{e9}");
    }

    #[test]
    fn a_text_of_which_nobody_sees_anything_is_none() {
        for blank in [
            "\u{200b}",
            "\u{200d}\u{feff} \u{2060}",
            "\u{3164}",
            "\u{ffa0}\u{115f}\u{1160}",
            "\u{2800}\u{2800}",
            "\u{ad}",
            "\u{202e}\u{2066}",
            "\u{e0020}",
            "\u{fe0f}",
            "\u{180e}\u{34f}",
            "\u{a0}\u{3000}\u{85}",
        ] {
            assert!(Text::<1, 3>::new(blank).is_err(), "{blank:?}");
            assert_eq!(Text::<0, 3>::new(blank).unwrap().as_str(), "", "{blank:?}");
        }
        for seen in ["\u{1f469}\u{200d}\u{1f52c}", "\u{2764}\u{fe0f}", "\u{600}"] {
            assert_eq!(Text::<1, 3>::new(seen).unwrap().as_str(), seen);
        }
    }

    #[test]
    fn a_password_is_the_same_however_a_keyboard_composes_it() {
        let typed = "Mu\u{308}ller\u{a0}cafe\u{301}\u{3000}2024";
        assert_eq!(opaque(typed), "M\u{fc}ller caf\u{e9} 2024");
        assert_eq!(opaque(&opaque(typed)), opaque(typed));
        for (one, other) in [
            ("a", "A"),
            ("\u{ff21}", "A"),
            ("x", " x"),
            ("ß", "ss"),
            ("\t", " "),
        ] {
            assert_ne!(opaque(one), opaque(other));
        }
    }

    #[test]
    fn texts_that_differ_in_case_or_composition_alone_fold_to_the_same() {
        for (one, other) in [
            ("ALIEN", "alien"),
            ("Amélie", "AME\u{301}LIE"),
            ("ОСТРОВ", "остров"),
            ("Straße", "STRASSE"),
            ("STRA\u{1e9e}E", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("ΟΔΟΣ", "οδοσ"),
            ("ﬁn", "FIN"),
            ("\u{1fc3}", "\u{3b7}\u{3b9}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("co\u{ad}op", "coop"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("Amelie"), folded("Amélie"));
        // A part stays a part.
        assert!(folded("ΟΔΟΣΣΕΙΑ").contains(&folded("ΟΔΟΣ")));
        // What is folded is not changed by folding it again, as a search does with what it has.
        for text in ["İstanbul", "STRAẞE", "\u{1fc3}", "\u{345}\u{301}"] {
            assert_eq!(folded(&folded(text)), folded(text), "{text}");
        }
    }
}
