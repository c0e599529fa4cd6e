//! A network as `10.0.0.0/8`, or one address.
//!
//! There is one way to write each: an address stands with its whole length (`192.0.2.7/32`), bits beyond
//! the prefix are refused, and an IPv4 address in the clothes of IPv6 (RFC 4291, 2.5.5.2) is the IPv4 one.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::command::{Code, Rejection};

/// Addresses that begin alike. Ordered by family, then as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("{0:?} is not an address or a network, as 192.0.2.7 or 10.0.0.0/8")]
    Form(String),
    #[error("{text:?} has bits beyond its prefix; that network is {network}")]
    HostBits { text: String, network: Network },
}

impl Network {
    /// As it is typed in a command.
    ///
    /// # Errors
    /// With the network that was probably meant, where that can be told.
    pub fn typed(text: &str) -> Result<Self, Rejection> {
        text.parse().map_err(|error| {
            let code = Code::InvalidValue;
            match error {
                NetworkError::Form(_) => Rejection::new(code, error.to_string()),
                NetworkError::HostBits { text, network } => {
                    Rejection::new(code, format!("{text:?} has bits beyond its prefix"))
                        .hint(format!("that network is {network}"))
                }
            }
        })
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.address.is_ipv4() && masked(address, self.bits) == self.address
    }

    /// Its first address.
    #[must_use]
    pub fn first(&self) -> IpAddr {
        self.address
    }

    /// Its last address.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => {
                let rest = u32::MAX.checked_shr(self.bits.into()).unwrap_or(0);
                IpAddr::V4((address.to_bits() | rest).into())
            }
            IpAddr::V6(address) => {
                let rest = u128::MAX.checked_shr(self.bits.into()).unwrap_or(0);
                IpAddr::V6((address.to_bits() | rest).into())
            }
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || NetworkError::Form(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            None => (text, None),
            Some((address, bits)) => (address, Some(bits)),
        };
        let address: IpAddr = address.parse().map_err(|_| form())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = |bits: &&str| !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        let bits = match bits {
            None => most,
            Some(bits) => Some(bits)
                .filter(digits)
                .and_then(|bits| bits.parse().ok())
                .filter(|bits| *bits <= most)
                .ok_or_else(form)?,
        };
        let (address, bits) = undressed(address, bits);
        let network = Self {
            address: masked(address, bits),
            bits,
        };
        if network.address != address {
            let text = text.to_owned();
            return Err(NetworkError::HostBits { text, network });
        }
        Ok(network)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// What begins with `::ffff:0:0/96`, all of it, is of IPv4.
fn undressed(address: IpAddr, bits: u8) -> (IpAddr, u8) {
    let mapped = match address {
        IpAddr::V6(address) => address.to_ipv4_mapped(),
        IpAddr::V4(_) => None,
    };
    match (mapped, bits.checked_sub(96)) {
        (Some(address), Some(bits)) => (IpAddr::V4(address), bits),
        _ => (address, bits),
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_within() {
        let table = [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.2.3", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("0.0.0.0/0", "192.0.2.7", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.7", "192.0.2.7", true),
            ("192.0.2.7", "192.0.2.8", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("::/0", "::1", true),
            ("::/0", "::ffff:10.1.2.3", false),
        ];
        for (network, address, within) in table {
            let network: Network = network.parse().unwrap();
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(network.contains(address), within, "{address} in {network}");
            let canonical = address.to_canonical();
            let between = (network.first()..=network.last()).contains(&canonical);
            assert_eq!(between, within, "{address} between the ends of {network}");
        }
    }

    #[test]
    fn there_is_one_way_to_write_each() {
        for (typed, written) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:DB8:0:0::7", "2001:db8::7/128"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:1.2.3.0/120", "1.2.3.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            let network: Network = typed.parse().unwrap();
            assert_eq!(network.to_string(), written);
            assert_eq!(written.parse(), Ok(network));
        }
    }

    #[test]
    fn what_is_no_network() {
        for bad in [
            "",
            "10.0.0.0/33",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0",
            "::/129",
            "a/8",
            "010.0.0.1",
            "1.2.3/24",
            "fe80::1%eth0",
            " 10.0.0.1",
        ] {
            assert_eq!(
                bad.parse::<Network>(),
                Err(NetworkError::Form(bad.to_owned()))
            );
            assert_eq!(Network::typed(bad).unwrap_err().code, Code::InvalidValue);
        }
        for (bad, meant) in [
            ("10.0.0.1/8", "10.0.0.0/8"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:1.2.3.4/120", "1.2.3.0/24"),
        ] {
            let refused = bad.parse::<Network>().unwrap_err().to_string();
            assert!(refused.ends_with(&format!("is {meant}")), "{refused}");
            let hint = Network::typed(bad).unwrap_err().hint;
            assert_eq!(hint, Some(format!("that network is {meant}")));
        }
    }
}
