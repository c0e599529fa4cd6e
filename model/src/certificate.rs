//! Certificates that clients of the ingress see: which there are, which of them serves an
//! environment, and when they end. What is in one is read where it comes in; the domain compares
//! times and names.
//!
//! Private keys are not here: they are sealed by the cluster's key, like those of authorities
//! ([`crate::trust`]). Those of tickets, by which clients resume a session at any ingress, likewise.

use std::sync::Arc;

use crate::{State, Time, acme::Managed, environment::Environment, time::Millis};

/// The certificate every cluster makes for itself, and every environment has until it is given
/// another.
pub const SELF_SIGNED: &str = "self-signed";

/// Certificates of a cluster. Each is 2 to 6 KiB, and an ingress that begins without a table is
/// sent all of them in one order.
pub const MOST_CERTIFICATES: usize = 1_000;

/// Bytes of a chain with its sealed key: four times a long chain of large RSA certificates.
pub const LARGEST_CHAIN: usize = 32 << 10;

/// Whoever is responsible is told that many days before a certificate ends, and when it has.
pub const WARNINGS: [u32; 4] = [30, 7, 1, 0];

const DAY: Millis = Millis::seconds(86_400);

/// A certificate by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub name: Arc<str>,
    pub created: Time,
    /// When its present content came.
    pub uploaded: Time,
    /// The generation of the route table that brought its present content.
    pub generation: u64,
    /// `None`: the cluster's own until the leader has made it, and what an authority has yet to give.
    pub issued: Option<Arc<Issued>>,
    /// The last of [`WARNINGS`] that was said of its present content.
    pub warned: Option<u32>,
    /// An authority gives it.
    pub managed: Option<Arc<Managed>>,
}

/// What a certificate says, and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// DER, that of the server first, each signed by the next.
    pub chain: Vec<Arc<[u8]>>,
    /// Its key, sealed by the cluster's key.
    pub sealed_key: Arc<[u8]>,
    /// Of its subject; empty if it has none.
    pub common_name: String,
    pub organization: String,
    /// Hosts it is for, in lower case; the first label may be `*`.
    pub names: Vec<String>,
    pub begins: Time,
    pub expires: Time,
    /// When the first of those that signed it ends; `None` when none came with it.
    pub chain_expires: Option<Time>,
}

/// What ingresses need for TLS beside certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The generation of the route table in which a certificate or a key of tickets last came, went
    /// or changed.
    pub generation: u64,
    pub tickets: Tickets,
}

/// Keys by which sessions are resumed, oldest first: the previous, the present and the next one.
///
/// Tickets are sealed with the present one. The next one is known everywhere a whole period before it
/// is used, so an ingress that hears of a rotation first gives out no ticket that others cannot
/// open; the previous one opens what was given out just before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tickets {
    pub keys: Vec<TicketKey>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketKey {
    /// The log index it came with.
    pub id: u64,
    /// Sealed by the cluster's key.
    pub sealed: Arc<[u8]>,
    pub made: Time,
}

/// Of tickets: previous, present, next.
pub const TICKET_KEYS: usize = 3;

/// How long tickets are sealed with one key. A stolen key opens what was resumed by TLS 1.2 with it,
/// so it lives hours and not weeks; a client that comes back after a night begins anew, which costs one
/// signature.
pub const TICKET_PERIOD: Millis = Millis::seconds(12 * 3_600);

impl Tickets {
    /// When the next key is due. The first two are at once.
    #[must_use]
    pub fn due(&self) -> Time {
        match self.keys.as_slice() {
            [.., newest] if self.keys.len() >= 2 => newest.made.plus(TICKET_PERIOD),
            _ => Time::default(),
        }
    }

    /// The one that tickets are sealed with.
    #[must_use]
    pub fn present(&self) -> Option<&TicketKey> {
        let before_next = self.keys.len().saturating_sub(2);
        self.keys.get(before_next)
    }
}

impl Issued {
    /// When it can no longer be believed: its own end, or that of one that signed it.
    #[must_use]
    pub fn ends(&self) -> Time {
        let chain = self.chain_expires.unwrap_or(self.expires);
        self.expires.min(chain)
    }

    /// Whether clients that ask for `host` accept it: a `*` stands for one label.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        let parent = host.split_once('.').map(|(_, parent)| parent);
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(rest) => parent == Some(rest),
            None => name == host,
        })
    }

    /// Bytes that every copy of the state carries.
    #[must_use]
    pub fn size(&self) -> usize {
        let chain: usize = self.chain.iter().map(|der| der.len()).sum();
        chain + self.sealed_key.len()
    }
}

impl Certificate {
    /// The warning that is due at `now`: the smallest number of days that is reached and was not said.
    #[must_use]
    pub fn warning(&self, now: Time) -> Option<u32> {
        // What renews itself is worth no word before it fails to.
        if self
            .managed
            .as_ref()
            .is_some_and(|managed| managed.failures == 0)
        {
            return None;
        }
        let ends = self.issued.as_ref()?.ends();
        let reached = |days: &&u32| ends <= now.plus(days_long(**days));
        let due = *WARNINGS.iter().rev().find(reached)?;
        self.warned.is_none_or(|said| due < said).then_some(due)
    }

    /// When the next warning will be due, if nothing changes.
    #[must_use]
    pub fn next_warning(&self, now: Time) -> Option<Time> {
        let ends = self.issued.as_ref()?.ends();
        WARNINGS
            .iter()
            .map(|days| Time(ends.0.saturating_sub(days_long(*days).0)))
            .find(|at| *at > now)
    }
}

