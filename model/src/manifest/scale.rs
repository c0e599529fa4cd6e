//! How many frontends a service has, and how much each may take.

use crate::time::Millis;

/// Counts a service brings along; equal bounds pin it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scale {
    pub count: u32,
    pub min: u32,
    pub max: u32,
}

/// Of one frontend. `None`: nothing is said, hence nothing is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_millicores: Option<u32>,
    pub memory_bytes: Option<u64>,
}

/// What autoscaling aims at, of one frontend. With any of them the count follows them, whatever the
/// policy of the environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// In percent of the request, like memory.
    pub cpu_percent: Option<u32>,
    pub memory_percent: Option<u32>,
    /// Requests a second.
    pub rps: Option<u32>,
    /// Requests in flight.
    pub concurrency: Option<u32>,
    /// The count is not lowered below what the load of this time asked for. `None`: as the
    /// environment says.
    pub cooldown: Option<Millis>,
}
