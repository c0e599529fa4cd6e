//! Frontends: the running instances of a service of a loaded release.
//!
//! What is wanted ([`Desired`], written by the planner's commands) and what is seen ([`Observed`],
//! written by workers' reports) never share a field.

use std::fmt;

use crate::{
    Time,
    ids::{FrontendId, LoadedKey, NodeId, ServiceName},
};

/// One instance, in one slot, on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontend {
    pub id: FrontendId,
    pub loaded: LoadedKey,
    pub service: ServiceName,
    /// 1 to the service's count.
    pub slot: u32,
    /// Grows with every frontend placed in the slot.
    pub incarnation: u64,
    pub node: NodeId,
    pub placed: Time,
    pub desired: Desired,
    pub desired_since: Time,
    pub observed: Observed,
    /// Log index of the last change; a planned step that assumed an older one is stale.
    pub revision: u64,
}

/// What is wanted of a frontend. It only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Desired {
    Run,
    /// Out of the route table since `generation`; runs on until no ingress can still send to it.
    Withdrawn {
        generation: u64,
    },
    Stop,
}

/// What its worker last said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    pub phase: Phase,
    pub since: Time,
    /// Where it listens, `ip:port`; known from its start on.
    pub address: Option<String>,
    pub pid: Option<u32>,
    /// Why it is in this phase, if there is something to say.
    pub reason: String,
    pub exit: Option<Exit>,
    /// Whether it was healthy when last heard of, or before it was started again in its place. A
    /// lost frontend that was stays in the route table until its replacement is healthy: the ingress
    /// finds out by itself whether it still answers. One that starts again leaves it, but is not
    /// stopped before every ingress has heard that.
    pub served: bool,
}

impl Observed {
    /// Of a frontend just placed.
    #[must_use]
    pub fn assigned(since: Time) -> Self {
        Self {
            phase: Phase::Assigned,
            since,
            address: None,
            pid: None,
            reason: String::new(),
            exit: None,
            served: false,
        }
    }
}

/// Where a frontend is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Placed; its worker has not spoken of it yet.
    Assigned,
    /// Its artefact is on the way.
    Fetching,
    Starting,
    Healthy,
    /// Was healthy; three checks in a row failed.
    Unhealthy,
    Stopping,
    /// Stopped as ordered.
    Stopped,
    /// Ended or never got healthy, unordered.
    Failed,
    /// Its node's lease ran out; it may run on there.
    Lost,
}

impl Phase {
    /// Whether the process behind it is over, as far as its worker said.
    #[must_use]
    pub fn over(self) -> bool {
        matches!(self, Self::Stopped | Self::Failed)
    }

    /// The transition table of what a worker may report. A frontend that is over stays over; a lost
    /// one may turn out to be in any phase.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Lost, _) => true,
            (from, _) if from.over() => false,
            (Self::Healthy, Self::Unhealthy) | (Self::Unhealthy, Self::Healthy) => true,
            // Its machine lost its power, and its worker starts it again in its place.
            (Self::Healthy | Self::Unhealthy, Self::Starting) => true,
            (_, Self::Assigned) => false,
            (from, to) => from < to,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Assigned => "assigned",
            Self::Fetching => "fetching",
            Self::Starting => "starting",
            Self::Healthy => "running",
            Self::Unhealthy => "unhealthy",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Lost => "lost",
        })
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub out_of_memory: bool,
    /// The last lines it wrote, oldest first.
    pub output: Vec<String>,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.out_of_memory, self.code, self.signal) {
            (true, ..) => f.write_str("ran out of its memory limit"),
            (_, Some(code), _) => write!(f, "exited with status {code}"),
            (_, _, Some(signal)) => write!(f, "was ended by signal {signal}"),
            _ => f.write_str("ended, status unknown"),
        }
    }
}

impl Frontend {
    /// Whether the ingress may be told of it.
    #[must_use]
    pub fn routable(&self) -> bool {
        let answers = match self.observed.phase {
            Phase::Healthy => true,
            Phase::Lost => self.observed.served,
            _ => false,
        };
        self.desired == Desired::Run && answers && self.observed.address.is_some()
    }

    /// Whether it runs or is about to, as far as anybody can tell: neither over nor lost.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !self.observed.phase.over() && self.observed.phase != Phase::Lost
    }

    /// Whether it is wanted and known to be healthy.
    #[must_use]
    pub fn healthy(&self) -> bool {
        self.desired == Desired::Run && self.observed.phase == Phase::Healthy
    }

    /// Whether it holds its slot: wanted, and neither over nor lost.
    #[must_use]
    pub fn holds_slot(&self) -> bool {
        self.desired == Desired::Run && self.is_there()
    }

    /// What `ps` and the logs call it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.service, self.id)
    }
}
