//! Which frontends there should be: every slot from 1 to the wanted count holds one that serves or
//! may come to serve, and no slot beyond it holds any.

mod departure;
mod restart;
mod retreat;

use std::collections::BTreeSet;

use super::{
    Draft,
    placement::{self, Tally},
    rolling,
    storm::Restraint,
};
use crate::{
    State,
    command::{Action, Command, Placement, Step},
    environment::{Environment, Loaded},
    frontend::{Desired, Frontend, Phase},
    health::back_off,
    ids::{LoadedKey, ServiceName},
    report::{Reason, Waiting},
    state::Group,
};

pub(super) fn plan(state: &State, draft: &mut Draft) {
    // Counting what every node carries costs a walk, and mostly there is nothing to place.
    let mut tally = None;
    let mut restraint = Restraint::of(state, draft.now);
    departure::force(state, draft);
    for (key, loaded) in &state.loaded {
        let Some(environment) = state.environments.get(&key.environment) else {
            continue;
        };
        if !loaded.status.wants_frontends() {
            dismiss(state, key, loaded, draft);
            continue;
        }
        let rollout = state
            .rollouts
            .get(&key.environment)
            .filter(|rollout| rollout.concerns(&key.release));
        let giving_way = rollout.and_then(|rollout| rollout.giving_way()) == Some(&key.release);
        let work = Work {
            state,
            environment,
            key,
            loaded,
        };
        if rollout.is_none() {
            recount(state, key, loaded, draft);
        }
        for service in loaded.desired.keys() {
            let mut missing = if giving_way {
                retreat::plan(&work, service, draft)
            } else {
                work.hold(service, draft)
            };
            if let Some(rollout) = rollout {
                let begun = draft.placements.iter().filter(|placement| {
                    placement.loaded.environment == key.environment && placement.service == *service
                });
                let room = rolling::room(state, rollout, service) as usize;
                missing.truncate(room.saturating_sub(begun.count()));
            }
            if let Some(restraint) = &mut restraint {
                restraint.hold(&mut missing);
            }
            if !missing.is_empty() {
                let tally = tally.get_or_insert_with(|| Tally::of(state, draft.now));
                place(key, loaded, service, &missing, tally, draft);
            }
        }
    }
    if let Some(restraint) = restraint {
        restraint.report(draft);
    }
}

/// Agents run on every node they may run on, and nodes come and go.
fn recount(state: &State, key: &LoadedKey, loaded: &Loaded, draft: &mut Draft) {
    let agents = loaded.manifest.services.iter().filter(|(_, s)| s.agent);
    for (name, service) in agents {
        let count = placement::agents(state, service);
        if loaded.desired.get(name) != Some(&count) {
            draft.commands.push(Command::Recount {
                loaded: key.clone(),
                assumed: loaded.revision,
                service: name.clone(),
                count,
            });
        }
    }
}

/// A loaded release that is looked after.
struct Work<'a> {
    state: &'a State,
    environment: &'a Environment,
    key: &'a LoadedKey,
    loaded: &'a Loaded,
}

