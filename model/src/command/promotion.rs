//! Promotion: frontends of one release give way to those of another, and back if that fails.

mod steps;

use std::sync::Arc;

use imbl::OrdMap;

pub(super) use self::steps::advance;
use self::steps::revert;
use super::{
    Code, Detail, Rejection,
    domain::refuse_if_taken,
    environment::{refuse_if_destroying, refuse_if_rolling},
    itself,
    load::{first_counts, first_time, forgiven, release_of, touch},
    release,
    rollout::begin,
};
use crate::{
    State,
    environment::{Environment, Loaded, LoadedStatus},
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ReleaseId, ServiceName},
    plan::rolling::{bounds, targets},
    reference::{self, Loadable},
    rollout::{Grown, Phase, Roll, Strategy},
    scaling::Past,
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
    if let Some(under_way) = under_way(state, &environment, &release) {
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
fn under_way(state: &State, environment: &Environment, release: &ReleaseId) -> Option<Detail> {
    let rollout = state.rollouts.get(&environment.key)?;
    let ahead = matches!(rollout.phase, Phase::Rolling | Phase::Guarding { .. });
    let same = rollout.answers(release, environment.active.as_ref());
    let loaded = state.loaded.get(&rollout.incoming_key()?)?;
    (ahead && same).then(|| Detail::Rollout {
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
    refuse_if_taken(state, key, &loaded.manifest)?;
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
        grown: Grown::default(),
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
        failures: 0,
        scaling: carried(&loaded, outgoing),
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

/// When counts last changed is of the service, whichever release it is of: a promotion is no way
/// around the grace period.
fn carried(loaded: &Loaded, outgoing: Option<&Loaded>) -> OrdMap<ServiceName, Past> {
    let mut scaling = loaded.scaling.clone();
    for (service, past) in outgoing.into_iter().flat_map(|outgoing| &outgoing.scaling) {
        if loaded.manifest.services.contains_key(service) {
            let own = scaling.entry(service.clone()).or_default();
            own.grew = own.grew.max(past.grew);
            own.shrank = own.shrank.max(past.shrank);
            own.set = own.set.max(past.set);
        }
    }
    scaling
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
        // The first release has taken over, and there is nothing to go back to.
        Phase::Guarding { .. } if rollout.outgoing.is_none() => {
            return Err(Rejection::new(
                Code::RolloutInProgress,
                format!("the traffic of {} has switched already", key.name),
            )
            .hint(format!(
                "take it off: fleet env {} deactivate -a {}",
                key.name, key.app
            )));
        }
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

/// The line Convox prints of an app's status (surface.md B.2).
fn status(state: &mut State, key: &EnvironmentKey, from: &str, to: &str) {
    let sentence = format!("Status: {from} => {to}");
    state.record(Kind::Rollout, &itself(), Some(key), "app", sentence);
}
