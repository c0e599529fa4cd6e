//! The page of figures of a control process. docs/operating.md explains each family.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use fleet_metrics::{Family, Kind, Page, Process};
use fleet_model::State;
use fleet_model::frontend::Phase;

use super::Context;
use crate::consensus::Leadership;

const TERM: Family = Family::new(
    Kind::Gauge,
    "fleet_control_raft_term",
    &[],
    "the term that this node is in",
);
const LEADER: Family = Family::new(
    Kind::Gauge,
    "fleet_control_raft_leader",
    &[],
    "1 where this node leads, else 0",
);
const APPLIED: Family = Family::new(
    Kind::Gauge,
    "fleet_control_applied_index",
    &[],
    "index of the last entry of the log that this node has applied",
);
const SNAPSHOT: Family = Family::new(
    Kind::Gauge,
    "fleet_control_snapshot_index",
    &[],
    "index up to which this node has a durable snapshot",
);
const FSYNCS: Family = Family::new(
    Kind::Counter,
    "fleet_control_log_fsyncs_total",
    &[],
    "times that the log was made durable",
);
const GENERATION: Family = Family::new(
    Kind::Gauge,
    "fleet_control_route_generation",
    &[],
    "generation of the route table by the state of this node",
);
const FRONTENDS: Family = Family::new(
    Kind::Gauge,
    "fleet_control_frontends",
    &["state"],
    "frontends of the cluster by what their workers last said, by the state of this node",
);

const PHASES: [Phase; 9] = [
    Phase::Assigned,
    Phase::Fetching,
    Phase::Starting,
    Phase::Healthy,
    Phase::Unhealthy,
    Phase::Stopping,
    Phase::Stopped,
    Phase::Failed,
    Phase::Lost,
];

/// What is told of consensus.
#[derive(Clone, Debug, Default)]
struct Consensus {
    leadership: Leadership,
    applied: u64,
    snapshot: Option<u64>,
    fsyncs: u64,
}

/// Where control shows its page: beside that of the ingress.
pub(super) fn address(ingress: SocketAddr) -> SocketAddr {
    let mut address = ingress;
    // The settings allow no port that has no next one.
    address.set_port(ingress.port().saturating_add(1));
    address
}

/// Shows the page for as long as it is polled; for ever nothing where no address was given.
pub(super) async fn run(context: Arc<Context>) {
    let Some(ingress) = context.node.settings.metrics_listen else {
        return;
    };
    let process = Process::begins();
    let page = move || {
        let consensus = &context.consensus;
        let told = Consensus {
            leadership: consensus.leadership().borrow().clone(),
            applied: *consensus.applied().borrow(),
            snapshot: consensus.snapshot_index(),
            fsyncs: consensus.counters().fsyncs,
        };
        page(&told, &context.snapshot(), &process)
    };
    fleet_metrics::serve(address(ingress), page).await;
}

fn page(consensus: &Consensus, state: &State, process: &Process) -> String {
    let mut page = Page::new();
    page.one(&TERM, consensus.leadership.term);
    page.one(&LEADER, u64::from(consensus.leadership.is_self));
    page.one(&APPLIED, consensus.applied);
    page.one(&SNAPSHOT, consensus.snapshot.unwrap_or_default());
    page.one(&FSYNCS, consensus.fsyncs);
    page.one(&GENERATION, state.generation);
    let mut counts = BTreeMap::from(PHASES.map(|phase| (phase, 0_u64)));
    for frontend in state.frontends.values() {
        *counts.entry(frontend.observed.phase).or_insert(0) += 1;
    }
    let mut frontends = page.family(&FRONTENDS);
    for (phase, count) in counts {
        frontends.add(&[&phase.to_string()], count);
    }
    process.write(&mut page);
    page.into_text()
}

#[cfg(test)]
mod tests {
    use fleet_metrics::PROCESS;

    use super::*;

    /// What control says, besides what every process says.
    const CONTROL: [Family; 7] = [
        TERM, LEADER, APPLIED, SNAPSHOT, FSYNCS, GENERATION, FRONTENDS,
    ];

    #[test]
    fn every_family_is_shown_and_documented() {
        let text = page(&Consensus::default(), &State::default(), &Process::begins());
        let read = fleet_metrics::read(&text).unwrap();
        let text = include_str!("../../../docs/operating.md");
        let section = text.split("## Metrics").nth(1).unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|row| row.strip_prefix("| `"));
        let documented: Vec<_> = rows
            .filter_map(|row| row.split(['`', '{']).next())
            .collect();
        let families = CONTROL.iter().chain(&PROCESS);
        let names: Vec<_> = families.map(|family| family.name).collect();
        assert_eq!(documented, names);
        let mut shown: Vec<_> = read.keys().map(String::as_str).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        shown.sort_unstable();
        assert_eq!(shown, sorted);
        let states = read[FRONTENDS.name].samples.len();
        assert_eq!(
            states,
            PHASES.len(),
            "states that nobody is in are there too"
        );
    }
}
