//! Promotion: frontends of one release give way to those of another, and back if that fails.

use std::sync::Arc;

use imbl::OrdMap;

use super::{
    Advance, Code, Detail, Rejection,
    environment::{refuse_if_destroying, refuse_if_rolling},
    itself,
    load::{change_status, first_counts, first_time, forgiven, release_of, set_status, touch},
    release,
    rollout::{begin, move_pointer, set_phase},
};
use crate::{
    State,
    environment::{Environment, Loaded, LoadedStatus},
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ReleaseId, ServiceName},
    plan::rolling::{self, bounds, targets},
    reference::{self, Loadable},
    rollout::{DEADLINE, Phase, Roll, Rollout, Strategy},
    state::Group,
};

pub(super) fn promote(
    state: &mut State,
    key: &EnvironmentKey,
    asked: Option<&str>,
    force: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?.clone();
    refuse_if_destroying(&environment)?;
    let release = wanted(state, &environment, asked)?;
    if let Some(under_way) = under_way(state, key, &release) {
        return Ok(under_way);
    }
    refuse_if_rolling(state, key)?;
    if environment.active.as_ref() == Some(&release) {
        return again(state, &environment, &release, force, actor);
    }
    start(state, &environment, &release, actor)
}

/// What `promote` is given: a release by id, the newest build by git name, nothing for the newest.
fn wanted(
    state: &mut State,
    environment: &Environment,
    asked: Option<&str>,
) -> Result<ReleaseId, Rejection> {
    let key = &environment.key;
    match asked {
        None => environment.newest.clone().ok_or_else(|| {
            Rejection::new(
                Code::UnknownRelease,
                format!("environment {} of {} has no release", key.name, key.app),
            )
            .hint(format!("make one: fleet build -a {}", key.app))
        }),
        Some("active" | "previous") => {
            reference::release(state, environment, asked.unwrap_or_default())
        }
        Some(asked) => match reference::loadable(state, environment, asked)? {
            Loadable::Release(id) => Ok(id),
            Loadable::Build(build) => {
                let build = build.clone();
                Ok(release_of(state, environment, &build))
            }
        },
    }
}

/// Asked again for what is being promoted already: whoever lost sight of it finds it again.
fn under_way(state: &State, key: &EnvironmentKey, release: &ReleaseId) -> Option<Detail> {
    let rollout = state.rollouts.get(key)?;
    let rolling = matches!(rollout.phase, Phase::Rolling | Phase::Guarding { .. });
    let same = rollout.incoming.as_ref() == Some(release);
    let loaded = state.loaded.get(&rollout.incoming_key()?)?;
    (rolling && same).then(|| Detail::Rollout {
        id: rollout.id,
        release: Some(release.clone()),
        name: loaded.name.clone(),
    })
}

fn again(
    state: &mut State,
    environment: &Environment,
    release: &ReleaseId,
    force: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let key = &environment.key;
    if force {
        return super::scale::restart(state, key, None, actor);
    }
    Err(Rejection::new(
        Code::AlreadyActive,
        format!("release {release} is already active in {}", key.name),
    )
    .hint(format!(
        "start its frontends anew: fleet restart -a {} -e {}",
        key.app, key.name
    )))
}

