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

/// What each frontend of the service should have to do (`scale.targets`, `scale.autoscale`). With
/// any target it is scaled by these alone, whatever its environment has set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Targets {
    /// Percent of the CPU it asks for.
    pub cpu_percent: Option<u32>,
    /// Percent of the memory it asks for.
    pub memory_percent: Option<u32>,
    /// Requests a second.
    pub rps: Option<u32>,
    /// Requests in flight.
    pub concurrency: Option<u32>,
    /// How long the most that was wanted is remembered when the count shrinks. `None`: as long as
    /// the environment says.
    pub cooldown: Option<Millis>,
}

impl Targets {
    /// Whether there is anything to aim at.
    #[must_use]
    pub fn any(&self) -> bool {
        let Self {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown: _,
        } = self;
        [cpu_percent, memory_percent, rps, concurrency]
            .iter()
            .any(|target| target.is_some())
    }
}
