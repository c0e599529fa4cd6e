//! Frontends are placed, withdrawn, stopped and forgotten by the planner, and reported by workers.

use std::collections::BTreeSet;

use super::{Code, Detail, Rejection, itself};
use crate::{
    State,
    environment::{Failure, Loaded},
    event::Kind,
    frontend::{Desired, Exit, Frontend, Observed, Phase},
    health::PROVEN_AFTER,
    ids::{EnvironmentKey, FrontendId, LoadedKey, NodeId, ServiceName},
    plan::placement,
    rollout,
};

/// A frontend to be: which slot, on which node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub loaded: LoadedKey,
    pub service: ServiceName,
    pub slot: u32,
    pub node: NodeId,
    /// Revision of the loaded release this was planned for.
    pub assumed: u64,
}

/// One step of one frontend towards its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub frontend: FrontendId,
    /// Revision of the frontend this was planned for.
    pub assumed: u64,
    pub action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Out of the route table; it runs on until no ingress can send to it any more.
    Withdraw { why: String },
    /// SIGTERM, grace, SIGKILL.
    Stop { why: String },
    /// It is over: forget it, and let its worker clean up.
    Forget,
}

/// What a worker saw of one of its frontends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub frontend: FrontendId,
    pub phase: Phase,
    pub address: Option<String>,
    pub pid: Option<u32>,
    pub reason: String,
    pub exit: Option<Exit>,
}

impl Report {
    /// Whether applying it to `state` would change anything; a report that would not need not be
    /// committed.
    #[must_use]
    pub fn is_news(&self, state: &State, node: NodeId) -> bool {
        let frontend = state.frontends.get(&self.frontend);
        frontend.is_some_and(|frontend| {
            frontend.node == node && observed(state, frontend, self.clone()).is_some()
        })
    }
}

pub(super) fn place(state: &mut State, placements: Vec<Placement>) -> Result<Detail, Rejection> {
    let mut placed = Vec::new();
    for placement in placements {
        if let Some(frontend) = fits(state, &placement) {
            placed.push(frontend.id);
            state.next_frontend += 1;
            let slot = (placement.service, placement.slot);
            if let Some(loaded) = state.loaded.get_mut(&placement.loaded) {
                loaded.slots.entry(slot).or_default().incarnation = frontend.incarnation;
            }
            let node = state
                .nodes
                .get(&frontend.node)
                .map(|node| node.name.clone());
            let sentence = format!(
                "{} placed on {} (slot {}, incarnation {})",
                frontend.name(),
                node.unwrap_or_default(),
                frontend.slot,
                frontend.incarnation
            );
            let environment = frontend.loaded.environment.clone();
            state.record(
                Kind::Frontend,
                &itself(),
                Some(&environment),
                frontend.name(),
                sentence,
            );
            state.put_frontend(frontend);
        }
    }
    if placed.is_empty() {
        return Err(Rejection::stale("every slot that was to be filled"));
    }
    Ok(Detail::Placed(placed))
}

/// The frontend of a placement, unless what it assumed has changed.
fn fits(state: &State, placement: &Placement) -> Option<Frontend> {
    let loaded: &Loaded = state.loaded.get(&placement.loaded)?;
    let wanted = loaded.desired.get(&placement.service).copied().unwrap_or(0);
    let fresh = loaded.revision == placement.assumed && loaded.status.wants_frontends();
    let in_range = (1..=wanted).contains(&placement.slot);
    let restarted = loaded.restarts.get(&placement.service);
    let going = |frontend: &Frontend| {
        let node = state.nodes.get(&frontend.node);
        node.is_none_or(|node| node.draining)
            || state.is_moving(frontend)
            || restarted.is_some_and(|since| frontend.placed < *since)
    };
    // A node that fell silent since would never be declared lost again, and the slot wait for ever.
    let admits = placement::admits(state, &placement.loaded, &placement.service, placement.node);
    let held = state
        .group(&placement.loaded, &placement.service)
        .into_iter()
        .flat_map(|group| group.in_slot(placement.slot))
        .filter_map(|id| state.frontends.get(&id))
        .any(|frontend| frontend.holds_slot() && !going(frontend));
    let alone =
        placement::one_is_there(state, &placement.loaded, &placement.service, placement.slot);
    if !fresh || !in_range || held || alone || !admits {
        return None;
    }
    let slot = loaded
        .slots
        .get(&(placement.service.clone(), placement.slot));
    Some(Frontend {
        id: FrontendId(state.next_frontend),
        loaded: placement.loaded.clone(),
        service: placement.service.clone(),
        slot: placement.slot,
        incarnation: slot.map_or(0, |slot| slot.incarnation) + 1,
        node: placement.node,
        placed: state.now,
        desired: Desired::Run,
        desired_since: state.now,
        observed: Observed::assigned(state.now),
        revision: state.index,
    })
}