fn start(
    state: &mut State,
    environment: &Environment,
    release: &ReleaseId,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let key = &environment.key;
    let incoming = LoadedKey {
        environment: key.clone(),
        release: release.clone(),
    };
    let before = state.loaded.get(&incoming);
    let (loaded, stood) = match before.map(|loaded| (&loaded.status, loaded)) {
        None => (first_time(state, environment, release)?, None),
        Some((LoadedStatus::Failed { .. }, loaded)) => (loaded.clone(), None),
        Some((LoadedStatus::Running, loaded)) => (loaded.clone(), Some(loaded.desired.clone())),
        Some((status, loaded)) => return Err(not_now(&loaded.name, status, key)),
    };
    let outgoing = environment.active.as_ref().and_then(|release| {
        state.loaded.get(&LoadedKey {
            environment: key.clone(),
            release: release.clone(),
        })
    });
    let first = first_counts(state, &loaded, environment);
    let targets = targets(&loaded, outgoing, &environment.settings, &first);
    if let Some(outgoing) = outgoing {
        refuse_if_stuck(&loaded, &targets, outgoing)?;
    }
    let roll = Roll {
        outgoing: outgoing.map(|o| o.desired.clone()).unwrap_or_default(),
        incoming: stood.clone(),
        previous: environment.previous.clone(),
        tolerated: outgoing.map_or(0, |o| recent_failures(state, o, environment)),
        targets,
    };
    let services: Vec<ServiceName> = roll.targets.keys().cloned().collect();
    let nothing = || {
        services
            .into_iter()
            .map(|service| (service, 0_u32))
            .collect()
    };
    let name = loaded.name.clone();
    let fresh = Loaded {
        desired: stood.unwrap_or_else(nothing),
        status: LoadedStatus::Activating,
        slots: forgiven(&loaded.slots),
        since: state.now,
        updated: state.now,
        revision: state.index,
        ..loaded
    };
    state.loaded.insert(incoming, fresh);
    let id = begin(
        state,
        key,
        Some(release.clone()),
        environment.active.clone(),
        Strategy::Roll(roll),
        Phase::Rolling,
    );
    touch(state, key);
    state.reroute(key);
    let sentence = format!(
        "release {release} ({name}) is being promoted in {}",
        key.name
    );
    state.record(Kind::Rollout, actor, Some(key), release.as_str(), sentence);
    status(state, key, "Running", "Pending");
    Ok(Detail::Rollout {
        id,
        release: Some(release.clone()),
        name,
    })
}

fn not_now(name: &str, status: &LoadedStatus, key: &EnvironmentKey) -> Rejection {
    Rejection::new(
        Code::NotReady,
        format!("release {name} is {} in {}", status.as_str(), key.name),
    )
    .hint(format!(
        "promote it when that is over: fleet env describe {} -a {} shows it",
        key.name, key.app
    ))
}

/// At least one step must be possible; if none is, the arithmetic says why.
fn refuse_if_stuck(
    incoming: &Loaded,
    targets: &OrdMap<ServiceName, u32>,
    outgoing: &Loaded,
) -> Result<(), Rejection> {
    let stands = |name: &ServiceName| outgoing.desired.get(name).is_some_and(|count| *count > 0);
    let replaced = incoming
        .manifest
        .services
        .iter()
        .filter(|(name, _)| stands(name));
    for (name, service) in replaced {
        let count = targets.get(name).copied().unwrap_or(0);
        let deployment = service.deployment;
        let bounds = bounds(deployment, count);
        if bounds.leave_room() {
            continue;
        }
        return Err(Rejection::new(
            Code::InvalidValue,
            format!(
                "no frontend of {name} could be replaced: of {count}, {} must stay healthy ({} % \
                 rounded up) and there may be {} at most ({} % rounded down)",
                bounds.minimum, deployment.minimum, bounds.maximum, deployment.maximum
            ),
        )
        .hint(format!(
            "lower services.{name}.deployment.minimum or raise its maximum in the manifest"
        )));
    }
    Ok(())
}

/// Failures of the outgoing release within the time a guard lasts.
fn recent_failures(state: &State, loaded: &Loaded, environment: &Environment) -> u32 {
    let recent = |slot: &&crate::environment::Slot| {
        slot.last_failure
            .as_ref()
            .is_some_and(|failure| state.now.since(failure.at) <= environment.settings.guard)
    };
    u32::try_from(loaded.slots.values().filter(recent).count()).unwrap_or(u32::MAX)
}

