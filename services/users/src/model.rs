//! People and their rules; nothing here knows of HTTP or SQL.

use std::fmt;

use chassis::{
    Text, USERNAME_LENGTH, address_key, is_mailable, is_username, is_web_reference, text,
};
use chrono::{DateTime, Utc};
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ObjectBuilder, RefOr, Schema,
        schema::{KnownFormat, SchemaFormat, Type},
    },
};

/// Usernames that paths of the contracts need for themselves (D1).
pub const RESERVED: [&str; 10] = [
    "me", "id", "home", "async", "register", "login", "follow", "unfollow", "jobs", "popular",
];

/// Shortest and longest password, in characters; the longest bounds the work of a hash.
const PASSWORD_LENGTH: std::ops::RangeInclusive<usize> = 8..=1024;

/// The name that is shown; free text.
pub type Name = Text<1, 100>;
/// What somebody says about themselves.
pub type Bio = Text<0, 1000>;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Number of the account, from 1.
    pub id: i64,
    /// Unique, compared without case.
    pub username: String,
    /// Unique, compared without case.
    pub email: String,
    /// The name that is shown.
    pub name: String,
    /// What the person says about themselves.
    pub bio: String,
    /// A picture; empty for none.
    pub avatar_url: String,
    /// In PHC format, or a bcrypt hash that has been moved over.
    pub password_hash: String,
    /// When the account was made.
    pub created_at: DateTime<Utc>,
}

/// An account to be made.
#[derive(Debug)]
pub struct NewUser {
    /// Unique name.
    pub username: Username,
    /// Unique address.
    pub email: Email,
    /// The name that is shown; the username when not given.
    pub name: Option<Name>,
    /// What the person says about themselves.
    pub bio: Option<Bio>,
}

/// A username: 3 to 50 of `A-Z a-z 0-9 _ . -`, and none that a path needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Username(String);

impl Username {
    /// Checks.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn new(text: &str) -> Result<Self, String> {
        if !is_username(text) {
            return Err("username must be 3 to 50 letters, digits, '_', '.' or '-'".into());
        }
        // "." and ".." would vanish from a path on its way.
        if RESERVED.contains(&text.to_ascii_lowercase().as_str())
            || text.bytes().all(|byte| byte == b'.')
        {
            return Err("username must be another one: this one is reserved".into());
        }
        Ok(Self(text.to_owned()))
    }

    /// A username from the part of an e-mail address before the `@` (D1); not necessarily free.
    pub fn derived_from(email: &Email) -> Self {
        let local = email.as_str().split('@').next().unwrap_or_default();
        let kept: String = local
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || "_.-".contains(*c))
            .take(24)
            .collect();
        Self::new(&kept)
            .unwrap_or_else(|_| Self(format!("user-{kept}").trim_end_matches('.').to_owned()))
            .sound()
    }

    /// The same with a number behind, for when it is taken.
    #[must_use]
    pub fn numbered(&self) -> Self {
        let stem: String = self.0.chars().take(26).collect();
        Self(format!("{stem}{}", rand::rng().random_range(2..100_000)))
    }

    fn sound(self) -> Self {
        if Self::new(&self.0).is_ok() {
            self
        } else {
            self.numbered()
        }
    }

    /// As the person wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is compared.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// An e-mail address that mail can go to; accounts from before may have another one, and log in with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Checks.
    ///
    /// # Errors
    /// A sentence that says so.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text::composed(text.trim());
        if !is_mailable(&text) {
            return Err("email must be an e-mail address that mail can go to".into());
        }
        Ok(Self(text))
    }

    /// As the person wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As it is compared.
    pub fn key(&self) -> String {
        address_key(&self.0)
    }

    /// As it was compared before domains had one form: accounts that another one is in the way of still have this key.
    pub fn former_key(&self) -> String {
        self.0.to_lowercase()
    }
}

/// A password of somebody who registers, in the form in which it is compared; 8 to 1024 characters, never printed.
#[derive(Debug, Clone)]
pub struct NewPassword(SecretString);

impl NewPassword {
    /// Checks.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text::opaque(text);
        if !PASSWORD_LENGTH.contains(&text.chars().count()) {
            return Err("password must have 8 to 1024 characters".into());
        }
        // They are on no keyboard, and not all stores and programs keep them (RFC 8264, 4.3.3).
        if text.contains(char::is_control) {
            return Err("password must have no control characters".into());
        }
        Ok(Self(text.into()))
    }

    /// The text, for hashing.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// Whether both are the same, as passwords are compared.
    pub fn is(&self, other: &str) -> bool {
        self.0.expose_secret() == text::opaque(other)
    }
}

/// Whether a password is so long that no account can have it: not worth a hash.
pub fn impossible(password: &SecretString) -> bool {
    password.expose_secret().chars().count() > *PASSWORD_LENGTH.end()
}

