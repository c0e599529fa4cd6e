//! Which certificate a client is shown.

use std::sync::Arc;

use fleet_trust::{Identity, Shows, TicketKeys};

use super::spec::{Shown, TlsSpec};
use crate::host;
use crate::routes::Routes;
use crate::slot::Connections;
use crate::table::Table;

/// Shows what the table in use says.
pub(crate) struct Showing<C>(pub(crate) Arc<Routes<C>>);

impl<C: Connections> Shows for Showing<C> {
    fn identity(&self, host: Option<&str>) -> Option<Identity> {
        identity(&self.0.current.load(), host)
    }

    fn answer(&self, host: &str) -> Option<Identity> {
        let host = host::normalise(host).ok()?;
        self.0.current.load().tls.answers.identity(&host)
    }

    fn tickets(&self) -> Arc<TicketKeys> {
        Arc::clone(&self.0.current.load().tls.tickets.keys)
    }
}

/// The certificate of the environment that has the host. Without a host, or for one that nobody has,
/// the cluster's own: the request that follows gets a page that says so, where an alert would say
/// nothing.
fn identity<C>(table: &Table<C>, asked: Option<&str>) -> Option<Identity> {
    let tls = &table.tls;
    let host = asked.and_then(|asked| host::normalise(asked).ok());
    let known = host.as_deref().filter(|host| table.lookup(host).is_some());
    let named = known.and_then(|host| {
        let target = table.lookup(host)?;
        tls.certificates.get(&target.environment.spec.certificate)
    });
    match named.map(|served| &served.shown) {
        Some(Shown::Given(identity)) => Some(identity.clone()),
        Some(Shown::Own(own)) => own.identity(known),
        Some(Shown::Unusable) | None => tls.own()?.identity(known),
    }
}

impl TlsSpec {
    fn own(&self) -> Option<&super::own::OwnHosts> {
        let own = self.certificates.values().find(|served| served.is_own())?;
        match &own.shown {
            Shown::Own(own) => Some(own.as_ref()),
            Shown::Given(_) | Shown::Unusable => None,
        }
    }

    /// Whether environments with this certificate are shown the cluster's own.
    pub(crate) fn is_own(&self, certificate: &str) -> bool {
        let served = self.certificates.get(certificate);
        served.is_none_or(|served| !matches!(served.shown, Shown::Given(_)))
    }
}
