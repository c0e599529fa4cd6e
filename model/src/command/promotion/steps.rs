//! The steps of a promotion, as the planner asks for them: roll, settle, watch, go back.

use imbl::OrdMap;

use super::status;
use crate::{
    State,
    command::{
        Advance, Rejection, itself,
        load::{change_status, set_status, touch},
        release,
        rollout::{move_pointer, set_phase},
    },
    environment::LoadedStatus,
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ServiceName},
    plan::rolling,
    rollout::{DEADLINE, Phase, Rollout},
    state::Group,
    time::Millis,
};

/// From the planner: the next step of a promotion.
pub(in crate::command) fn advance(
    state: &mut State,
    key: &EnvironmentKey,
    rollout: &Rollout,
    step: Advance,
) -> Result<(), Rejection> {
    match step {
        Advance::Roll => roll(state, key, rollout),
        Advance::Settle if rolling::replaced(state, rollout) => settle(state, key, rollout),
        Advance::Guarded => complete(state, key, rollout),
        Advance::Revert { reason } => revert(state, key, rollout, reason),
        Advance::Reverted => reverted(state, key, rollout),
        _ => Err(Rejection::stale(format_args!("the promotion in {key}"))),
    }
}

/// One step, worked out anew from the committed state: the bounds hold whatever the planner saw.
fn roll(state: &mut State, key: &EnvironmentKey, rollout: &Rollout) -> Result<(), Rejection> {
    let changes = rolling::step(state, rollout);
    if changes.is_empty() {
        return Err(Rejection::stale(format_args!("the promotion in {key}")));
    }
    if rollout.phase == Phase::Rolling && rollout.revision == rollout.id.0 {
        status(state, key, "Pending", "Updating");
    }
    let index = state.index;
    for change in changes {
        let Some(loaded) = state.loaded.get_mut(&change.loaded) else {
            continue;
        };
        let before = loaded.desired.insert(change.service.clone(), change.count);
        loaded.revision = index;
        let direction = if before < Some(change.count) {
            "up"
        } else {
            "down"
        };
        let sentence = format!(
            "Scaled {direction} {} of {} to {}",
            change.service, change.loaded.release, change.count
        );
        state.record(
            Kind::Scaling,
            &itself(),
            Some(key),
            change.service.as_str(),
            sentence,
        );
    }
    if let Some(rollout) = state.rollouts.get_mut(key) {
        rollout.revision = index;
    }
    Ok(())
}

/// The incoming release is complete, the outgoing one gone: the pointer follows.
fn settle(state: &mut State, key: &EnvironmentKey, rollout: &Rollout) -> Result<(), Rejection> {
    move_pointer(state, key, rollout)?;
    if let (Some(incoming), Some(roll)) = (rollout.incoming_key(), rollout.roll())
        && !roll.grown.targets.is_empty()
    {
        // It was not waited for what autoscaling added: from here on nothing rolls any more.
        set_counts(state, &incoming, &roll.targets);
    }
    touch(state, key);
    let generation = state.reroute(key);
    status(state, key, "Updating", "Running");
    // The first release has nothing to be compared with, and nothing to return to.
    let guard = match (&rollout.outgoing, state.environments.get(key)) {
        (Some(_), Some(environment)) => environment.settings.guard,
        _ => Millis(0),
    };
    if guard.0 > 0 {
        let sentence = format!("the new release is watched for {guard}");
        state.record(Kind::Rollout, &itself(), Some(key), "app", sentence);
    }
    let until = state.now.plus(guard);
    set_phase(state, key, Phase::Guarding { generation, until })
}

fn complete(state: &mut State, key: &EnvironmentKey, rollout: &Rollout) -> Result<(), Rejection> {
    let Phase::Guarding { generation, .. } = rollout.phase else {
        return Err(Rejection::stale(format_args!("the promotion in {key}")));
    };
    set_phase(state, key, Phase::Complete { generation })?;
    if let Some(outgoing) = rollout.outgoing_key() {
        // Its frontends are gone; only the record of them is left to clear.
        set_status(state, &outgoing, LoadedStatus::Unloading);
    }
    if let (Some(incoming), Some(roll)) = (rollout.incoming_key(), rollout.roll()) {
        // Limits may have changed since it was complete.
        set_counts(state, &incoming, &roll.targets);
    }
    release::served(state, rollout.incoming.as_ref());
    release::collect(state, key);
    touch(state, key);
    state.reroute(key);
    let name = rollout
        .incoming
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let sentence = format!("release {name} is active in {}", key.name);
    state.record(Kind::Rollout, &itself(), Some(key), name, sentence);
    Ok(())
}