/// From the planner: a frontend shall be replaced where it spreads better.
pub(super) fn relocate(
    state: &mut State,
    id: FrontendId,
    assumed: u64,
) -> Result<Detail, Rejection> {
    let current = state.frontends.get(&id).filter(|f| f.revision == assumed);
    let movable = |frontend: &&Frontend| {
        frontend.healthy() && !state.is_rolling(&frontend.loaded.environment)
    };
    let frontend = current.filter(movable).cloned();
    let interval = state.balance.interval();
    let due = state.balance.not_before <= state.now;
    let (Some(frontend), Some(interval), true) = (frontend, interval, due) else {
        return Err(Rejection::stale("the frontend that was to move"));
    };
    state.balance.moving = Some(id);
    state.balance.not_before = state.now.plus(interval);
    let node = state.nodes.get(&frontend.node).map(|node| &*node.name);
    let sentence = format!(
        "{} moves from {}, to spread {} better",
        frontend.name(),
        node.unwrap_or_default(),
        frontend.service
    );
    say(state, &frontend, sentence);
    Ok(Detail::Done)
}

pub(super) fn step(state: &mut State, steps: Vec<Step>) -> Result<Detail, Rejection> {
    let (mut applied, mut stale) = (0, 0);
    // One generation for the whole batch: withdrawing ten costs one new route table.
    let mut rerouted: Vec<EnvironmentKey> = Vec::new();
    let mut withdrawn: Vec<FrontendId> = Vec::new();
    for Step {
        frontend,
        assumed,
        action,
    } in steps
    {
        let current = state
            .frontends
            .get(&frontend)
            .filter(|f| f.revision == assumed)
            .cloned();
        let Some(current) = current else {
            stale += 1;
            continue;
        };
        let taken = match action {
            Action::Withdraw { why } if current.desired == Desired::Run => {
                if current.routable() {
                    rerouted.push(current.loaded.environment.clone());
                }
                withdrawn.push(frontend);
                say(
                    state,
                    &current,
                    format!("{} leaves routing: {why}", current.name()),
                );
                true
            }
            Action::Stop { why } if current.desired < Desired::Stop => {
                if current.routable() {
                    rerouted.push(current.loaded.environment.clone());
                }
                say(
                    state,
                    &current,
                    format!("{} is being stopped: {why}", current.name()),
                );
                set_desired(state, frontend, Desired::Stop);
                true
            }
            Action::Forget if current.observed.phase.over() => {
                state.remove_frontend(frontend);
                say_if_drained(state, current.node);
                true
            }
            Action::Withdraw { .. } | Action::Stop { .. } | Action::Forget => false,
        };
        if taken { applied += 1 } else { stale += 1 }
    }
    rerouted.sort();
    rerouted.dedup();
    for environment in &rerouted {
        state.reroute(environment);
    }
    let generation = state.generation;
    for frontend in withdrawn {
        set_desired(state, frontend, Desired::Withdrawn { generation });
    }
    if applied == 0 {
        return Err(Rejection::stale("every frontend that was to move"));
    }
    Ok(Detail::Batch { applied, stale })
}

