use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// An address of a machine, or all addresses that begin alike: `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

/// An address as a number of 128 bits and how many it has; one of IPv4 that stands in one of IPv6 is
/// the one of IPv4.
fn number(address: IpAddr) -> (u128, u8) {
    match address.to_canonical() {
        IpAddr::V4(address) => (u128::from(u32::from(address)) << 96, 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

fn mask(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl Network {
    /// An address, or the beginning of addresses with its length in bits. Bits beyond it are an error:
    /// somebody meant something else.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().ok()?;
        let (value, most) = number(base);
        let bits: u8 = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most && value & !mask(bits) == 0).then_some(Self { base: base.to_canonical(), bits })
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let ((base, kind), (value, other)) = (number(self.base), number(address));
        kind == other && (base ^ value) & mask(self.bits) == 0
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bits == number(self.base).1 {
            return write!(f, "{}", self.base);
        }
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.to_string()
    }
}

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no network such as 192.0.2.7 or 10.0.0.0/8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lie_in_the_networks_that_they_begin_with() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", &["10.0.0.0", "10.255.1.2", "::ffff:10.1.1.1"][..], &["11.0.0.0", "::a00:0", "a00::"][..]),
            ("192.0.2.7", &["192.0.2.7"], &["192.0.2.6", "192.0.2.8"]),
            ("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127"]),
            ("0.0.0.0/0", &["1.2.3.4"], &["::1"]),
            ("::1", &["::1"], &["::2", "127.0.0.1"]),
            ("fd00::/8", &["fd12:3456::1"], &["fe80::1", "253.0.0.1"]),
            ("::/0", &["::1", "2001:db8::1"], &["1.2.3.4"]),
        ] {
            let parsed = Network::parse(network).unwrap_or_else(|| panic!("{network}"));
            assert_eq!(parsed.to_string(), network);
            for address in inside {
                assert!(parsed.contains(address.parse().unwrap()), "{address} in {network}");
            }
            for address in outside {
                assert!(!parsed.contains(address.parse().unwrap()), "{address} in {network}");
            }
        }
        for bad in ["", "10.0.0.0/33", "10.0.0.1/8", "::1/129", "localhost", "10.0.0.0/", "10.0.0.0/-1", "::1/64"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }
}
