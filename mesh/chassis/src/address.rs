//! E-mail addresses: one rule for all who take one and all who send to one.

use email_address::{EmailAddress, Options};

use crate::text;

/// Longest address, in bytes (RFC 5321, 4.5.3.1.3).
const LONGEST: usize = 254;

/// Whether mail can go there, so that what is taken is sent.
///
/// Quoted local parts are good by RFC 5321, which tells hosts not to give them out; mail servers and programs read
/// them in different ways. `=?` would be decoded where the address is shown, though RFC 2047 forbids both.
pub fn is_mailable(address: &str) -> bool {
    // By default the crate takes `Ada <ada@example.com>` for an address.
    let bare = Options::default()
        .without_display_text()
        .without_domain_literal();
    let names_a_host = address.rsplit(['@', '.']).next().is_some_and(|last| {
        // A number there is no domain: `ada@127.0.0.1`.
        !last.bytes().all(|byte| byte.is_ascii_digit())
    });
    address.len() <= LONGEST
        && names_a_host
        && !address.contains('"')
        && !address.contains("=?")
        && !address.contains(|c: char| c.is_control() || c.is_whitespace())
        && EmailAddress::parse_with_options(address, bare).is_ok()
}

/// The form in which addresses are compared: without case, and with a domain as the DNS has it, so that
/// `ada@bücher.example` and `ada@xn--bcher-kva.example` are one.
pub fn address_key(address: &str) -> String {
    let address = text::composed(address.trim());
    let parts = address.rsplit_once('@');
    let Some((person, domain)) = parts.filter(|(_, domain)| domain.len() <= LONGEST) else {
        return address.to_lowercase();
    };
    let domain = idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase());
    format!("{}@{domain}", person.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_international_domain_is_one_with_its_form_in_the_dns() {
        let key = "ada@xn--bcher-kva.example";
        for same in [
            "ada@bücher.example",
            "Ada@BÜCHER.Example",
            "ada@bu\u{308}cher.example",
            "ada@XN--BCHER-KVA.example",
            " ada@xn--bcher-kva.example ",
        ] {
            assert_eq!(address_key(same), key, "{same}");
        }
        assert_eq!(address_key("A_b@My_Host.Example"), "a_b@my_host.example");
        assert_eq!(
            address_key("a@xn--zzzzzzzz.example"),
            "a@xn--zzzzzzzz.example"
        );
        assert_eq!(address_key("Ada"), "ada");
    }

    #[test]
    fn an_address_is_one_that_every_mail_server_reads_alike() {
        for good in [
            "a@b.c",
            "ada@localhost",
            "ada+x@example.com",
            "o'neil@example.co.uk",
            "#!$%&'*+-/=^_`{|}~@example.com",
            "jürgen@bücher.example",
        ] {
            assert!(is_mailable(good), "{good}");
        }
        let long = format!("{}@example.com", "x".repeat(250));
        for bad in [
            "",
            "ada",
            "ada@",
            "@example.com",
            "a@b@c",
            "\"a b\"@example.com",
            "\"a\\\"b\"@example.com",
            "\"a@b.c\"@example.com",
            "=?utf-8?q?a=40b.c=3e?=@example.com",
            "a@b.c, d@e.f",
            "Ada <a@b.c>",
            "<a@b.c>",
            "a@b.c\r\nBcc: d@e.f",
            "a\0@b.c",
            "a\u{a0}b@b.c",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            &long,
        ] {
            assert!(!is_mailable(bad), "{bad:?}");
        }
    }
}
