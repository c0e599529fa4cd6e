//! Activation and deactivation: one committed pointer moves.

use std::sync::Arc;

use super::{
    Advance, Code, Detail, Rejection,
    domain::refuse_if_taken,
    environment::{refuse_if_destroying, refuse_if_protected, refuse_if_rolling},
    itself,
    load::{change_status, set_status, touch},
    promotion, release,
};
use crate::{
    State,
    environment::{Loaded, LoadedStatus, Previous},
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ReleaseId, RolloutId},
    plan::warmth,
    reference,
    rollout::{DEADLINE, Phase, Rollout, Strategy},
};

pub(super) fn activate(
    state: &mut State,
    key: &EnvironmentKey,
    asked: &str,
    now: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?.clone();
    refuse_if_destroying(&environment)?;
    let incoming = reference::loaded(state, &environment, asked)?;
    refuse_if_rolling(state, key)?;
    let loaded = state
        .loaded
        .get(&incoming)
        .ok_or_else(|| Rejection::stale("the release"))?;
    refuse_unless_ready(loaded, key)?;
    refuse_if_taken(state, key, &loaded.manifest)?;
    let name = loaded.name.clone();
    let outgoing = environment.active.clone();
    let before = loaded.desired.clone();
    if !now {
        warm_up(state, &incoming, outgoing.as_ref());
    }
    let id = begin(
        state,
        key,
        Some(incoming.release.clone()),
        outgoing,
        Strategy::Switch { before },
        Phase::Warming,
    );
    let sentence = format!("release {name} is being activated in {}", key.name);
    state.record(Kind::Rollout, actor, Some(key), name.clone(), sentence);
    // A warm release needs nothing but the pointer: the switch is this very entry.
    if now || warmth::of(state, &incoming).is_warm() {
        switch(state, key)?;
    } else {
        change_status(state, &incoming, LoadedStatus::Activating)?;
    }
    Ok(Detail::Rollout {
        id,
        release: Some(incoming.release),
        name,
    })
}

fn refuse_unless_ready(loaded: &Loaded, key: &EnvironmentKey) -> Result<(), Rejection> {
    let name = &loaded.name;
    let describe = format!("fleet env describe {} -a {}", key.name, key.app);
    match &loaded.status {
        LoadedStatus::Running | LoadedStatus::Deactivating => Ok(()),
        LoadedStatus::Active | LoadedStatus::Activating => Err(Rejection::new(
            Code::AlreadyActive,
            format!("release {name} is already active in {}", key.name),
        )),
        LoadedStatus::Loading => Err(Rejection::new(
            Code::NotReady,
            format!("release {name} is still LOADING into {}", key.name),
        )
        .hint(format!("activate it when it is RUNNING: {describe}"))),
        LoadedStatus::Failed { reason } => Err(Rejection::new(
            Code::NotReady,
            format!("release {name} FAILED to load into {}: {reason}", key.name),
        )
        .hint(format!(
            "try again: fleet env {} load {name} -a {}",
            key.name, key.app
        ))),
        LoadedStatus::Unloading => Err(Rejection::new(
            Code::NotLoaded,
            format!("release {name} is being unloaded from {}", key.name),
        )
        .hint(format!("load it again when it is gone: {describe}"))),
    }
}

fn warm_up(state: &mut State, incoming: &LoadedKey, outgoing: Option<&ReleaseId>) {
    let counts = warmth::counts(state, incoming, outgoing);
    let index = state.index;
    if let Some(loaded) = state.loaded.get_mut(incoming)
        && loaded.desired != counts
    {
        loaded.desired = counts;
        loaded.revision = index;
    }
}

pub(super) fn begin(
    state: &mut State,
    key: &EnvironmentKey,
    incoming: Option<ReleaseId>,
    outgoing: Option<ReleaseId>,
    strategy: Strategy,
    phase: Phase,
) -> RolloutId {
    let id = RolloutId(state.index);
    let rollout = Rollout {
        id,
        environment: key.clone(),
        incoming,
        outgoing,
        strategy,
        phase,
        started: state.now,
        since: state.now,
        deadline: state.now.plus(DEADLINE),
        revision: state.index,
    };
    state.rollouts.insert(key.clone(), rollout);
    id
}

pub(super) fn deactivate(
    state: &mut State,
    key: &EnvironmentKey,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?.clone();
    refuse_if_destroying(&environment)?;
    refuse_if_protected(&environment, "be deactivated")?;
    refuse_if_rolling(state, key)?;
    let outgoing = reference::loaded(state, &environment, "active")?;
    let name = state
        .loaded
        .get(&outgoing)
        .map(|l| l.name.clone())
        .unwrap_or_default();
    let id = begin(
        state,
        key,
        None,
        Some(outgoing.release),
        Strategy::Switch {
            before: imbl::OrdMap::new(),
        },
        Phase::Warming,
    );
    let sentence = format!("release {name} is being deactivated in {}", key.name);
    state.record(Kind::Rollout, actor, Some(key), name.clone(), sentence);
    switch(state, key)?;
    Ok(Detail::Rollout {
        id,
        release: None,
        name,
    })
}

