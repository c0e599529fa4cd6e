//! Certificates that an authority gives to whoever answers for the hosts (ACME, RFC 8555): which
//! are ordered, how far an order is, when the next one is due.
//!
//! An order is placed and watched by the leader, and each step of it is committed before the next
//! is taken, so that whoever leads next goes on where the last one stood. What the authority asks the
//! hosts for is part of the route table: any ingress answers.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    State, Time,
    certificate::{Certificate, Issued},
    environment::Environment,
    time::Millis,
};

/// Where certificates come from unless somebody says otherwise: Let's Encrypt.
pub const PUBLIC_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Authorities a cluster has accounts with.
pub const MOST_ACCOUNTS: usize = 20;

/// Hosts of one certificate: what Let's Encrypt takes.
pub const MOST_NAMES: usize = 100;

/// Bytes of the certificates that an authority's own server is believed by.
pub const LARGEST_ROOTS: usize = 32 << 10;

/// Orders under way at once. Hundreds of certificates that fall due together come one after the
/// other, and no authority sees more of us than it would of a person in a hurry.
pub const ORDERS_AT_ONCE: usize = 4;

/// Orders an account begins in a window of three hours. Let's Encrypt allows 300 in any three hours;
/// two windows that touch have 280 together.
pub const ORDERS_PER_WINDOW: u32 = 140;
pub const WINDOW: Millis = Millis::seconds(3 * 3_600);

/// An order that has not ended by then is given up: authorities forget theirs after hours or days,
/// and nobody should wait for one to see that something is wrong.
pub const PATIENCE: Millis = Millis::seconds(3_600);

/// Rests after failures, the last one for all that follow. Let's Encrypt allows five failed
/// validations of a host an hour: three of ours, and then ever fewer.
pub const RESTS: [Millis; 6] = [
    Millis::seconds(5 * 60),
    Millis::seconds(15 * 60),
    Millis::seconds(45 * 60),
    Millis::seconds(2 * 3_600),
    Millis::seconds(6 * 3_600),
    Millis::seconds(12 * 3_600),
];

/// An authority may ask for more than that, but not to be forgotten.
pub const LONGEST_REST: Millis = Millis::seconds(7 * 86_400);

/// An account with an authority, by the address of its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    pub directory: Arc<str>,
    /// Whom the authority may write to; empty for nobody.
    pub email: String,
    /// DER of what the authority's server is believed by; none: what the system believes.
    pub roots: Vec<Arc<[u8]>>,
    /// Its address and key, sealed by the cluster's key; `None` until it is made.
    pub sealed: Option<Arc<[u8]>>,
    /// Log index at which it was last said how it shall be.
    pub revision: u64,
    /// When the present window began.
    pub window: Time,
    /// Orders begun in it.
    pub begun: u32,
}

/// What a certificate has beside its content when an authority gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// That of the account.
    pub directory: Arc<str>,
    /// Hosts it shall be for; none: the domains of the environments that have it.
    pub domains: BTreeSet<String>,
    pub method: Method,
    /// Orders that failed since the last one that did not.
    pub failures: u32,
    /// What went wrong last; empty after a success.
    pub problem: String,
    /// No order begins before.
    pub not_before: Time,
    pub order: Option<Order>,
}

/// How it is shown that a host is ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// A page on port 80 (RFC 8555, 8.3).
    #[default]
    Http,
    /// A certificate on port 443 (RFC 8737).
    TlsAlpn,
}

/// An order under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The log index it began with.
    pub id: u64,
    pub began: Time,
    pub names: BTreeSet<String>,
    /// `None`: the leader has yet to place it.
    pub placed: Option<Placed>,
}

/// An order that the authority knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// What the authority calls it.
    pub url: String,
    /// Of the certificate to be; sealed by the cluster's key.
    pub sealed_key: Arc<[u8]>,
    /// What ingresses answer. None where the authority still believes us.
    pub answers: Vec<Answer>,
    /// The generation of the route table that brought the answers.
    pub generation: u64,
    /// Every live ingress has the answers: the authority may look.
    pub open: bool,
}

/// What the authority is answered at a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub host: String,
    pub token: String,
    /// The token and a digest of the account's key. No secret: it is answered to whoever asks.
    pub proof: String,
}

/// How far it is with a certificate that an authority gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No environment has it, or none that has it has a domain of its own.
    Unasked,
    /// The next order begins then, or as soon as there is room for it.
    Due(Time),
    /// The leader places it with the authority.
    Placing,
    /// Ingresses learn the answers.
    Telling,
    /// The authority looks.
    Looked,
}

impl Method {
    /// The word of RFC 8555 and 8737.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::TlsAlpn => "tls-alpn-01",
        }
    }
}

impl Managed {
    /// When the next order may begin after one that failed `at`, with `failures` in a row.
    #[must_use]
    pub fn rest(name: &str, failures: u32, at: Time) -> Time {
        let last = RESTS.len() - 1;
        let step = usize::try_from(failures.saturating_sub(1)).map_or(last, |n| n.min(last));
        let rest = RESTS[step];
        at.plus(rest).plus(spread(name, at, Millis(rest.0 / 4)))
    }
}

