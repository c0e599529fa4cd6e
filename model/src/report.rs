//! Why something waits, as data. `env describe`, `--wait` and the events say the same sentence.

use std::fmt;

use crate::{
    Time,
    ids::{EnvironmentKey, NodeId, ReleaseId, ServiceName},
    plan::storm::Storm,
    time::Millis,
};

/// One thing that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub environment: Option<EnvironmentKey>,
    /// The release it is about, if about one.
    pub release: Option<ReleaseId>,
    pub since: Time,
    pub reason: Reason,
}

/// What is waited for and what would change it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Frontends are on their way.
    Starting {
        service: ServiceName,
        healthy: u32,
        wanted: u32,
        slowest: Option<String>,
    },
    /// No node can take another frontend.
    NoNode {
        service: ServiceName,
        /// Of so many that are wanted.
        wanted: u32,
        missing: u32,
        refusals: Vec<Refusal>,
    },
    /// A singleton on a node that is drained cannot move.
    Stuck { frontend: String, why: String },
    /// Many workers vanished at once: replacements are made a few at a time.
    Storm { storm: Storm, held_back: u32 },
    /// A slot failed and rests before the next attempt.
    BackOff {
        service: ServiceName,
        slot: u32,
        failures: u32,
        rest: Millis,
        last: String,
    },
    /// The incoming release is not at the count of the outgoing one.
    Warming { healthy: u32, wanted: u32 },
    /// Frontends are being replaced; `left` ones of the outgoing release are still there.
    Rolling {
        healthy: u32,
        wanted: u32,
        left: u32,
    },
    /// The promoted release is watched for this much longer.
    Guarding { rest: Millis },
    /// The outgoing release is being brought back, because of this.
    Reverting {
        healthy: u32,
        wanted: u32,
        cause: String,
    },
    /// Live ingresses have not confirmed a generation.
    Unconfirmed {
        generation: u64,
        nodes: Vec<NodeName>,
    },
    /// An ingress is silent; it is not waited for, but it may still serve its last table.
    SilentIngress { nodes: Vec<NodeName>, held: u32 },
    /// Requests in flight are ending.
    InFlight { frontends: u32, rest: Millis },
    /// A new leader has not heard everybody yet.
    Listening { nodes: Vec<NodeName> },
    /// A worker runs the build step.
    Building { node: NodeName },
    /// No worker can take the build step.
    NoBuilder { refusals: Vec<Refusal> },
    /// Control nodes are copying the artefact.
    Copies { have: u32, want: u32 },
}

/// Id and name of a node, as sentences name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeName {
    pub id: NodeId,
    pub name: String,
}

/// How many nodes one filter turned away, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub nodes: u32,
    pub why: &'static str,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Starting {
                service,
                healthy,
                wanted,
                slowest,
            } => {
                write!(
                    f,
                    "{healthy} of {wanted} frontends of {service} are healthy"
                )?;
                slowest.iter().try_for_each(|what| write!(f, "; {what}"))
            }
            Self::NoNode {
                service,
                wanted,
                missing,
                refusals,
            } => {
                let placed = wanted.saturating_sub(*missing);
                write!(
                    f,
                    "no node can take {missing} more of {service}, {placed} of {wanted} are placed"
                )?;
                refused(f, refusals)
            }
            Self::Stuck { frontend, why } => write!(f, "{frontend} {why}"),
            Self::Storm { storm, held_back } => {
                write!(f, "{storm}; {held_back} wait for their turn")
            }
            Self::BackOff {
                service,
                slot,
                failures,
                rest,
                last,
            } => write!(
                f,
                "{service} {slot} failed {} ({last}); next attempt in {rest}",
                Times(*failures)
            ),
            Self::Warming { healthy, wanted } => {
                write!(f, "warming up: {healthy} of {wanted} frontends are healthy")
            }
            Self::Rolling {
                healthy,
                wanted,
                left,
            } => write!(
                f,
                "rolling: {healthy} of {wanted} new frontends are healthy, {left} old ones are left"
            ),
            Self::Guarding { rest } => {
                write!(f, "watching the new release for {rest} more")
            }
            Self::Reverting {
                healthy,
                wanted,
                cause,
            } => write!(
                f,
                "going back, {healthy} of {wanted} frontends are healthy again ({cause})"
            ),
            Self::Unconfirmed { generation, nodes } => {
                write!(
                    f,
                    "waiting for the ingress of {} to confirm route table {generation}",
                    List(nodes)
                )
            }
            Self::SilentIngress { nodes, held } => write!(
                f,
                "the ingress of {} is silent and may still serve its last table; \
                 {held} frontends stay up for it",
                List(nodes)
            ),
            Self::InFlight { frontends, rest } => write!(
                f,
                "requests in flight on {frontends} frontends may take {rest} more"
            ),
            Self::Listening { nodes } => {
                write!(f, "a new leader waits to hear from {}", List(nodes))
            }
            Self::Building { node } => write!(f, "the build step runs on {}", node.name),
            Self::NoBuilder { refusals } => {
                f.write_str("no worker can take the build step")?;
                refused(f, refusals)
            }
            Self::Copies { have, want } => {
                write!(f, "{have} of {want} control nodes hold the artefact")
            }
        }
    }
}

/// The counts of refusals, behind what they refuse.
pub(crate) fn refused(f: &mut fmt::Formatter<'_>, refusals: &[Refusal]) -> fmt::Result {
    for (index, refusal) in refusals.iter().enumerate() {
        let lead = if index == 0 { ": " } else { ", " };
        write!(f, "{lead}{} {}", refusal.nodes, refusal.why)?;
    }
    Ok(())
}

/// How often something failed without success between, as people say it.
pub(crate) struct Times(pub(crate) u32);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => f.write_str("once"),
            2 => f.write_str("twice in a row"),
            times => write!(f, "{times} times in a row"),
        }
    }
}

struct List<'a>(&'a [NodeName]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, node) in self.0.iter().enumerate() {
            let lead = match index {
                0 => "",
                last if last + 1 == self.0.len() => " and ",
                _ => ", ",
            };
            write!(f, "{lead}{}", node.name)?;
        }
        Ok(())
    }
}
