//! What each client address has in flight and when its next request is due, in memory of one size.
//!
//! A table of a fixed number of places, in buckets of eight: an address has its bucket by a keyed hash, so
//! that nobody can choose addresses that meet in one. Who has nothing in flight and is not early has
//! nothing to be remembered, so his place is anybody's. When all places of a bucket are taken, the one
//! without anything in flight that would be forgotten first is given away; when all have something in
//! flight, whoever comes is let in uncounted. So a flood of addresses can make the table forget, never
//! grow, and refuses nobody who has done nothing; against floods there are the limits of all together.
//!
//! Of IPv6 a /64 counts as one address: it is the least that a subscriber is given (RFC 6177), and all of
//! it is his to come from.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use super::pace::{Early, Pace};

/// Places of a bucket.
const PLACES: usize = 8;
/// With [`PLACES`] and 24 bytes for each, 1.6 MiB; taken when the first address is counted.
const BUCKETS: usize = 8_192;

/// The addresses of an ingress.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    hasher: RandomState,
    buckets: OnceLock<Box<[Mutex<Bucket>]>>,
}

type Bucket = [Place; PLACES];

#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Hash of whose it is; 0: nobody's.
    tag: u64,
    /// Nanoseconds by the clock of the ingress at which the next one is due.
    due: u64,
    in_flight: u32,
}

/// Counts one in flight until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    addresses: Arc<Addresses>,
    /// 0: not counted.
    tag: u64,
}

impl Addresses {
    /// Counts one of an address in, within a purpose that keeps its counts apart.
    ///
    /// # Errors
    /// When there are too many, or it is too early; then nothing is counted.
    pub(super) fn enter(
        self: &Arc<Self>,
        purpose: u64,
        address: IpAddr,
        most: Option<u32>,
        pace: Option<Pace>,
        now: u64,
    ) -> Result<Seat, Early> {
        let tag = self.tag(purpose, address);
        let mut bucket = self.bucket(tag);
        let seat = |tag| Seat {
            addresses: Arc::clone(self),
            tag,
        };
        let Some(place) = place_of(&mut bucket, tag) else {
            return Ok(seat(0));
        };
        if most.is_some_and(|most| place.in_flight >= most) {
            return Err(Early(0));
        }
        if let Some(pace) = pace {
            place.due = pace.arrives(place.due, now)?;
        }
        if most.is_none() {
            return Ok(seat(0));
        }
        place.in_flight += 1;
        Ok(seat(tag))
    }

    fn tag(&self, purpose: u64, address: IpAddr) -> u64 {
        let whose = match address.to_canonical() {
            IpAddr::V4(address) => u64::from(address.to_bits()),
            IpAddr::V6(address) => (address.to_bits() >> 64) as u64,
        };
        let family = address.to_canonical().is_ipv4();
        self.hasher.hash_one((purpose, family, whose)).max(1)
    }

    fn bucket(&self, tag: u64) -> MutexGuard<'_, Bucket> {
        let empty = || {
            (0..BUCKETS)
                .map(|_| Mutex::new(Bucket::default()))
                .collect()
        };
        let buckets = self.buckets.get_or_init(empty);
        let index = tag as usize % BUCKETS;
        buckets[index]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of a tag, which is its own from now on; `None` when all are held by others.
fn place_of(bucket: &mut Bucket, tag: u64) -> Option<&mut Place> {
    let own = bucket.iter().position(|place| place.tag == tag);
    let given_away = || {
        let places = bucket.iter().enumerate();
        let free = places.filter(|(_, place)| place.in_flight == 0);
        free.min_by_key(|(_, place)| place.due)
            .map(|(index, _)| index)
    };
    let place = &mut bucket[own.or_else(given_away)?];
    if place.tag != tag {
        *place = Place {
            tag,
            ..Place::default()
        };
    }
    Some(place)
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.tag == 0 {
            return;
        }
        let mut bucket = self.addresses.bucket(self.tag);
        // Who has something in flight keeps its place.
        if let Some(place) = bucket.iter_mut().find(|place| place.tag == self.tag) {
            place.in_flight -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::num::NonZeroU32;

    use super::*;
    use crate::pace::Rate;

    fn slow() -> Option<Pace> {
        Some(Pace::of(Rate {
            per_second: NonZeroU32::MIN,
            burst: 2,
        }))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_address_has_its_own_count_and_of_ipv6_each_64() {
        let addresses = Arc::new(Addresses::default());
        let enter = |who: &str| addresses.enter(1, address(who), Some(2), None, 0);
        let held = [enter("192.0.2.1").unwrap(), enter("192.0.2.1").unwrap()];
        assert_eq!(enter("192.0.2.1").unwrap_err(), Early(0));
        assert_eq!(enter("::ffff:192.0.2.1").unwrap_err(), Early(0));
        drop(enter("192.0.2.2").unwrap());
        let other = addresses.enter(2, address("192.0.2.1"), Some(2), None, 0);
        drop(other.expect("another purpose"));
        drop(held);
        drop(enter("192.0.2.1").unwrap());

        let _held = [
            enter("2001:db8::1").unwrap(),
            enter("2001:db8::ffff:2").unwrap(),
        ];
        assert!(enter("2001:db8:0:0:1::").is_err());
        drop(enter("2001:db8:0:1::1").unwrap());
    }

    #[test]
    fn who_is_too_early_is_told_for_how_long_and_nothing_is_counted() {
        let addresses = Arc::new(Addresses::default());
        let who = address("192.0.2.1");
        let enter = |now| addresses.enter(1, who, Some(9), slow(), now);
        let _held = [enter(5).unwrap(), enter(5).unwrap()];
        assert_eq!(enter(5).unwrap_err(), Early(1_000_000_000));
        let tag = addresses.tag(1, who);
        let in_flight = addresses
            .bucket(tag)
            .iter()
            .map(|place| place.in_flight)
            .sum::<u32>();
        assert_eq!(in_flight, 2);
        enter(1_000_000_005).unwrap();
    }

    #[test]
    fn a_flood_of_addresses_makes_it_forget_and_never_grow() {
        let addresses = Arc::new(Addresses::default());
        let steady = address("192.0.2.1");
        let mut held: Vec<Seat> = (0..3)
            .map(|_| addresses.enter(1, steady, Some(3), None, 0).unwrap())
            .collect();
        let flood = 3 * (BUCKETS * PLACES) as u128;
        for number in 0..flood {
            let v6 = IpAddr::V6(Ipv6Addr::from_bits(number << 64));
            let seat = addresses.enter(1, v6, None, slow(), 7);
            assert!(seat.is_ok(), "{number} has done nothing yet");
        }
        // Who has something in flight is never forgotten.
        assert!(addresses.enter(1, steady, Some(3), None, 0).is_err());
        held.pop();
        held.push(addresses.enter(1, steady, Some(3), None, 0).unwrap());
        assert!(addresses.enter(1, steady, Some(3), None, 0).is_err());

        // Everybody holds something, and there is no place left: let in, uncounted, and nothing breaks.
        let seats: Vec<Seat> = (0..flood)
            .map(|number| {
                let v4 = IpAddr::V4(Ipv4Addr::from_bits(number as u32));
                addresses.enter(1, v4, Some(1), None, 0).unwrap()
            })
            .collect();
        assert!(seats.iter().any(|seat| seat.tag == 0));
        drop((seats, held));
        let buckets = addresses.buckets.get().unwrap().iter();
        let all = buckets.flat_map(|bucket| *bucket.lock().unwrap());
        assert_eq!(all.map(|place| place.in_flight).sum::<u32>(), 0);
    }
}