impl Work<'_> {
    fn wanted(&self, service: &ServiceName) -> u32 {
        self.loaded.desired.get(service).copied().unwrap_or(0)
    }

    /// The wanted frontends of a slot.
    fn held(&self, group: &Group, slot: u32) -> Vec<&Frontend> {
        self.state.frontends_in(group, slot).collect()
    }

    /// The slot whose frontend moves to spread better.
    fn moving(&self, service: &ServiceName) -> Option<u32> {
        let moving = self.state.balance.moving?;
        let frontend = self.state.frontends.get(&moving)?;
        let ours = frontend.loaded == *self.key && frontend.service == *service;
        (ours && self.state.is_moving(frontend)).then_some(frontend.slot)
    }

    /// Slots whose frontends sit on nodes that are drained.
    fn on_drained_nodes<'b>(&'b self, service: &'b ServiceName) -> impl Iterator<Item = u32> + 'b {
        let drained = self.state.nodes.values().filter(|node| node.draining);
        drained
            .flat_map(|node| self.state.frontends_on(node.id))
            .filter(move |f| f.loaded == *self.key && f.service == *service)
            .filter(|f| f.desired == Desired::Run)
            .map(|f| f.slot)
    }

    /// Holds every slot up to the count; answers which need a frontend. Looks only at slots that
    /// are empty, or hold something else than one healthy frontend.
    fn hold(&self, service: &ServiceName, draft: &mut Draft) -> Vec<u32> {
        let wanted = self.wanted(service);
        let nothing = Group::default();
        let group = self.state.group(self.key, service).unwrap_or(&nothing);
        let turn = restart::turn(self, service, group);
        let mut spare = Spare(group.healthy().saturating_sub(wanted));
        let mut missing = Vec::new();
        let mut slots: BTreeSet<u32> = group
            .unsettled()
            .chain(group.vacant(wanted))
            .chain(turn.map(|turn| turn.slot))
            .chain(self.moving(service))
            .collect();
        let kind = self.loaded.manifest.services.get(service);
        let (singleton, agent) = kind.map_or((false, false), |s| (s.singleton, s.agent));
        if agent {
            let going = departure::agents(self, service, draft);
            spare = Spare(group.healthy().saturating_sub(wanted + going));
        } else {
            slots.extend(self.on_drained_nodes(service));
        }
        for slot in slots.into_iter().filter(|slot| *slot <= wanted) {
            let held = self.held(group, slot);
            let turning = turn.filter(|turn| turn.slot == slot);
            if let Some(turn) = turning.filter(|turn| turn.stop_first) {
                turn.dismiss(&held, draft);
                continue;
            }
            let alone = singleton && departure::one_at_a_time(self, service, slot, &held, draft);
            if fill(self, &held, turning, &mut spare, draft)
                && !alone
                && rested(self.key, self.loaded, service, slot, draft)
            {
                missing.push(slot);
            }
        }
        // What is left lies beyond the count; the highest slots go first. One that must stay for the
        // load it carries fills the place of an empty slot, and nothing is started for that.
        let mut stand_ins = 0;
        for slot in group.beyond(wanted).rev() {
            for frontend in self.held(group, slot).into_iter().rev() {
                if spare.allows(frontend) {
                    leave(frontend, "the count shrank", draft);
                } else if self.may_stay(service, frontend) {
                    stand_ins += 1;
                }
            }
        }
        missing.truncate(missing.len().saturating_sub(stand_ins));
        missing
    }

    fn may_stay(&self, service: &ServiceName, frontend: &Frontend) -> bool {
        let node = self.state.nodes.get(&frontend.node);
        let restarted = self.loaded.restarts.get(service);
        node.is_some_and(|node| !node.draining)
            && restarted.is_none_or(|since| frontend.placed >= *since)
    }
}

/// Everything of a release that is unloading or failed leaves.
fn dismiss(state: &State, key: &LoadedKey, loaded: &Loaded, draft: &mut Draft) {
    let why = if matches!(loaded.status, crate::environment::LoadedStatus::Unloading) {
        "its release is unloaded"
    } else {
        "its release failed to load"
    };
    for frontend in state
        .frontends_of(key)
        .filter(|f| f.desired == Desired::Run)
    {
        leave(frontend, why, draft);
    }
}

/// How many healthy frontends a service has beyond its count. Only so many are sent away while
/// they serve: whoever is one too many in its slot still carries the load of a slot that is empty.
struct Spare(u32);

impl Spare {
    fn allows(&mut self, frontend: &Frontend) -> bool {
        let spared = !frontend.healthy() || self.0 > 0;
        if spared && frontend.healthy() {
            self.0 -= 1;
        }
        spared
    }
}

