//! How far activations are: warm up, switch, wait for confirmation, let requests end.

use super::{Draft, Load, ingress::Ingresses, promotion, warmth};
use crate::{
    State,
    command::{Advance, Command},
    environment::LoadedStatus,
    report::{Reason, Waiting},
    rollout::{Phase, Rollout},
};

pub(super) fn plan(state: &State, load: &Load, ingresses: &Ingresses<'_>, draft: &mut Draft) {
    for rollout in state
        .rollouts
        .values()
        .filter(|rollout| !rollout.phase.over())
    {
        let step = match rollout.phase {
            Phase::Warming => warming(state, rollout, draft),
            Phase::Switching { generation } => {
                switching(state, rollout, generation, ingresses, draft)
            }
            Phase::Draining { generation } => {
                draining(state, rollout, generation, ingresses, draft)
            }
            Phase::Rolling | Phase::Guarding { .. } | Phase::Reverting { .. } => {
                promotion::next(state, load, rollout, ingresses, draft)
            }
            Phase::Complete { .. } | Phase::Failed { .. } => None,
        };
        if let Some(step) = step {
            draft.commands.push(Command::AdvanceRollout {
                environment: rollout.environment.clone(),
                rollout: rollout.id,
                assumed: rollout.revision,
                step,
            });
        }
    }
}

fn warming(state: &State, rollout: &Rollout, draft: &mut Draft) -> Option<Advance> {
    let incoming = rollout.incoming_key()?;
    let Some(loaded) = state.loaded.get(&incoming) else {
        return Some(Advance::Fail {
            reason: "the release is no longer loaded".to_owned(),
        });
    };
    if loaded.status != LoadedStatus::Activating {
        return Some(Advance::Fail {
            reason: format!("the release is {}", loaded.status.as_str()),
        });
    }
    let warmth = warmth::of(state, &incoming);
    if warmth.is_warm() {
        return Some(Advance::Switch);
    }
    if rollout.deadline <= draft.now {
        return Some(Advance::Fail {
            reason: format!(
                "{} of {} frontends were healthy after {}",
                warmth.healthy,
                warmth.wanted,
                draft.now.since(rollout.started)
            ),
        });
    }
    draft.wake(rollout.deadline);
    let reason = Reason::Warming {
        healthy: warmth.healthy,
        wanted: warmth.wanted,
    };
    wait(rollout, reason, draft);
    warmth::report(state, &incoming, loaded, draft);
    None
}

fn switching(
    state: &State,
    rollout: &Rollout,
    generation: u64,
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) -> Option<Advance> {
    let silent = ingresses.holding(generation);
    if !silent.is_empty() {
        let held = leaving(state, rollout);
        let reason = Reason::SilentIngress {
            nodes: silent,
            held,
        };
        wait(rollout, reason, draft);
    }
    if !confirmed(rollout, generation, ingresses, draft) {
        return None;
    }
    let busy = ingresses.in_flight_before(&rollout.environment, generation);
    Some(if busy {
        Advance::Confirmed
    } else {
        Advance::Drained
    })
}

fn draining(
    state: &State,
    rollout: &Rollout,
    generation: u64,
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) -> Option<Advance> {
    let drain = state.environments.get(&rollout.environment)?.settings.drain;
    let until = rollout.since.plus(drain);
    // All had confirmed when the drain began: who has not now is one a new leader must hear first.
    let unheard = ingresses.unconfirmed(generation);
    let in_flight = ingresses.in_flight_before(&rollout.environment, generation);
    if until <= draft.now || unheard.is_empty() && !in_flight {
        return Some(Advance::Drained);
    }
    draft.wake(until);
    let reason = if unheard.is_empty() {
        Reason::InFlight {
            frontends: leaving(state, rollout),
            rest: until.since(draft.now),
        }
    } else {
        Reason::Listening { nodes: unheard }
    };
    wait(rollout, reason, draft);
    None
}

/// Whether every live ingress has confirmed `generation`; says which have not.
pub(super) fn confirmed(
    rollout: &Rollout,
    generation: u64,
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) -> bool {
    let nodes = ingresses.unconfirmed(generation);
    if nodes.is_empty() {
        return true;
    }
    if let Some(at) = ingresses.next_change() {
        draft.wake(at);
    }
    wait(rollout, Reason::Unconfirmed { generation, nodes }, draft);
    false
}

/// How many frontends of the outgoing release may still have requests in flight.
fn leaving(state: &State, rollout: &Rollout) -> u32 {
    rollout.outgoing_key().map_or(0, |key| state.count_of(&key))
}

pub(super) fn wait(rollout: &Rollout, reason: Reason, draft: &mut Draft) {
    draft.waiting.push(Waiting {
        environment: Some(rollout.environment.clone()),
        release: rollout.incoming.clone(),
        since: rollout.since,
        reason,
    });
}
