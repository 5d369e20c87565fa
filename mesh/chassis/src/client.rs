//! Who a client is to a limit.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The prefix under which IPv4 clients are known to a server that has IPv6 alone (RFC 6052).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// What a limit counts in place of an address: IPv4 as it is, and the first 64 bits of IPv6.
///
/// Whoever has one IPv6 address has 2^64 of them: a limit for each would be none.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [network @ .., _, _, _, _] = address.segments();
            if address.segments().starts_with(&TRANSLATED) {
                let [.., first, second, third, fourth] = address.octets();
                return Ipv4Addr::new(first, second, third, fourth).into();
            }
            let [first, second, third, fourth] = network;
            Ipv6Addr::new(first, second, third, fourth, 0, 0, 0, 0).into()
        }
        canonical @ IpAddr::V4(_) => canonical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(address: &str) -> String {
        network(address.parse().unwrap()).to_string()
    }

    #[test]
    fn all_addresses_of_one_64_count_as_one() {
        assert_eq!(
            of("2001:db8:1:2::1"),
            of("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    }

    #[test]
    fn ipv4_counts_by_address_however_it_is_written() {
        assert_eq!(of("203.0.113.7"), "203.0.113.7");
        assert_eq!(of("::ffff:203.0.113.7"), "203.0.113.7");
        assert_eq!(of("64:ff9b::203.0.113.7"), "203.0.113.7");
        assert_ne!(of("64:ff9b::203.0.113.7"), of("64:ff9b::203.0.113.8"));
    }
}