/// A picture's address: an `http` or `https` URL, or a reference relative to a page of ours; at most
/// 2048 characters, or empty for none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvatarUrl(String);

impl AvatarUrl {
    /// Checks.
    ///
    /// # Errors
    /// A sentence that says what is allowed.
    pub fn new(text: &str) -> Result<Self, String> {
        if !text.is_empty() && !is_web_reference(text) {
            return Err("avatar_url must be an http or https URL, or a relative one, of at most 2048 characters, \
                 without a user in it"
                .into());
        }
        Ok(Self(text.to_owned()))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! parsed_string {
    ($($type:ident: $parse:expr, $min:expr, $max:expr, $format:expr, $pattern:expr, $example:expr;)*) => {$(
        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let parse: fn(String) -> Result<Self, String> = $parse;
                parse(String::deserialize(deserializer)?).map_err(de::Error::custom)
            }
        }
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new()
                    .schema_type(Type::String)
                    .min_length(Some($min))
                    .max_length(Some($max))
                    .format(Some($format))
                    .pattern($pattern)
                    .examples([serde_json::Value::from($example)])
                    .into()
            }
        }
        impl ToSchema for $type {}
    )*};
}

fn known(format: KnownFormat) -> SchemaFormat {
    SchemaFormat::KnownFormat(format)
}

fn custom(format: &str) -> SchemaFormat {
    SchemaFormat::Custom(format.to_owned())
}

parsed_string! {
    Username: |text| Username::new(&text), *USERNAME_LENGTH.start(), *USERNAME_LENGTH.end(), custom("username"), Some("^[A-Za-z0-9_.-]*$"), "ada";
    Email: |text| Email::new(&text), 3, 254, known(KnownFormat::Email), None::<&str>, "ada@example.com";
    NewPassword: |text| NewPassword::new(&text), 8, 1024, known(KnownFormat::Password), Some(r"^[^\x00-\x1f\x7f-\x9f]*$"), "correct horse";
    AvatarUrl: |text| AvatarUrl::new(&text), 0, 2048, custom("uri-reference"), None::<&str>, "https://example.com/ada.png";
}

impl fmt::Display for Username {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_usernames_are_of_the_alphabet_and_not_reserved() {
        for good in ["ada", "A.B-c_9", &"x".repeat(50), "Melanie"] {
            assert!(Username::new(good).is_ok(), "{good}");
        }
        for bad in [
            "ab",
            &"x".repeat(51),
            "a b c",
            "adä",
            "me",
            "Popular",
            "a/b",
            "...",
            "",
            "a\0b",
            "jobs",
        ] {
            assert!(Username::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn d1_every_address_gives_a_valid_username() {
        let long = format!("{}@example.com", "x".repeat(64));
        for email in [
            "ada@example.com",
            "a@example.com",
            "me@example.com",
            "a+b@example.com",
            "!!@example.com",
            &long,
        ] {
            let derived = Username::derived_from(&Email::new(email).unwrap());
            assert!(
                Username::new(derived.as_str()).is_ok(),
                "{email}: {derived}"
            );
            assert!(
                Username::new(derived.numbered().as_str()).is_ok(),
                "{email}"
            );
        }
        assert_eq!(
            Username::derived_from(&Email::new("ada@example.com").unwrap()).as_str(),
            "ada"
        );
    }

    #[test]
    fn an_address_cannot_smuggle_a_header() {
        assert!(Email::new("ada@example.com").is_ok());
        for bad in [
            "ada",
            "ada@",
            "@example.com",
            "a@b@c",
            "ada@example.com\r\nBcc: x@y.z",
            "a\0@example.com",
            "Ada <a@b.c>",
            "<a@b.c>",
            "a@b.c, d@e.f",
            "a@[127.0.0.1]",
            "\"a b\"@example.com",
        ] {
            assert!(Email::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_password_is_bounded_and_never_printed() {
        for bad in [
            "x".repeat(7),
            "x".repeat(1025),
            "e\u{301}".repeat(7),
            "x".repeat(8) + "\0",
        ] {
            assert!(NewPassword::new(&bad).is_err());
        }
        assert!(NewPassword::new(&"\u{1f600}".repeat(1024)).is_ok());
        assert!(!format!("{:?}", NewPassword::new("canary-canary").unwrap()).contains("canary"));
    }

    #[test]
    fn s18_an_avatar_is_a_web_address() {
        for good in ["", "https://example.com/a.png", "/static/a.png", "avatar"] {
            assert!(AvatarUrl::new(good).is_ok(), "{good}");
        }
        for bad in [
            "javascript:alert(1)",
            "data:image/png;base64,AA",
            "file:///etc/passwd",
            "https://ada@example.com/a.png",
            "//ada@example.com/a.png",
        ] {
            assert!(AvatarUrl::new(bad).is_err(), "{bad}");
        }
    }
}