/// Looks after one slot; answers whether it needs a frontend.
fn fill(
    work: &Work<'_>,
    held: &[&Frontend],
    turning: Option<restart::Turn>,
    spare: &mut Spare,
    draft: &mut Draft,
) -> bool {
    let recycling = work.environment.settings.recycling;
    // One whose node is drained, or that is restarted, serves on until another is healthy.
    let going = |f: &Frontend| {
        work.state
            .nodes
            .get(&f.node)
            .is_none_or(|node| node.draining)
            || work.state.is_moving(f)
            || turning.is_some_and(|turn| turn.outdated(f))
    };
    // Who stays, best first: healthy before starting, one that is not going, the newest.
    let best = held
        .iter()
        .filter(|f| f.holds_slot())
        .max_by_key(|f| {
            (
                f.healthy(),
                !going(f),
                f.observed.phase != Phase::Unhealthy,
                f.incarnation,
            )
        })
        .copied();
    for frontend in held.iter().copied() {
        match frontend.observed.phase {
            phase if phase.over() => forget(frontend, draft),
            Phase::Unhealthy if recycling => {
                leave(frontend, "it is unhealthy and recycling is ON", draft);
            }
            _ if best.is_some_and(|b| b.id != frontend.id && b.healthy() && !going(b))
                && spare.allows(frontend) =>
            {
                leave(frontend, "another has taken its slot", draft);
            }
            _ => {}
        }
    }
    match best {
        None => true,
        Some(b) if b.observed.phase == Phase::Unhealthy => recycling,
        Some(b) => going(b) && !held.iter().any(|f| f.holds_slot() && !going(f)),
    }
}

/// Whether a slot may be filled again after its last failure; if not, says until when it rests.
fn rested(
    key: &LoadedKey,
    loaded: &Loaded,
    service: &ServiceName,
    slot: u32,
    draft: &mut Draft,
) -> bool {
    let memory = loaded.slots.get(&(service.clone(), slot));
    let Some((memory, failure)) = memory.and_then(|m| Some((m, m.last_failure.as_ref()?))) else {
        return true;
    };
    let until = failure.at.plus(back_off(memory.failures));
    if until <= draft.now {
        return true;
    }
    draft.wake(until);
    draft.waiting.push(Waiting {
        environment: Some(key.environment.clone()),
        release: Some(key.release.clone()),
        since: failure.at,
        reason: Reason::BackOff {
            service: service.clone(),
            slot,
            failures: memory.failures,
            rest: until.since(draft.now),
            last: failure.reason.clone(),
        },
    });
    false
}

fn place(
    key: &LoadedKey,
    loaded: &Loaded,
    service: &ServiceName,
    slots: &[u32],
    tally: &mut Tally,
    draft: &mut Draft,
) {
    for (index, slot) in slots.iter().enumerate() {
        match tally.place(key, service) {
            Ok(node) => draft.placements.push(Placement {
                loaded: key.clone(),
                service: service.clone(),
                slot: *slot,
                node,
                assumed: loaded.revision,
            }),
            Err(refusals) => {
                draft.waiting.push(Waiting {
                    environment: Some(key.environment.clone()),
                    release: Some(key.release.clone()),
                    since: loaded.since,
                    reason: Reason::NoNode {
                        service: service.clone(),
                        wanted: loaded.desired.get(service).copied().unwrap_or(0),
                        missing: (slots.len() - index) as u32,
                        refusals,
                    },
                });
                return;
            }
        }
    }
}

/// Out of routing first where requests could be under way, at once where none can be.
fn leave(frontend: &Frontend, why: &str, draft: &mut Draft) {
    let never_served = frontend.observed.phase < Phase::Healthy && !frontend.observed.served;
    let why = why.to_owned();
    let action = if frontend.observed.phase.over() {
        Action::Forget
    } else if never_served {
        Action::Stop { why }
    } else {
        Action::Withdraw { why }
    };
    draft.step(Step {
        frontend: frontend.id,
        assumed: frontend.revision,
        action,
    });
}

fn forget(frontend: &Frontend, draft: &mut Draft) {
    draft.step(Step {
        frontend: frontend.id,
        assumed: frontend.revision,
        action: Action::Forget,
    });
}