/// The one moment at which traffic changes sides.
fn switch(state: &mut State, key: &EnvironmentKey) -> Result<(), Rejection> {
    let Some(rollout) = state.rollouts.get(key).cloned() else {
        return Err(Rejection::stale("the rollout"));
    };
    move_pointer(state, key, &rollout)?;
    touch(state, key);
    let generation = state.reroute(key);
    set_phase(state, key, Phase::Switching { generation })?;
    let sentence = format!(
        "traffic of {} switches with route table {generation}",
        key.name
    );
    state.record(
        Kind::Rollout,
        &itself(),
        Some(key),
        rollout.id.to_string(),
        sentence,
    );
    Ok(())
}

/// The incoming release is the active one, the outgoing the previous.
pub(super) fn move_pointer(
    state: &mut State,
    key: &EnvironmentKey,
    rollout: &Rollout,
) -> Result<(), Rejection> {
    if let Some(incoming) = rollout.incoming_key() {
        change_status(state, &incoming, LoadedStatus::Active)?;
    }
    if let Some(outgoing) = rollout.outgoing_key() {
        change_status(state, &outgoing, LoadedStatus::Deactivating)?;
    }
    if let Some(environment) = state.environments.get_mut(key) {
        environment.active = rollout.incoming.clone();
        environment.previous = match (&rollout.outgoing, &environment.previous) {
            (Some(outgoing), _) => Previous::Release(outgoing.clone()),
            (None, Previous::Never) => Previous::None,
            // Deactivated and activated again: nothing else was active before it.
            (None, Previous::Release(before)) if rollout.incoming.as_ref() == Some(before) => {
                Previous::None
            }
            (None, before) => before.clone(),
        };
    }
    Ok(())
}

/// From the planner: the next step of a rollout.
pub(super) fn advance(
    state: &mut State,
    key: &EnvironmentKey,
    id: RolloutId,
    assumed: u64,
    step: Advance,
) -> Result<Detail, Rejection> {
    let rollout = state
        .rollouts
        .get(key)
        .filter(|rollout| rollout.id == id && rollout.revision == assumed)
        .cloned()
        .ok_or_else(|| Rejection::stale(format_args!("the rollout of {key}")))?;
    let generation = rollout.phase.generation().unwrap_or_default();
    match step {
        _ if rollout.roll().is_some() => promotion::advance(state, key, &rollout, step)?,
        Advance::Switch => {
            let incoming = rollout.incoming_key();
            if !incoming.is_some_and(|incoming| warmth::of(state, &incoming).is_warm()) {
                return Err(Rejection::stale("the warmth of the release"));
            }
            switch(state, key)?;
        }
        Advance::Confirmed => set_phase(state, key, Phase::Draining { generation })?,
        Advance::Drained => {
            set_phase(state, key, Phase::Complete { generation })?;
            complete(state, key, &rollout);
        }
        Advance::Fail { reason } => fail(state, key, &rollout, &reason)?,
        Advance::Roll
        | Advance::Settle
        | Advance::Guarded
        | Advance::Revert { .. }
        | Advance::Reverted => return Err(Rejection::stale(format_args!("the rollout of {key}"))),
    }
    Ok(Detail::Done)
}

fn complete(state: &mut State, key: &EnvironmentKey, rollout: &Rollout) {
    let incoming = rollout.incoming_key();
    let name = incoming
        .and_then(|key| state.loaded.get(&key))
        .map(|loaded| loaded.name.clone());
    if let Some(outgoing) = rollout.outgoing_key() {
        let leaving = state.loaded.get(&outgoing).map(|loaded| &loaded.status);
        if leaving == Some(&LoadedStatus::Deactivating) {
            set_status(state, &outgoing, LoadedStatus::Running);
        }
    }
    release::served(state, rollout.incoming.as_ref());
    let sentence = match name {
        Some(name) => format!("release {name} is ACTIVE in {}", key.name),
        None => format!("no release is active in {}", key.name),
    };
    touch(state, key);
    state.record(
        Kind::Rollout,
        &itself(),
        Some(key),
        rollout.id.to_string(),
        sentence,
    );
}

/// Before the switch nothing was taken from anybody: the incoming release is as it was.
pub(super) fn fail(
    state: &mut State,
    key: &EnvironmentKey,
    rollout: &Rollout,
    reason: &str,
) -> Result<(), Rejection> {
    let failed = Phase::Failed {
        reason: reason.to_owned(),
    };
    set_phase(state, key, failed)?;
    if let Some(incoming) = rollout.incoming_key() {
        let warming = state.loaded.get(&incoming).map(|loaded| &loaded.status);
        if warming == Some(&LoadedStatus::Activating) {
            set_status(state, &incoming, LoadedStatus::Running);
            if let (Some(loaded), Strategy::Switch { before }) =
                (state.loaded.get_mut(&incoming), &rollout.strategy)
            {
                loaded.desired = before.clone();
            }
        }
    }
    touch(state, key);
    let sentence = format!("activation in {} failed: {reason}", key.name);
    state.record(
        Kind::Rollout,
        &itself(),
        Some(key),
        rollout.id.to_string(),
        sentence,
    );
    Ok(())
}

pub(super) fn set_phase(
    state: &mut State,
    key: &EnvironmentKey,
    next: Phase,
) -> Result<(), Rejection> {
    let (now, index) = (state.now, state.index);
    match state.rollouts.get_mut(key) {
        Some(rollout) if rollout.phase.may_become(&next) => {
            rollout.phase = next;
            rollout.since = now;
            rollout.revision = index;
            Ok(())
        }
        _ => Err(Rejection::stale(format_args!("the rollout of {key}"))),
    }
}