fn say_if_drained(state: &mut State, node: NodeId) {
    let drained = state.nodes.get(&node).filter(|node| node.draining);
    let Some(name) = drained.map(|node| node.name.clone()) else {
        return;
    };
    if state.frontends_on(node).next().is_none() {
        let sentence = format!("node {name} is drained: nothing is left on it");
        state.record(Kind::Node, &itself(), None, name, sentence);
    }
}

fn set_desired(state: &mut State, id: FrontendId, desired: Desired) {
    if let Some(frontend) = state.frontends.get(&id) {
        let next = Frontend {
            desired,
            desired_since: state.now,
            revision: state.index,
            ..frontend.clone()
        };
        state.put_frontend(next);
    }
}

fn say(state: &mut State, frontend: &Frontend, sentence: String) {
    let environment = frontend.loaded.environment.clone();
    state.record(
        Kind::Frontend,
        &itself(),
        Some(&environment),
        frontend.name(),
        sentence,
    );
}

/// What workers saw. A report about a frontend that is not (or no longer) this node's is ignored:
/// the session answers it with the list of those that are.
pub(super) fn observe(
    state: &mut State,
    node: NodeId,
    reports: Vec<Report>,
) -> Result<Detail, Rejection> {
    if !state.nodes.contains_key(&node) {
        return Err(Rejection::new(
            Code::UnknownNode,
            format!("there is no node {node}"),
        ));
    }
    let (mut applied, mut stale) = (0, 0);
    let mut rerouted: BTreeSet<EnvironmentKey> = BTreeSet::new();
    for report in reports {
        let current = state
            .frontends
            .get(&report.frontend)
            .filter(|f| f.node == node)
            .cloned();
        let next = current
            .as_ref()
            .and_then(|current| Some((current.clone(), observed(state, current, report)?)));
        let Some((current, next)) = next else {
            stale += 1;
            continue;
        };
        applied += 1;
        if next.routable() != current.routable()
            || next.routable() && next.observed.address != current.observed.address
        {
            rerouted.insert(current.loaded.environment.clone());
        }
        tell(state, &current, &next);
        state.put_frontend(next);
    }
    for environment in &rerouted {
        state.reroute(environment);
    }
    Ok(Detail::Batch { applied, stale })
}

/// The frontend as a report describes it, if that is news the transition table allows. Workers
/// repeat themselves with every new session; a repetition must not make planned steps stale.
fn observed(state: &State, current: &Frontend, report: Report) -> Option<Frontend> {
    let before = &current.observed;
    let same_phase = report.phase == before.phase;
    // Lost is what the cluster says of a worker it cannot hear, not what a worker says.
    if report.phase == Phase::Lost || !same_phase && !before.phase.may_become(report.phase) {
        return None;
    }
    let observed = Observed {
        phase: report.phase,
        since: if same_phase { before.since } else { state.now },
        address: report.address.or_else(|| before.address.clone()),
        pid: report.pid.or(before.pid),
        reason: report.reason,
        exit: report.exit.or_else(|| before.exit.clone()),
        served: match report.phase {
            Phase::Healthy => true,
            // Started again in its place: an ingress that has not heard of it still sends there.
            Phase::Starting => before.served || before.phase > Phase::Starting,
            _ => false,
        },
    };
    (observed != *before).then(|| Frontend {
        observed,
        revision: state.index,
        ..current.clone()
    })
}