/// When a certificate shall be replaced: when two thirds of its life are over, and up to a 24th of it
/// later, so that what was issued together is not renewed together. One that had lived for long when
/// it came is kept for half of what was left of it, or it would be ordered again at once.
#[must_use]
pub fn renewal(name: &str, issued: &Issued, came: Time) -> Time {
    let ends = issued.ends();
    let life = ends.since(issued.begins);
    let two_thirds = Millis(life.0 / 3 * 2);
    let jitter = spread(name, issued.begins, Millis(life.0 / 24));
    let regular = issued.begins.plus(two_thirds).plus(jitter);
    regular.max(came.plus(Millis(ends.since(came).0 / 2)))
}

/// A part of `width`, the same for the same name and time wherever it is asked: FNV-1a, 64 bits.
fn spread(name: &str, time: Time, width: Millis) -> Millis {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = name.bytes().chain(time.0.to_le_bytes());
    let hash = bytes.fold(BASIS, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(PRIME)
    });
    // The low bits of FNV are its weak ones.
    Millis((hash >> 16) % width.0.max(1))
}

impl Account {
    /// When it may begin another order.
    #[must_use]
    pub fn room(&self) -> Time {
        match self.begun < ORDERS_PER_WINDOW {
            true => Time::default(),
            false => self.window.plus(WINDOW),
        }
    }
}

impl State {
    /// Certificates that an authority gives, with what is known of that.
    pub fn managed(&self) -> impl Iterator<Item = (&Certificate, &Managed)> {
        let all = self.certificates.values();
        all.filter_map(|one| one.managed.as_deref().map(|managed| (one, managed)))
    }

    /// Orders under way.
    pub fn orders(&self) -> impl Iterator<Item = (&Certificate, &Managed, &Order)> {
        self.managed()
            .filter_map(|(one, managed)| managed.order.as_ref().map(|order| (one, managed, order)))
    }

    /// What ingresses answer to authorities.
    pub fn answers(&self) -> impl Iterator<Item = (Method, &Answer)> {
        self.orders().flat_map(|(_, managed, order)| {
            let answers = order.placed.iter().flat_map(|placed| &placed.answers);
            answers.map(|answer| (managed.method, answer))
        })
    }

    /// The hosts that a certificate shall be for: those that were named, else the domains at which
    /// active releases of its environments answer. Wildcards are none of them: an authority asks
    /// the name service for those. The first [`MOST_NAMES`].
    #[must_use]
    pub fn wanted_names<'a>(
        &'a self,
        managed: &Managed,
        served: impl Iterator<Item = &'a Environment>,
    ) -> BTreeSet<String> {
        if !managed.domains.is_empty() {
            return managed.domains.clone();
        }
        let active = served.flat_map(|environment| {
            let of_active = |release| environment.active.as_ref() == Some(release);
            self.loaded_in(&environment.key)
                .filter(move |(key, _)| of_active(&key.release))
        });
        let services = active.flat_map(|(_, loaded)| loaded.manifest.services.values());
        let domains = services
            .filter(|service| service.public())
            .flat_map(|service| &service.domains);
        let exact: BTreeSet<&String> = domains.filter(|d| !d.starts_with("*.")).collect();
        exact.into_iter().take(MOST_NAMES).cloned().collect()
    }

    /// When the next order for a certificate is due; `None` while one is under way, or there is
    /// nothing to order.
    #[must_use]
    pub fn order_due(&self, certificate: &Certificate) -> Option<Time> {
        self.order_due_for(certificate, self.served_by(&certificate.name))
    }

    /// The same for who has found out already which environments have it.
    pub(crate) fn order_due_for<'a>(
        &'a self,
        certificate: &Certificate,
        served: impl Iterator<Item = &'a Environment>,
    ) -> Option<Time> {
        let managed = certificate.managed.as_deref()?;
        if managed.order.is_some() {
            return None;
        }
        let wanted = self.wanted_names(managed, served);
        if wanted.is_empty() {
            return None;
        }
        let account = self.accounts.get(&managed.directory)?;
        let covered = |issued: &&Arc<Issued>| wanted.iter().all(|name| issued.covers(name));
        let needed = certificate
            .issued
            .as_ref()
            .filter(covered)
            .map_or(Time::default(), |issued| {
                renewal(&certificate.name, issued, certificate.uploaded)
            });
        Some(needed.max(managed.not_before).max(account.room()))
    }

    /// How far it is with a certificate; `None` for one that somebody brought.
    #[must_use]
    pub fn progress(&self, certificate: &Certificate) -> Option<Progress> {
        let managed = certificate.managed.as_deref()?;
        Some(match &managed.order {
            None => self
                .order_due(certificate)
                .map_or(Progress::Unasked, Progress::Due),
            Some(Order { placed: None, .. }) => Progress::Placing,
            Some(Order {
                placed: Some(placed),
                ..
            }) => match placed.open {
                true => Progress::Looked,
                false => Progress::Telling,
            },
        })
    }
}

#[cfg(test)]
mod tests;
