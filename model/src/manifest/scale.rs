//! How many frontends a service has, and how much each may take.

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

/// What autoscaling aims at, in percent of the requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    pub cpu_percent: Option<u32>,
    pub memory_percent: Option<u32>,
}
