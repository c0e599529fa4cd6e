//! What is so about one frontend, as it is reported and remembered.

use fleet_model::ids::FrontendId;
use fleet_proto::internal as wire;
use fleet_proto::internal::frontend_observed::Phase as WirePhase;

use super::exit::Exit;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Observed {
    pub(crate) id: FrontendId,
    pub(crate) incarnation: u32,
    pub(crate) phase: Phase,
    /// host:port; empty without a port.
    pub(crate) address: String,
    pub(crate) pid: Option<u32>,
    pub(crate) since_unix_ms: u64,
    pub(crate) exit: Option<Exit>,
    pub(crate) reason: String,
    pub(crate) based_on_index: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Assigned,
    Fetching,
    Starting,
    Healthy,
    Unhealthy,
    Stopping,
    Stopped,
    Failed,
}

impl From<Phase> for WirePhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Assigned => WirePhase::Assigned,
            Phase::Fetching => WirePhase::Fetching,
            Phase::Starting => WirePhase::Starting,
            Phase::Healthy => WirePhase::Healthy,
            Phase::Unhealthy => WirePhase::Unhealthy,
            Phase::Stopping => WirePhase::Stopping,
            Phase::Stopped => WirePhase::Stopped,
            Phase::Failed => WirePhase::Failed,
        }
    }
}

impl From<WirePhase> for Phase {
    fn from(phase: WirePhase) -> Self {
        match phase {
            WirePhase::Unspecified | WirePhase::Assigned => Phase::Assigned,
            WirePhase::Fetching => Phase::Fetching,
            WirePhase::Starting => Phase::Starting,
            WirePhase::Healthy => Phase::Healthy,
            WirePhase::Unhealthy => Phase::Unhealthy,
            WirePhase::Stopping => Phase::Stopping,
            WirePhase::Stopped => Phase::Stopped,
            WirePhase::Failed => Phase::Failed,
        }
    }
}

impl From<&Observed> for wire::FrontendObserved {
    fn from(observed: &Observed) -> Self {
        Self {
            frontend_id: observed.id.0,
            incarnation: observed.incarnation,
            phase: WirePhase::from(observed.phase).into(),
            address: observed.address.clone(),
            pid: observed.pid.unwrap_or_default(),
            since_unix_ms: observed.since_unix_ms,
            exit: observed.exit.as_ref().map(wire::FrontendExit::from),
            reason: observed.reason.clone(),
            based_on_index: observed.based_on_index,
        }
    }
}

impl From<&Exit> for wire::FrontendExit {
    fn from(exit: &Exit) -> Self {
        Self {
            code: exit.code,
            signal: exit.signal,
            out_of_memory: exit.out_of_memory,
            last_lines: exit.last_lines.clone(),
        }
    }
}

impl From<wire::FrontendExit> for Exit {
    fn from(wire: wire::FrontendExit) -> Self {
        Self {
            code: wire.code,
            signal: wire.signal,
            out_of_memory: wire.out_of_memory,
            tenure_over: false,
            last_lines: wire.last_lines,
        }
    }
}