/// Copies a release and promotes the copy: the history only grows.
pub(super) fn rollback(
    state: &mut State,
    key: &EnvironmentKey,
    asked: Option<&str>,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?.clone();
    refuse_if_destroying(&environment)?;
    refuse_if_rolling(state, key)?;
    let source = match asked {
        Some(asked) => reference::release(state, &environment, asked)?,
        None => last_good(state, &environment)?,
    };
    let copy = release::copy(state, key, &source, actor)?;
    let environment = reference::environment(state, key)?.clone();
    let rollout = match start(state, &environment, &copy, actor)? {
        Detail::Rollout { id, .. } => id,
        _ => return Err(Rejection::stale("the rollback")),
    };
    Ok(Detail::RolledBack {
        source,
        copy,
        rollout,
    })
}

/// The release that was active and healthy last, the active one aside.
fn last_good(state: &State, environment: &Environment) -> Result<ReleaseId, Rejection> {
    let key = &environment.key;
    state
        .releases
        .values()
        .filter(|release| release.environment == *key)
        .filter(|release| Some(&release.id) != environment.active.as_ref())
        .filter_map(|release| Some((release.served?, release.created, &release.id)))
        .max()
        .map(|(_, _, id)| id.clone())
        .ok_or_else(|| {
            Rejection::new(
                Code::UnknownRelease,
                format!("no other release of {key} was ever active and healthy"),
            )
            .hint(format!(
                "choose one: fleet releases -a {} lists them",
                key.app
            ))
        })
}

/// Reverses what is under way.
pub(super) fn cancel(
    state: &mut State,
    key: &EnvironmentKey,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    reference::environment(state, key)?;
    let under_way = state
        .rollouts
        .get(key)
        .filter(|rollout| !rollout.phase.over());
    let Some(rollout) = under_way.cloned() else {
        return Err(Rejection::new(
            Code::NoRollout,
            format!("nothing is being rolled out in {}", key.name),
        ));
    };
    let reason = format!("cancelled by {actor}");
    let describe = format!("fleet env describe {} -a {}", key.name, key.app);
    match rollout.phase {
        Phase::Warming => super::rollout::fail(state, key, &rollout, &reason)?,
        Phase::Rolling | Phase::Guarding { .. } => revert(state, key, &rollout, reason)?,
        Phase::Reverting { reason } => {
            return Err(Rejection::new(
                Code::RolloutInProgress,
                format!(
                    "the promotion in {} is being reversed already: {reason}",
                    key.name
                ),
            )
            .hint(format!("watch it: {describe}")));
        }
        _ => {
            return Err(Rejection::new(
                Code::RolloutInProgress,
                format!("the traffic of {} has switched already", key.name),
            )
            .hint(format!(
                "go back: fleet env {} activate previous -a {}",
                key.name, key.app
            )));
        }
    }
    Ok(Detail::Rollout {
        id: rollout.id,
        name: rollout
            .incoming
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        release: rollout.incoming,
    })
}

/// From the planner: the next step of a promotion.
pub(super) fn advance(
    state: &mut State,
    key: &EnvironmentKey,
    rollout: &Rollout,
    step: Advance,
) -> Result<(), Rejection> {
    match step {
        Advance::Roll => roll(state, key, rollout),
        Advance::Settle if rolling::done(state, rollout) => settle(state, key, rollout),
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
    touch(state, key);
    let generation = state.reroute(key);
    let guard = state
        .environments
        .get(key)
        .map(|environment| environment.settings.guard)
        .unwrap_or_default();
    status(state, key, "Updating", "Running");
    if guard.0 == 0 || rollout.outgoing.is_none() {
        // Nothing to compare with, and nothing to return to.
        set_phase(
            state,
            key,
            Phase::Guarding {
                generation,
                until: state.now,
            },
        )?;
        let rollout = state.rollouts.get(key).cloned();
        return rollout.map_or(Ok(()), |rollout| complete(state, key, &rollout));
    }
    let sentence = format!("the new release is watched for {guard}");
    state.record(Kind::Rollout, &itself(), Some(key), "app", sentence);
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

fn revert(
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

/// The line Convox prints of an app's status (surface.md B.2).
fn status(state: &mut State, key: &EnvironmentKey, from: &str, to: &str) {
    let sentence = format!("Status: {from} => {to}");
    state.record(Kind::Rollout, &itself(), Some(key), "app", sentence);
}
