//! How the worker finds out how a frontend is.

use crate::time::Millis;

/// Whether a frontend is healthy, so that requests may reach it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `None`: a TCP connection is enough.
    pub path: Option<String>,
    /// Asked by gRPC's health service instead, whatever `path` says.
    pub grpc: bool,
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
            grpc: false,
            interval: Millis::seconds(5),
            timeout: Millis::seconds(4),
            start_deadline: Millis::seconds(60),
        }
    }
}

/// Whether a frontend is alive; one that is not is ended and replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Liveness {
    /// An answer from 200 to 399 is a success.
    pub path: String,
    pub timings: Timings,
}

/// Whether a frontend has come up; no other check is made before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Startup {
    /// `None`: a TCP connection to the port is enough.
    pub path: Option<String>,
    /// As many failures in a row as `failure` mean that it never will.
    pub timings: Timings,
}

/// When to ask, and what to make of the answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// From the start to the first question; of liveness beside a startup check, from its success.
    pub grace: Millis,
    pub interval: Millis,
    pub timeout: Millis,
    /// Successes in a row that count as one.
    pub success: u32,
    /// Failures in a row that end the frontend.
    pub failure: u32,
}

impl Default for Timings {
    /// surface.md B.4, `liveness`.
    fn default() -> Self {
        Self {
            grace: Millis::seconds(10),
            interval: Millis::seconds(5),
            timeout: Millis::seconds(5),
            success: 1,
            failure: 3,
        }
    }
}