/// Whole days from `now` to `end`; how long ago as a negative number.
#[must_use]
pub fn days_until(end: Time, now: Time) -> i64 {
    let days = |span: Millis| i64::try_from(span.0 / DAY.0).unwrap_or(i64::MAX);
    match end >= now {
        true => days(end.since(now)),
        false => -days(now.since(end)),
    }
}

const fn days_long(days: u32) -> Millis {
    Millis(DAY.0 * days as u64)
}

impl State {
    /// Which certificate serves an environment: the one it names, or the cluster's own where that has
    /// no content yet.
    #[must_use]
    pub fn certificate_of<'a>(&self, environment: &'a Environment) -> &'a str {
        let named = environment.settings.certificate.as_str();
        match self.certificates.get(named) {
            Some(certificate) if certificate.issued.is_some() => named,
            _ => SELF_SIGNED,
        }
    }

    /// Whether plain HTTP of an environment is sent to HTTPS: wished for, and the certificate is one
    /// that clients believe.
    #[must_use]
    pub fn redirects(&self, environment: &Environment) -> bool {
        environment.settings.redirect && self.certificate_of(environment) != SELF_SIGNED
    }

    /// Whether the cluster's own certificate must be made: there is none, it is for another domain, or
    /// two thirds of its life are over.
    #[must_use]
    pub fn own_certificate_due(&self, now: Time) -> bool {
        if self.cluster.id.is_empty() {
            return false;
        }
        let own = self.certificates.get(SELF_SIGNED);
        let Some(issued) = own.and_then(|own| own.issued.as_deref()) else {
            return true;
        };
        let life = issued.expires.since(issued.begins);
        let fits = issued.names.contains(&self.cluster.domain);
        !fits || now >= issued.begins.plus(Millis(life.0 / 3 * 2))
    }

    /// Environments that a certificate serves by its name.
    pub fn served_by<'a>(&'a self, certificate: &'a str) -> impl Iterator<Item = &'a Environment> {
        self.environments
            .values()
            .filter(move |environment| environment.settings.certificate == certificate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issued(names: &[&str], expires: u64, chain_expires: Option<u64>) -> Issued {
        Issued {
            chain: vec![[1].into()],
            sealed_key: [2].into(),
            common_name: String::new(),
            organization: String::new(),
            names: names.iter().map(ToString::to_string).collect(),
            begins: Time(0),
            expires: Time(expires),
            chain_expires: chain_expires.map(Time),
        }
    }

    fn certificate(ends_on_day: u64, warned: Option<u32>) -> Certificate {
        Certificate {
            name: "shop".into(),
            created: Time(0),
            uploaded: Time(0),
            generation: 1,
            issued: Some(Arc::new(issued(&[], ends_on_day * DAY.0, None))),
            warned,
            managed: None,
        }
    }

    #[test]
    fn a_wildcard_is_one_label() {
        let issued = issued(&["shop.test", "*.shop.test"], 9, None);
        for (host, covered) in [
            ("shop.test", true),
            ("www.shop.test", true),
            ("a.www.shop.test", false),
            ("othershop.test", false),
            ("test", false),
        ] {
            assert_eq!(issued.covers(host), covered, "{host}");
        }
    }

    #[test]
    fn the_first_end_of_a_chain_is_its_end() {
        assert_eq!(issued(&[], 9, None).ends(), Time(9));
        assert_eq!(issued(&[], 9, Some(7)).ends(), Time(7));
        assert_eq!(issued(&[], 9, Some(70)).ends(), Time(9));
    }

    #[test]
    fn each_warning_comes_once_and_the_nearest_alone() {
        // It ends on day 100: the day it is, what was said, what is due, the day of the next.
        let table = [
            (69, None, None, Some(70)),
            (70, None, Some(30), Some(93)),
            (71, Some(30), None, Some(93)),
            // Uploaded late: 30 is over and not worth a word.
            (95, None, Some(7), Some(99)),
            (99, Some(7), Some(1), Some(100)),
            (100, Some(1), Some(0), None),
            (300, Some(0), None, None),
        ];
        for (day, warned, due, next) in table {
            let (certificate, now) = (certificate(100, warned), Time(day * DAY.0));
            assert_eq!(certificate.warning(now), due, "day {day}");
            let next = next.map(|day| Time(day * DAY.0));
            assert_eq!(certificate.next_warning(now), next, "day {day}");
        }
    }

    #[test]
    fn the_next_key_of_tickets_is_known_before_it_is_used() {
        let key = |id| TicketKey {
            id,
            sealed: [0].into(),
            made: Time(id * 1000),
        };
        let tickets = |ids: &[u64]| Tickets {
            keys: ids.iter().copied().map(key).collect(),
        };
        let present = |ids: &[u64]| tickets(ids).present().map(|key| key.id);
        assert_eq!((present(&[]), tickets(&[]).due()), (None, Time(0)));
        assert_eq!((present(&[1]), tickets(&[1]).due()), (Some(1), Time(0)));
        let period = |id: u64| Time(id * 1000).plus(TICKET_PERIOD);
        assert_eq!(
            (present(&[1, 2]), tickets(&[1, 2]).due()),
            (Some(1), period(2))
        );
        assert_eq!(
            (present(&[1, 2, 3]), tickets(&[1, 2, 3]).due()),
            (Some(2), period(3))
        );
    }

    #[test]
    fn days_are_whole() {
        assert_eq!(days_until(Time(DAY.0 * 3 - 1), Time(0)), 2);
        assert_eq!(days_until(Time(0), Time(DAY.0 * 3 - 1)), -2);
    }
}
