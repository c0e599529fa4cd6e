//! How far promotions are: roll, watch, and go back when the incoming release fails.

use super::{
    Draft, Load, guard,
    ingress::Ingresses,
    loading, rolling,
    rollout::{confirmed, wait},
    warmth,
};
use crate::{
    State, Time,
    command::Advance,
    environment::{Loaded, Slot},
    frontend::{Desired, Frontend},
    health::START_ATTEMPTS,
    ids::ServiceName,
    report::Reason,
    rollout::{Phase, Rollout},
};

/// The next step, if there is one to take now.
pub(super) fn next(
    state: &State,
    load: &Load,
    rollout: &Rollout,
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) -> Option<Advance> {
    match &rollout.phase {
        Phase::Guarding { generation, until } => {
            let takeover = (*generation, *until);
            guarding(state, load, rollout, takeover, ingresses, draft)
        }
        Phase::Reverting { reason } => reverting(state, rollout, reason, ingresses, draft),
        _ => rolling(state, rollout, ingresses, draft),
    }
}

/// Whether the one release has taken the other's place, as far as that can be waited for: live
/// ingresses confirmed and requests ended. Frontends that stay up for an ingress that has fallen
/// silent leave in their own time.
fn done(state: &State, rollout: &Rollout, ingresses: &Ingresses<'_>) -> bool {
    let held = |frontend: &Frontend| match frontend.desired {
        Desired::Run => true,
        Desired::Withdrawn { generation } => {
            ingresses.unconfirmed(generation).is_empty()
                && !ingresses.holding(generation).is_empty()
        }
        Desired::Stop => false,
    };
    let leaving = rollout.giving_way();
    rolling::replaced(state, rollout)
        && state
            .leaving()
            .filter(|frontend| {
                frontend.loaded.environment == rollout.environment
                    && Some(&frontend.loaded.release) == leaving
            })
            .all(|frontend| !frontend.is_there() || held(frontend))
}

fn rolling(
    state: &State,
    rollout: &Rollout,
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) -> Option<Advance> {
    let incoming = rollout.incoming_key()?;
    let Some(loaded) = state.loaded.get(&incoming) else {
        return revert("the release is no longer loaded".to_owned());
    };
    if let Some((service, slot)) = given_up(loaded) {
        return revert(loading::failure(service, slot));
    }
    if done(state, rollout, ingresses) {
        return Some(Advance::Settle);
    }
    if rollout.deadline <= draft.now {
        return revert(overdue(state, rollout, loaded, draft));
    }
    draft.wake(rollout.deadline);
    say(state, rollout, draft);
    warmth::report(state, &incoming, loaded, draft);
    (!rolling::step(state, rollout).is_empty()).then_some(Advance::Roll)
}

fn revert(reason: String) -> Option<Advance> {
    Some(Advance::Revert { reason })
}

/// The slot to blame once frontends of the release failed as often as one may while it loads: one
/// failure could be the machine's fault, several on the same code are the code's, whether they are
/// of one slot or of several.
fn given_up(loaded: &Loaded) -> Option<(&ServiceName, &Slot)> {
    if loaded.failures < START_ATTEMPTS {
        return None;
    }
    loaded
        .slots
        .iter()
        .filter(|(_, slot)| slot.last_failure.is_some())
        .max_by_key(|(_, slot)| (slot.failures, slot.last_failure.as_ref().map(|f| f.at)))
        .map(|((service, _), slot)| (service, slot))
}

fn overdue(state: &State, rollout: &Rollout, loaded: &Loaded, draft: &Draft) -> String {
    let (healthy, wanted) = rolling::progress(state, rollout);
    let after = draft.now.since(rollout.started);
    let mut reason = format!("{healthy} of {wanted} frontends were healthy after {after}");
    let failed = loaded
        .slots
        .iter()
        .find(|(_, slot)| slot.last_failure.is_some());
    if let Some(((service, _), slot)) = failed {
        reason.push_str("; ");
        reason.push_str(&loading::failure(service, slot));
    }
    reason
}

/// Every live ingress has to confirm the takeover, however short the guard is: until then one may
/// not know a host that only the incoming release has.
fn guarding(
    state: &State,
    load: &Load,
    rollout: &Rollout,
    (generation, until): (u64, Time),
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) -> Option<Advance> {
    // Whose guard is off or has nothing to compare with is not watched at all.
    if rollout.since < until
        && let Some(breach) = guard::breach(state, load, rollout)
    {
        return revert(breach);
    }
    if draft.now < until {
        draft.wake(until);
        let rest = until.since(draft.now);
        wait(rollout, Reason::Guarding { rest }, draft);
        return None;
    }
    confirmed(rollout, generation, ingresses, draft).then_some(Advance::Guarded)
}

fn reverting(
    state: &State,
    rollout: &Rollout,
    reason: &str,
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) -> Option<Advance> {
    // What was there before may be broken by itself; a reversal ends all the same.
    if done(state, rollout, ingresses) || rollout.deadline <= draft.now {
        return Some(Advance::Reverted);
    }
    draft.wake(rollout.deadline);
    let (healthy, wanted) = rolling::progress(state, rollout);
    let cause = reason.lines().next().unwrap_or_default().to_owned();
    let back = Reason::Reverting {
        healthy,
        wanted,
        cause,
    };
    wait(rollout, back, draft);
    if let Some(outgoing) = rollout.outgoing_key()
        && let Some(loaded) = state.loaded.get(&outgoing)
    {
        warmth::report(state, &outgoing, loaded, draft);
    }
    (!rolling::step(state, rollout).is_empty()).then_some(Advance::Roll)
}

fn say(state: &State, rollout: &Rollout, draft: &mut Draft) {
    let (healthy, wanted) = rolling::progress(state, rollout);
    let left = rollout.outgoing_key().map_or(0, |key| state.count_of(&key));
    let reason = Reason::Rolling {
        healthy,
        wanted,
        left,
    };
    wait(rollout, reason, draft);
}
