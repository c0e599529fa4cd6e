//! What an app says of itself in `fleet.yml`.

use std::{collections::BTreeMap, fmt};

use crate::{ids::ServiceName, time::Millis};

/// The manifest of a build: its text as written, and what of it this version understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    pub text: String,
    pub services: BTreeMap<ServiceName, Service>,
}

/// An entry of `services`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub command: Run,
    /// A service without one has no endpoint, is not probed over the network and is healthy while
    /// it runs.
    pub port: Option<Port>,
    /// Not reachable from outside.
    pub internal: bool,
    pub health: Health,
    /// `None`: the environment's autoscaling bounds scale it. `Some`: the manifest does.
    pub scale: Option<Scale>,
    /// From SIGTERM to SIGKILL.
    pub termination_grace: Millis,
}

/// How a service is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// One string, as Convox writes it: handed to `/bin/sh -c`.
    Shell(String),
    /// A list: executed as it is, no shell involved.
    Argv(Vec<String>),
}

/// Port and scheme a service speaks; the number is what the app would choose by itself, the worker
/// hands the real one over in `PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub scheme: Scheme,
    pub number: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
    Grpc,
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
        })
    }
}

/// How the worker finds out whether a frontend is healthy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `None`: a TCP connection is enough.
    pub path: Option<String>,
    pub interval: Millis,
    pub timeout: Millis,
    /// How long a frontend may take to its first success before it counts as failed.
    pub start_deadline: Millis,
}

impl Default for Health {
    /// surface.md B.4 (`health`: interval 5, timeout = interval - 1) and 60 s to start.
    fn default() -> Self {
        Self {
            path: None,
            interval: Millis::seconds(5),
            timeout: Millis::seconds(4),
            start_deadline: Millis::seconds(60),
        }
    }
}

/// Counts a service brings along; equal bounds pin it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    pub count: u32,
    pub min: u32,
    pub max: u32,
}

/// SIGTERM to SIGKILL where the manifest says nothing (surface.md B.4, `termination.grace`).
pub const DEFAULT_TERMINATION_GRACE: Millis = Millis::seconds(30);

impl Service {
    /// Whether the ingress routes to it.
    #[must_use]
    pub fn public(&self) -> bool {
        self.port.is_some() && !self.internal
    }
}
