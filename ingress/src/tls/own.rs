//! Certificates for single hosts, signed with the cluster's own when a host is first asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fleet_proto::internal as wire;
use fleet_trust::{AuthorityError, Identity, OwnIssuer};

/// Hosts that are remembered. A wildcard has any number, so that this must have an end; signing anew
/// costs what a handshake costs anyway.
const MOST_HOSTS: usize = 4_096;

/// Signed anew after a third of the life that [`OwnIssuer`] gives.
const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// The cluster's own certificate, and those made of it so far.
pub(super) struct OwnHosts {
    issuer: OwnIssuer,
    /// `None`: for clients that ask for no host, or for one that no environment has.
    made: Mutex<HashMap<Option<String>, (Instant, Identity)>>,
}

impl OwnHosts {
    pub(super) fn new(
        domain: &str,
        wire: &wire::ServedCertificate,
    ) -> Result<Self, AuthorityError> {
        let certificate = wire.chain.first().map_or(&[][..], |der| der.as_ref());
        Ok(Self {
            issuer: OwnIssuer::restore(domain, certificate, &wire.key)?,
            made: Mutex::default(),
        })
    }

    /// `None` when none can be made, which is said once for each attempt.
    pub(super) fn identity(&self, host: Option<&str>) -> Option<Identity> {
        let host = host.map(str::to_owned);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, identity)) = made.get(&host)
            && at.elapsed() < KEPT
        {
            return Some(identity.clone());
        }
        // Under the lock: a second handshake for the host waits less than it would sign.
        match self.issuer.identity(host.as_deref(), SystemTime::now()) {
            Ok(identity) => {
                if made.len() >= MOST_HOSTS {
                    made.clear();
                }
                made.insert(host, (Instant::now(), identity.clone()));
                Some(identity)
            }
            Err(error) => {
                tracing::warn!(%error, "no certificate could be made for a host");
                None
            }
        }
    }
}

impl std::fmt::Debug for OwnHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnHosts")
    }
}
