//! Which frontends there should be: every slot from 1 to the wanted count holds one that serves or
//! may come to serve, and no slot beyond it holds any.

use std::collections::BTreeMap;

use super::{Draft, placement::Tally};
use crate::{
    State,
    command::{Action, Placement, Step},
    environment::{Environment, Loaded},
    frontend::{Desired, Frontend, Phase},
    health::back_off,
    ids::{LoadedKey, ServiceName},
    report::{Reason, Waiting},
};

pub(super) fn plan(state: &State, draft: &mut Draft) {
    let mut tally = Tally::of(state);
    for (key, loaded) in &state.loaded {
        let Some(environment) = state.environments.get(&key.environment) else {
            continue;
        };
        if !loaded.status.wants_frontends() {
            dismiss(state, key, loaded, draft);
            continue;
        }
        let mut by_slot: BTreeMap<(ServiceName, u32), Vec<&Frontend>> = BTreeMap::new();
        for frontend in state
            .frontends_of(key)
            .filter(|f| f.desired == Desired::Run)
        {
            by_slot
                .entry((frontend.service.clone(), frontend.slot))
                .or_default()
                .push(frontend);
        }
        for (service, wanted) in &loaded.desired {
            let mut spare = Spare::of(state, key, service, *wanted);
            let mut missing = Vec::new();
            for slot in 1..=*wanted {
                let held = by_slot.remove(&(service.clone(), slot)).unwrap_or_default();
                if fill(state, environment, &held, &mut spare, draft)
                    && rested(key, loaded, service, slot, draft)
                {
                    missing.push(slot);
                }
            }
            place(key, loaded, service, &missing, &mut tally, draft);
            // What is left of the service lies beyond its count; the highest slots go first.
            let surplus = by_slot.extract_if(.., |(of, _), _| of == service);
            let surplus: Vec<&Frontend> = surplus.flat_map(|(_, held)| held).collect();
            for frontend in surplus.into_iter().rev() {
                if spare.allows(frontend) {
                    leave(frontend, "the count shrank", draft);
                }
            }
        }
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
    fn of(state: &State, key: &LoadedKey, service: &ServiceName, wanted: u32) -> Self {
        let healthy = state
            .frontends_of(key)
            .filter(|f| f.service == *service && f.healthy())
            .count() as u32;
        Self(healthy.saturating_sub(wanted))
    }

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
    state: &State,
    environment: &Environment,
    held: &[&Frontend],
    spare: &mut Spare,
    draft: &mut Draft,
) -> bool {
    let draining = |f: &Frontend| state.nodes.get(&f.node).is_none_or(|node| node.draining);
    // Who stays, best first: healthy before starting, on a node that stays, the newest.
    let best = held
        .iter()
        .filter(|f| f.holds_slot())
        .max_by_key(|f| {
            (
                f.healthy(),
                !draining(f),
                f.observed.phase != Phase::Unhealthy,
                f.incarnation,
            )
        })
        .copied();
    for frontend in held.iter().copied() {
        match frontend.observed.phase {
            phase if phase.over() => forget(frontend, draft),
            Phase::Unhealthy if environment.settings.recycling => {
                leave(frontend, "it is unhealthy and recycling is ON", draft);
            }
            _ if best.is_some_and(|b| b.id != frontend.id && b.healthy() && !draining(b))
                && spare.allows(frontend) =>
            {
                leave(frontend, "another has taken its slot", draft);
            }
            _ => {}
        }
    }
    match best {
        None => true,
        Some(b) if b.observed.phase == Phase::Unhealthy => environment.settings.recycling,
        // One on a draining node serves on until another is healthy elsewhere.
        Some(b) => draining(b) && !held.iter().any(|f| f.holds_slot() && !draining(f)),
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
    let never_served = matches!(
        frontend.observed.phase,
        Phase::Assigned | Phase::Fetching | Phase::Starting
    );
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