/// Writes history, and the failure into the memory of the slot.
fn tell(state: &mut State, before: &Frontend, after: &Frontend) {
    if before.observed.phase == after.observed.phase {
        return;
    }
    let name = after.name();
    let reason = &after.observed.reason;
    let sentence = match (after.observed.phase, after.desired) {
        (Phase::Healthy, _) => format!("{name} is healthy"),
        (Phase::Unhealthy, _) => format!("{name} is unhealthy and leaves routing: {reason}"),
        (Phase::Starting, _)
            if matches!(before.observed.phase, Phase::Healthy | Phase::Unhealthy) =>
        {
            format!("{name} is started again and leaves routing until it is healthy: {reason}")
        }
        (Phase::Failed, Desired::Stop) => format!("{name} ended while being stopped"),
        (Phase::Failed, _) => format!("{name} failed: {reason}"),
        // As its worker does with a singleton that nobody confirms any more.
        (Phase::Stopped, Desired::Run) if !reason.is_empty() => {
            format!("{name} was stopped by its worker: {reason}")
        }
        (Phase::Stopped, _) => format!("{name} stopped"),
        _ => return,
    };
    say(state, after, sentence);
    if after.desired != Desired::Run {
        return;
    }
    // While a release has to prove itself, a frontend that was healthy and no longer is speaks
    // against it as much as one that ended.
    let relapsed = after.observed.phase == Phase::Unhealthy && on_trial(state, after);
    if after.observed.phase == Phase::Failed || relapsed {
        remember_failure(state, before, after);
    }
}

/// Whether the frontend is of a release that is being promoted.
fn on_trial(state: &State, frontend: &Frontend) -> bool {
    let rollout = state.rollouts.get(&frontend.loaded.environment);
    rollout.is_some_and(|rollout| {
        matches!(
            rollout.phase,
            rollout::Phase::Rolling | rollout::Phase::Guarding { .. }
        ) && rollout.incoming.as_ref() == Some(&frontend.loaded.release)
    })
}

fn remember_failure(state: &mut State, before: &Frontend, after: &Frontend) {
    let now = state.now;
    let proven =
        before.observed.phase == Phase::Healthy && now.since(before.observed.since) >= PROVEN_AFTER;
    let Some(loaded) = state.loaded.get_mut(&after.loaded) else {
        return;
    };
    let slot = loaded
        .slots
        .entry((after.service.clone(), after.slot))
        .or_default();
    let before = slot.failures;
    slot.failures = if proven { 1 } else { before.saturating_add(1) };
    loaded.failures = loaded.failures.saturating_sub(before) + slot.failures;
    let reason = &after.observed.reason;
    slot.last_failure = Some(Failure {
        at: now,
        reason: match after.observed.phase {
            Phase::Unhealthy => format!("it was healthy and became unhealthy: {reason}"),
            _ => reason.clone(),
        },
        output: after
            .observed
            .exit
            .as_ref()
            .map(|exit| exit.output.clone())
            .unwrap_or_default(),
    });
}

/// The node of a frontend is lost. One that served stays in the route table: nobody knows that it
/// is gone, the ingress will notice by itself, and a replacement takes its place once healthy.
///
/// Not so a singleton: by now its worker has ended it (docs/survival.md), and it is never to run
/// again, for the replacement may start from this entry of the log on.
pub(super) fn lose(state: &mut State, id: FrontendId, node: &str) {
    let (now, index) = (state.now, state.index);
    let Some(frontend) = state
        .frontends
        .get(&id)
        .filter(|f| !f.observed.phase.over())
        .cloned()
    else {
        return;
    };
    let was_routable = frontend.routable();
    let over = state.is_singleton(&frontend.loaded, &frontend.service);
    let (desired, desired_since) = match over {
        true if frontend.desired < Desired::Stop => (Desired::Stop, now),
        _ => (frontend.desired, frontend.desired_since),
    };
    let served = match frontend.observed.phase {
        Phase::Healthy => true,
        // Lost again before its worker spoke of it.
        Phase::Lost => frontend.observed.served,
        _ => false,
    };
    let lost = Frontend {
        observed: Observed {
            phase: Phase::Lost,
            since: now,
            reason: format!("node {node} is silent"),
            served,
            ..frontend.observed.clone()
        },
        desired,
        desired_since,
        revision: index,
        ..frontend
    };
    if lost.routable() != was_routable {
        let environment = lost.loaded.environment.clone();
        state.reroute(&environment);
    }
    state.put_frontend(lost);
}
