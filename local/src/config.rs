//! What a node is told (flags, environment, file) and what it knows about itself (identity,
//! certificate, peers).
//!
//! [`Settings`] is resolved once, by the agent, and handed to the node's other processes as one
//! file, so that all of them see the same values whatever their environment. [`Node`] is settings
//! plus identity: what `control` and `ingress` run on. Nothing here talks to the network.

mod access_lines;
mod disk;
mod endpoint;
mod file;
mod first_start;
mod flags;
mod identity;
mod network;
mod paths;
mod peers;
mod range;
mod roles;
mod seat;
mod settings;

pub use access_lines::{AccessLines, AccessLinesError};
pub use disk::{sync_directory, write_atomic};
pub use endpoint::{Endpoint, EndpointError};
pub use first_start::FirstStart;
pub use flags::{Flags, Process, Run};
pub use identity::{Identity, IdentityError};
pub use network::{Network, NetworkError};
pub use paths::Paths;
pub use peers::Peers;
pub use range::{Range, RangeError};
pub use roles::{Roles, RolesError};
pub use seat::{Seat, SeatError};
pub use settings::{RaftTimers, Settings, SettingsError};

use crate::trust::{Trust, TrustError};

/// A node that belongs to a cluster: what `control::run` and `ingress::run` are given.
#[derive(Clone, Debug)]
pub struct Node {
    pub settings: Settings,
    pub identity: Identity,
    pub trust: Trust,
}

/// Why a process that needs an identity could not have one.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    #[error("this node belongs to no cluster yet: run `fleet node init` or `fleet node join`")]
    Uninitialised,
    #[error("could not read the identity of this node")]
    Identity(#[from] IdentityError),
    #[error("could not read the certificate of this node")]
    Trust(#[from] TrustError),
    #[error("could not read the roles of this node")]
    Roles(#[from] RolesError),
}

impl Node {
    /// Reads identity and certificate from the data directory of `settings`. Name and roles are those
    /// the node was registered with, whatever the settings say by now.
    pub fn load(mut settings: Settings) -> Result<Self, NodeError> {
        let paths = settings.paths();
        let identity = Identity::read(&paths)?.ok_or(NodeError::Uninitialised)?;
        let trust = Trust::load(&paths)?;
        settings.name.clone_from(&identity.name);
        settings.roles = identity.roles.join(",").parse()?;
        Ok(Self {
            settings,
            identity,
            trust,
        })
    }

    pub fn paths(&self) -> Paths {
        self.settings.paths()
    }
}

#[cfg(test)]
mod tests;
