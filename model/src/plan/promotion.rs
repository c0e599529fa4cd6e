//! How far promotions are: roll, watch, and go back when the incoming release fails.

use super::{Draft, Load, guard, loading, rolling, rollout::wait, warmth};
use crate::{
    State,
    command::Advance,
    environment::{Loaded, Slot},
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
    draft: &mut Draft,
) -> Option<Advance> {
    match &rollout.phase {
        Phase::Guarding { until, .. } => guarding(state, load, rollout, *until, draft),
        Phase::Reverting { reason } => reverting(state, rollout, reason, draft),
        _ => rolling(state, rollout, draft),
    }
}

fn rolling(state: &State, rollout: &Rollout, draft: &mut Draft) -> Option<Advance> {
    let incoming = rollout.incoming_key()?;
    let Some(loaded) = state.loaded.get(&incoming) else {
        return revert("the release is no longer loaded".to_owned());
    };
    if let Some((service, slot)) = given_up(loaded) {
        return revert(loading::failure(service, slot));
    }
    if rolling::done(state, rollout) {
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

fn guarding(
    state: &State,
    load: &Load,
    rollout: &Rollout,
    until: crate::Time,
    draft: &mut Draft,
) -> Option<Advance> {
    if let Some(breach) = guard::breach(state, load, rollout) {
        return revert(breach);
    }
    if until <= draft.now {
        return Some(Advance::Guarded);
    }
    draft.wake(until);
    let rest = until.since(draft.now);
    wait(rollout, Reason::Guarding { rest }, draft);
    None
}

fn reverting(state: &State, rollout: &Rollout, reason: &str, draft: &mut Draft) -> Option<Advance> {
    // What was there before may be broken by itself; a reversal ends all the same.
    if rolling::done(state, rollout) || rollout.deadline <= draft.now {
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