pub(super) fn revert(
    state: &mut State,
    key: &EnvironmentKey,
    rollout: &Rollout,
    reason: String,
) -> Result<(), Rejection> {
    let Some(roll) = rollout.roll() else {
        return Err(Rejection::stale(format_args!("the promotion in {key}")));
    };
    if matches!(rollout.phase, Phase::Guarding { .. }) {
        if let Some(outgoing) = rollout.outgoing_key() {
            change_status(state, &outgoing, LoadedStatus::Active)?;
        }
        if let Some(environment) = state.environments.get_mut(key) {
            environment.active = rollout.outgoing.clone();
            environment.previous = roll.previous.clone();
        }
    }
    if let Some(incoming) = rollout.incoming_key() {
        change_status(state, &incoming, LoadedStatus::Deactivating)?;
    }
    keep_what_is_left(state, rollout);
    set_phase(
        state,
        key,
        Phase::Reverting {
            reason: reason.clone(),
        },
    )?;
    let now = state.now;
    if let Some(rollout) = state.rollouts.get_mut(key) {
        rollout.deadline = now.plus(DEADLINE);
    }
    touch(state, key);
    state.reroute(key);
    let subject = rollout
        .incoming
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    // One line of history; what the frontend wrote last stands in the rollout.
    let cause = reason.lines().next().unwrap_or_default();
    let cause = cause.trim_end_matches("; last output:");
    let sentence = format!("promotion of {subject} is reversed: {cause}");
    state.record(Kind::Rollout, &itself(), Some(key), subject, sentence);
    status(state, key, "Updating", "Rollback");
    Ok(())
}

/// Frontends of the outgoing release that were still to leave are wanted again.
fn keep_what_is_left(state: &mut State, rollout: &Rollout) {
    let (Some(roll), Some(outgoing)) = (rollout.roll(), rollout.outgoing_key()) else {
        return;
    };
    let index = state.index;
    for (service, before) in &roll.outgoing {
        let left = state.group(&outgoing, service).map_or(0, Group::kept);
        if let Some(loaded) = state.loaded.get_mut(&outgoing)
            && let Some(count) = loaded.desired.get_mut(service)
        {
            *count = left.clamp(*count, (*before).max(*count));
            loaded.revision = index;
        }
    }
}

/// The outgoing release is back, as far as it can be.
fn reverted(state: &mut State, key: &EnvironmentKey, rollout: &Rollout) -> Result<(), Rejection> {
    let (Phase::Reverting { reason }, Some(roll)) = (&rollout.phase, rollout.roll()) else {
        return Err(Rejection::stale(format_args!("the promotion in {key}")));
    };
    set_phase(
        state,
        key,
        Phase::Failed {
            reason: reason.clone(),
        },
    )?;
    if let Some(outgoing) = rollout.outgoing_key() {
        set_counts(state, &outgoing, &roll.outgoing);
    }
    if let Some(incoming) = rollout.incoming_key() {
        match (&roll.incoming, &rollout.outgoing) {
            (Some(counts), _) => {
                set_counts(state, &incoming, counts);
                change_status(state, &incoming, LoadedStatus::Running)?;
            }
            (None, Some(_)) => change_status(state, &incoming, LoadedStatus::Unloading)?,
            // The first release of an environment has nothing to return to; it is kept to be
            // looked at.
            (None, None) => change_status(
                state,
                &incoming,
                LoadedStatus::Failed {
                    reason: reason.clone(),
                },
            )?,
        }
    }
    touch(state, key);
    state.reroute(key);
    let ended = if rollout.outgoing.is_some() {
        "Reverted"
    } else {
        "Failure"
    };
    status(state, key, "Rollback", ended);
    Ok(())
}

fn set_counts(state: &mut State, key: &LoadedKey, counts: &OrdMap<ServiceName, u32>) {
    let index = state.index;
    if let Some(loaded) = state.loaded.get_mut(key) {
        loaded.desired = counts.clone();
        loaded.revision = index;
    }
}
