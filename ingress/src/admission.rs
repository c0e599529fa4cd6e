//! Whose clients are let in: networks as sets of addresses that are fast to ask.
//!
//! Networks become ranges, those that touch or overlap one; the ranges are disjoint and ascending, so a
//! binary search finds the only one that an address may lie in: six comparisons for fifty rules.

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::Network;

/// A set of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Networks {
    v4: Arc<[(u32, u32)]>,
    v6: Arc<[(u128, u128)]>,
}

/// Everything that must let a client in; nothing at all lets everybody in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Admission(Vec<Networks>);

impl Networks {
    pub(super) fn of(networks: &[Network]) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match (network.first(), network.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => v4.push((first.to_bits(), last.to_bits())),
                (IpAddr::V6(first), IpAddr::V6(last)) => v6.push((first.to_bits(), last.to_bits())),
                _ => {}
            }
        }
        Self {
            v4: joined(v4, |last| last.checked_add(1)).into(),
            v6: joined(v6, |last| last.checked_add(1)).into(),
        }
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => within(&self.v4, address.to_bits()),
            IpAddr::V6(address) => within(&self.v6, address.to_bits()),
        }
    }
}

impl Admission {
    pub(super) fn of<'a>(all: impl IntoIterator<Item = &'a Vec<Network>>) -> Self {
        let all = all.into_iter().map(|networks| Networks::of(networks));
        Self(all.collect())
    }

    pub(super) fn admits(&self, address: IpAddr) -> bool {
        self.0.iter().all(|addresses| addresses.contain(address))
    }
}

/// Ranges in order, with those that touch or overlap made one. `next` is what follows a number.
fn joined<N: Copy + Ord>(mut ranges: Vec<(N, N)>, next: impl Fn(N) -> Option<N>) -> Vec<(N, N)> {
    ranges.sort_unstable();
    let mut joined: Vec<(N, N)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some((_, end)) if next(*end).is_none_or(|next| first <= next) => *end = last.max(*end),
            _ => joined.push((first, last)),
        }
    }
    joined
}

fn within<N: Copy + Ord>(ranges: &[(N, N)], number: N) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= number);
    after
        .checked_sub(1)
        .is_some_and(|last| number <= ranges[last].1)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    fn networks(texts: &[&str]) -> Vec<Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn everything_that_is_said_must_let_a_client_in() {
        let office = networks(&["10.0.0.0/8", "2001:db8::/32"]);
        let guests = networks(&["10.1.0.0/16"]);
        let table: [(&[&Vec<Network>], &str, bool); 9] = [
            (&[], "192.0.2.7", true),
            (&[&office], "10.1.2.3", true),
            (&[&office], "::ffff:10.1.2.3", true),
            (&[&office], "2001:db8::7", true),
            (&[&office], "192.0.2.7", false),
            (&[&office, &guests], "10.1.2.3", true),
            (&[&office, &guests], "10.2.2.3", false),
            (&[&office, &guests], "2001:db8::7", false),
            (&[&Vec::new()], "10.1.2.3", false),
        ];
        for (said, address, admitted) in table {
            let admission = Admission::of(said.iter().copied());
            let admits = admission.admits(address.parse().unwrap());
            assert_eq!(admits, admitted, "{address} by {said:?}");
        }
    }

    #[test]
    fn all_there_is_is_one_range_of_each_family() {
        let halves = ["0.0.0.0/1", "128.0.0.0/1", "10.0.0.0/8", "::/1", "8000::/1"];
        let all = Networks::of(&networks(&halves));
        assert_eq!(
            (&*all.v4, &*all.v6),
            (&[(0, u32::MAX)][..], &[(0, u128::MAX)][..])
        );
    }

    proptest! {
        /// Networks of few bits within few addresses, so that they nest, touch and repeat.
        #[test]
        fn it_is_the_same_as_asking_every_network(
            picked in proptest::collection::vec((any::<bool>(), 0..64_u32, 0..7_u8), 0..50),
            asked in 0..80_u32,
        ) {
            let network = |(v4, number, bits): &(bool, u32, u8)| {
                let number = number >> bits << bits;
                let text = match v4 {
                    true => format!("{}/{}", Ipv4Addr::from_bits(number), 32 - bits),
                    false => format!("{}/{}", Ipv6Addr::from_bits((1 << 100) + u128::from(number)), 128 - bits),
                };
                text.parse::<Network>().unwrap()
            };
            let networks: Vec<Network> = picked.iter().map(network).collect();
            let addresses = Networks::of(&networks);
            let v6 = Ipv6Addr::from_bits((1 << 100) + u128::from(asked));
            for address in [IpAddr::V4(Ipv4Addr::from_bits(asked)), IpAddr::V6(v6)] {
                let expected = networks.iter().any(|network| network.contains(address));
                prop_assert_eq!(addresses.contain(address), expected, "{} in {:?}", address, networks);
            }
        }
    }
}
