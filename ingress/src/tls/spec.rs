//! Certificates and keys of tickets, as a table has them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet_proto::internal as wire;
use fleet_trust::{Identity, TicketKeys};

use super::answers::Answers;
use super::own::OwnHosts;

/// What is shown, by the name that environments know it by. What did not change is shared with the
/// table before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsSpec {
    pub(super) certificates: BTreeMap<String, Arc<Served>>,
    pub(super) tickets: Arc<Tickets>,
    pub(super) answers: Arc<Answers>,
}

/// A change of it. Absent from a delta that changes nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsDelta {
    upsert: BTreeMap<String, Arc<Served>>,
    /// All there are afterwards.
    names: BTreeSet<String>,
    tickets: Arc<Tickets>,
    answers: Arc<Answers>,
}

/// A certificate as it came, and what it is good for. Equal when it came equal.
#[derive(Debug)]
pub(super) struct Served {
    wire: wire::ServedCertificate,
    pub(super) shown: Shown,
}

#[derive(Debug)]
pub(super) enum Shown {
    /// As an operator brought it.
    Given(Identity),
    /// The cluster's own: one for each host. Boxed, for it is much larger than the others.
    Own(Box<OwnHosts>),
    /// It cannot be used; what control checked before it took it should never come to this.
    Unusable,
}

/// Keys of tickets as they came.
#[derive(Debug)]
pub(super) struct Tickets {
    wire: wire::TicketKeys,
    pub(super) keys: Arc<TicketKeys>,
}

impl TlsSpec {
    pub(crate) fn from_wire(wire: Option<wire::ServedTls>) -> Self {
        let wire = wire.unwrap_or_default();
        Self {
            certificates: served(wire.certificates),
            tickets: Arc::new(Tickets::new(wire.tickets.unwrap_or_default())),
            answers: Arc::new(Answers::new(wire.answers)),
        }
    }

    pub(crate) fn to_wire(&self) -> wire::ServedTls {
        let certificates = self.certificates.values();
        wire::ServedTls {
            certificates: certificates.map(|served| served.wire.clone()).collect(),
            tickets: Some(self.tickets.wire.clone()),
            answers: self.answers.wire().to_vec(),
        }
    }

    pub(crate) fn changed(&self, delta: Option<TlsDelta>) -> Self {
        let Some(delta) = delta else {
            return self.clone();
        };
        let mut certificates = self.certificates.clone();
        certificates.extend(delta.upsert);
        certificates.retain(|name, _| delta.names.contains(name));
        Self {
            certificates,
            tickets: delta.tickets,
            answers: delta.answers,
        }
    }
}

impl TlsDelta {
    pub(crate) fn from_wire(wire: wire::TlsChange) -> Self {
        Self {
            upsert: served(wire.upsert),
            names: wire.names.into_iter().collect(),
            tickets: Arc::new(Tickets::new(wire.tickets.unwrap_or_default())),
            answers: Arc::new(Answers::new(wire.answers)),
        }
    }
}

fn served(wire: Vec<wire::ServedCertificate>) -> BTreeMap<String, Arc<Served>> {
    let one = |wire: wire::ServedCertificate| (wire.name.clone(), Arc::new(Served::new(wire)));
    wire.into_iter().map(one).collect()
}

impl Served {
    /// One that cannot be used makes no table nonsense: its environments show the cluster's own, and
    /// all others are served as before.
    fn new(wire: wire::ServedCertificate) -> Self {
        let shown = match wire.own_domain.as_str() {
            "" => Identity::new(&wire.chain, &wire.key)
                .map(Shown::Given)
                .map_err(|e| e.to_string()),
            domain => OwnHosts::new(domain, &wire)
                .map(|own| Shown::Own(Box::new(own)))
                .map_err(|e| e.to_string()),
        };
        let shown = shown.unwrap_or_else(|error| {
            tracing::error!(
                certificate = wire.name,
                error,
                "a certificate cannot be shown"
            );
            Shown::Unusable
        });
        Self { wire, shown }
    }

    pub(super) fn is_own(&self) -> bool {
        !self.wire.own_domain.is_empty()
    }
}

impl PartialEq for Served {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for Served {}

impl Tickets {
    fn new(wire: wire::TicketKeys) -> Self {
        let key = |key: &wire::TicketKey| {
            let secret = <[u8; 32]>::try_from(&*key.secret).ok()?;
            Some((key.id, secret))
        };
        let keys = wire.keys.iter().filter_map(key);
        let keys = TicketKeys::new(keys, wire.present, wire.lifetime_seconds);
        Self {
            keys: Arc::new(keys),
            wire,
        }
    }
}

impl Default for Tickets {
    fn default() -> Self {
        Self::new(wire::TicketKeys::default())
    }
}

impl PartialEq for Tickets {
    fn eq(&self, other: &Self) -> bool {
        self.wire == other.wire
    }
}

impl Eq for Tickets {}
