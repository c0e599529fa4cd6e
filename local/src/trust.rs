//! This node's certificate, whom it believes, and every connection that rests on them.
//!
//! The processes of a node share one certificate: the agent sees to it that it is renewed
//! ([`keep`]), all of them look at the files every few seconds and use what they find from the next
//! connection on. What connections look like is `fleet_trust`'s matter; who may do what is decided
//! in `control/guard.rs`. See docs/security.md.

mod files;
mod keeper;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use fleet_trust::{Credentials, Incoming, Whom, connector};
use tokio::net::TcpListener;
use tonic::transport::{Channel, Endpoint};

pub use files::{
    Certified, FilesError, Founding, TrustError, read_cluster_key, read_joining_key,
    read_operator_token, write_authorities, write_cluster_key, write_operator_token,
};
pub use keeper::keep;

use crate::config::Paths;

/// What the keys of authorities are sealed for.
pub const AUTHORITY_KEY: &str = "authority key";
/// What the keys of certificates that clients see are sealed for.
pub const WEB_KEY: &str = "web certificate key";
/// What accounts with authorities that give such certificates are sealed for.
pub const ACCOUNT_KEY: &str = "acme account";
/// What the keys of their tickets are sealed for.
pub const TICKET_KEY: &str = "ticket key";

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// This node towards others. Clones share what is renewed.
#[derive(Clone)]
pub struct Trust(Arc<ArcSwap<Held>>);

struct Held {
    credentials: Arc<Credentials>,
    begins: SystemTime,
    expires: SystemTime,
}

impl Trust {
    /// Reads the certificate of this node.
    ///
    /// # Errors
    /// When there is none, or it is not one of the authorities that are believed.
    pub fn load(paths: &Paths) -> Result<Self, TrustError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(Held::read(paths)?))))
    }

    /// What this node shows and believes at the moment.
    #[must_use]
    pub fn credentials(&self) -> Arc<Credentials> {
        self.0.load().credentials.clone()
    }

    /// From when until when this node's certificate is good.
    #[must_use]
    pub fn validity(&self) -> (SystemTime, SystemTime) {
        let held = self.0.load();
        (held.begins, held.expires)
    }

    /// A connection to `whom`, and to nobody else, at the address of `endpoint`.
    ///
    /// # Errors
    /// When nobody is there, or somebody else.
    pub async fn connect(
        &self,
        endpoint: &Endpoint,
        whom: Whom,
    ) -> Result<Channel, tonic::transport::Error> {
        endpoint.connect_with_connector(self.connector(whom)).await
    }

    /// The same, opened when it is first used and again whenever it was lost.
    #[must_use]
    pub fn connect_lazy(&self, endpoint: &Endpoint, whom: Whom) -> Channel {
        endpoint.connect_with_connector_lazy(self.connector(whom))
    }

    /// The callers of a listener.
    #[must_use]
    pub fn incoming(&self, listener: TcpListener) -> Incoming {
        let trust = self.clone();
        Incoming::new(listener, move || trust.credentials())
    }

    /// Uses what the files hold by now.
    ///
    /// # Errors
    /// As [`Trust::load`]; what was in use stays in use then.
    pub fn reload(&self, paths: &Paths) -> Result<(), TrustError> {
        self.0.store(Arc::new(Held::read(paths)?));
        Ok(())
    }

    /// Uses what the files hold, whenever they change, until dropped.
    pub async fn watch(self, paths: Paths) {
        let mut seen = files::stamp(&paths);
        loop {
            tokio::time::sleep(LOOK).await;
            let now = files::stamp(&paths);
            if now == seen {
                continue;
            }
            match self.reload(&paths) {
                Ok(()) => tracing::info!("a new certificate, or new authorities"),
                // Two files are written, one after the other.
                Err(error) => tracing::warn!(%error, "the certificate cannot be used yet"),
            }
            seen = now;
        }
    }

    fn connector(&self, whom: Whom) -> fleet_trust::Connector {
        let trust = self.clone();
        connector(whom, move || trust.credentials().client())
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Trust({:?})", self.credentials().name())
    }
}

impl Held {
    fn read(paths: &Paths) -> Result<Self, TrustError> {
        let certified = Certified::read(paths)?;
        let authorities = files::read_authorities(paths)?;
        let Certified {
            certificate,
            key,
            begins,
            expires,
        } = certified;
        let credentials = Credentials::new(&certificate, &key, authorities, begins)?;
        Ok(Self {
            credentials: Arc::new(credentials),
            begins,
            expires,
        })
    }
}

#[doc(hidden)]
pub mod testing;
