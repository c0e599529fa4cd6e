//! Loading releases into environments, and taking them out again.

use std::sync::Arc;

use super::{
    Code, Detail, Rejection, Verdict,
    environment::{refuse_if_destroying, refuse_if_protected, refuse_if_rolling},
    itself, release,
};
use crate::{
    State,
    build::Build,
    environment::{Environment, Loaded, LoadedStatus, Previous, Slot},
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ReleaseId, ServiceName},
    manifest::{Manifest, Service},
    plan::placement,
    reference::{self, Loadable},
    release::Release,
};

type Slots = imbl::OrdMap<(ServiceName, u32), Slot>;

pub(super) fn load(
    state: &mut State,
    key: &EnvironmentKey,
    asked: &str,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?.clone();
    refuse_if_destroying(&environment)?;
    let release = match reference::loadable(state, &environment, asked)? {
        Loadable::Release(id) => id,
        Loadable::Build(build) => {
            let build = build.clone();
            release_of(state, &environment, &build)
        }
    };
    let loaded_key = LoadedKey {
        environment: key.clone(),
        release: release.clone(),
    };
    let loaded = match state.loaded.get(&loaded_key) {
        Some(loaded) => again(loaded, key)?,
        None => first_time(state, &environment, &release)?,
    };
    let name = loaded.name.clone();
    let fresh = Loaded {
        desired: first_counts(state, &loaded, &environment),
        status: LoadedStatus::Loading,
        slots: forgiven(&loaded.slots),
        failures: 0,
        since: state.now,
        updated: state.now,
        revision: state.index,
        ..loaded
    };
    state.loaded.insert(loaded_key, fresh);
    touch(state, key);
    state.reroute(key);
    let sentence = format!("release {name} is being loaded into {}", key.name);
    state.record(Kind::Release, actor, Some(key), name.clone(), sentence);
    Ok(Detail::Loaded { release, name })
}

/// The release of this build with the environment's current variables: the one there is, or a new
/// one. Equal content is equal behaviour, so nothing is made twice.
pub(super) fn release_of(state: &mut State, environment: &Environment, build: &Build) -> ReleaseId {
    let twin = state
        .releases
        .values()
        .filter(|release| {
            release.environment == environment.key
                && release.build.as_ref() == Some(&build.id)
                && release.variables == environment.variables
        })
        .max_by_key(|release| (release.created, release.id.clone()));
    if let Some(release) = twin {
        return release.id.clone();
    }
    let description = super::build::describe(&build.name, &build.message);
    let variables = environment.variables.clone();
    release::make(
        state,
        &environment.key,
        Some(build.id.clone()),
        variables,
        description,
    )
}

/// A release as it is loaded for the first time; its counts are yet to be set.
pub(super) fn first_time(
    state: &State,
    environment: &Environment,
    id: &ReleaseId,
) -> Result<Loaded, Rejection> {
    let release = state
        .releases
        .get(id)
        .ok_or_else(|| Rejection::stale("the release"))?;
    let build = release
        .build
        .as_ref()
        .and_then(|build| state.builds.get(build))
        .ok_or_else(|| {
            Rejection::new(
                Code::BuildNotAvailable,
                format!("release {id} has no build to run"),
            )
            .hint(format!(
                "create one: fleet release create OBJECT -a {}",
                environment.key.app
            ))
        })?;
    reference::available(build)?;
    let manifest = manifest_of(build, release)?;
    Ok(Loaded {
        release: id.clone(),
        build: build.id.clone(),
        name: free_name(state, &environment.key, &build.name),
        status: LoadedStatus::Loading,
        loaded: state.now,
        updated: state.now,
        since: state.now,
        manifest: Arc::new(manifest),
        variables: release.variables.clone(),
        desired: imbl::OrdMap::new(),
        slots: imbl::OrdMap::new(),
        failures: 0,
        restarts: imbl::OrdMap::new(),
        scaling: imbl::OrdMap::new(),
        revision: state.index,
    })
}

/// The manifest of a build as a release runs it; refused before anything starts.
fn manifest_of(build: &Build, release: &Release) -> Result<Manifest, Rejection> {
    if let Some(sentence) = build.manifest.unsupported() {
        return Err(Rejection::new(Code::Unsupported, sentence));
    }
    let missing = build.manifest.missing(&release.variables);
    if let Some(first) = missing.first() {
        let key = &release.environment;
        let names = missing.join(", ");
        return Err(Rejection::new(
            Code::MissingVariables,
            format!(
                "release {} needs variables that are not set: {names}",
                release.id
            ),
        )
        .hint(format!(
            "set them: fleet env set {first}=VALUE -a {} -e {}",
            key.app, key.name
        ))
        .candidates(missing.iter().map(ToString::to_string).collect()));
    }
    build
        .manifest
        .interpolate(&release.variables)
        .map_err(|sentence| Rejection::new(Code::InvalidValue, sentence))
}

/// Only a release that failed may be loaded while it is loaded.
fn again(loaded: &Loaded, key: &EnvironmentKey) -> Result<Loaded, Rejection> {
    match loaded.status {
        LoadedStatus::Failed { .. } => Ok(loaded.clone()),
        LoadedStatus::Unloading => Err(Rejection::new(
            Code::InUse,
            format!(
                "release {} is just being unloaded from {}",
                loaded.name, key.name
            ),
        )
        .hint("load it when it is gone: fleet env describe shows it")),
        _ => Err(Rejection::new(
            Code::AlreadyLoaded,
            format!("release {} is already loaded in {}", loaded.name, key.name),
        )
        .hint(format!(
            "activate it: fleet env {} activate {}",
            key.name, loaded.name
        ))),
    }
}

/// `8ef9d2f`, or `8ef9d2f-2` and so on while that is taken in this environment.
fn free_name(state: &State, key: &EnvironmentKey, build: &str) -> String {
    let taken = |name: &str| state.loaded_in(key).any(|(_, loaded)| loaded.name == name);
    std::iter::once(build.to_owned())
        .chain((2_u32..).map(|number| format!("{build}-{number}")))
        .find(|name| !taken(name))
        .unwrap_or_else(|| build.to_owned())
}

/// Slots start anew, but their incarnations go on: a frontend of the attempt before may still be on
/// its way out.
pub(super) fn forgiven(slots: &Slots) -> Slots {
    let forget_failures = |slot: &Slot| Slot {
        incarnation: slot.incarnation,
        ..Slot::default()
    };
    slots
        .iter()
        .map(|(key, slot)| (key.clone(), forget_failures(slot)))
        .collect()
}

/// The counts of a release that is loaded for the first time.
pub(super) fn first_counts(
    state: &State,
    loaded: &Loaded,
    environment: &Environment,
) -> imbl::OrdMap<ServiceName, u32> {
    let count = |name: &ServiceName, service: &Service| {
        if service.agent {
            return placement::agents(state, service);
        }
        let bounds = loaded.bounds(name, &environment.settings);
        bounds.clamp(service.scale.map_or(bounds.min, |scale| scale.count))
    };
    loaded
        .manifest
        .services
        .iter()
        .map(|(name, service)| (name.clone(), count(name, service)))
        .collect()
}

/// From the planner: the count of an agent service follows the nodes.
pub(super) fn recount(
    state: &mut State,
    key: &LoadedKey,
    assumed: u64,
    service: &ServiceName,
    count: u32,
) -> Result<Detail, Rejection> {
    let index = state.index;
    let loaded = state.loaded.get_mut(key).filter(|l| l.revision == assumed);
    let current = loaded.and_then(|loaded| {
        loaded.revision = index;
        loaded.desired.get_mut(service)
    });
    let Some(current) = current else {
        return Err(Rejection::stale(format_args!("release {}", key.release)));
    };
    let before = std::mem::replace(current, count);
    let sentence = format!("{service} runs on {count} nodes, {before} before");
    state.record(
        Kind::Scaling,
        &itself(),
        Some(&key.environment),
        service.as_str(),
        sentence,
    );
    Ok(Detail::Done)
}

pub(super) fn unload(
    state: &mut State,
    key: &EnvironmentKey,
    asked: &str,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?.clone();
    refuse_if_destroying(&environment)?;
    let loaded_key = reference::loaded(state, &environment, asked)?;
    let active = environment.active.as_ref() == Some(&loaded_key.release);
    let rolling = state.rollouts.get(key).is_some_and(|rollout| {
        let release = Some(&loaded_key.release);
        rollout.incoming.as_ref() == release || rollout.outgoing.as_ref() == release
    });
    if rolling {
        refuse_if_rolling(state, key)?;
    }
    if active {
        refuse_if_protected(&environment, "have its active release unloaded")?;
        if let Some(environment) = state.environments.get_mut(key) {
            environment.active = None;
            environment.previous = Previous::None;
        }
        set_status(state, &loaded_key, LoadedStatus::Deactivating);
    } else if environment.previous == Previous::Release(loaded_key.release.clone())
        && let Some(environment) = state.environments.get_mut(key)
    {
        environment.previous = Previous::None;
    }
    let status = state
        .loaded
        .get(&loaded_key)
        .map(|loaded| loaded.status.clone());
    if status == Some(LoadedStatus::Unloading) {
        return Err(Rejection::new(
            Code::InUse,
            format!("release {asked} is already being unloaded"),
        ));
    }
    set_status(state, &loaded_key, LoadedStatus::Unloading);
    touch(state, key);
    state.reroute(key);
    let name = state
        .loaded
        .get(&loaded_key)
        .map(|l| l.name.clone())
        .unwrap_or_default();
    let sentence = format!("release {name} is being unloaded from {}", key.name);
    state.record(Kind::Release, actor, Some(key), name.clone(), sentence);
    Ok(Detail::Loaded {
        release: loaded_key.release,
        name,
    })
}

/// From the planner: loading or unloading came to its end.
pub(super) fn settle(
    state: &mut State,
    key: &LoadedKey,
    assumed: u64,
    verdict: Verdict,
) -> Result<Detail, Rejection> {
    let loaded = state
        .loaded
        .get(key)
        .filter(|loaded| loaded.revision == assumed)
        .ok_or_else(|| Rejection::stale(format_args!("release {}", key.release)))?;
    let (name, from) = (loaded.name.clone(), loaded.status.clone());
    let environment = &key.environment;
    let due = match verdict {
        Verdict::Running | Verdict::Failed { .. } => from == LoadedStatus::Loading,
        Verdict::Gone => {
            from == LoadedStatus::Unloading && state.frontends_of(key).next().is_none()
        }
    };
    if !due {
        return Err(Rejection::stale(format_args!("release {name}")));
    }
    let sentence = match verdict {
        Verdict::Gone => {
            state.loaded.remove(key);
            state.reroute(environment);
            format!("release {name} is unloaded from {}", environment.name)
        }
        Verdict::Running => {
            change_status(state, key, LoadedStatus::Running)?;
            format!("release {name} is RUNNING in {}", environment.name)
        }
        Verdict::Failed { reason } => {
            let sentence = format!(
                "release {name} FAILED to load into {}: {reason}",
                environment.name
            );
            change_status(state, key, LoadedStatus::Failed { reason })?;
            sentence
        }
    };
    touch(state, environment);
    state.record(Kind::Release, &itself(), Some(environment), name, sentence);
    Ok(Detail::Done)
}

/// Changes a status if the transition table has it.
pub(super) fn change_status(
    state: &mut State,
    key: &LoadedKey,
    next: LoadedStatus,
) -> Result<(), Rejection> {
    let fits = state
        .loaded
        .get(key)
        .is_some_and(|loaded| loaded.status.may_become(&next));
    if !fits {
        return Err(Rejection::stale(format_args!("release {}", key.release)));
    }
    set_status(state, key, next);
    Ok(())
}

pub(super) fn set_status(state: &mut State, key: &LoadedKey, next: LoadedStatus) {
    let (now, index) = (state.now, state.index);
    if let Some(loaded) = state.loaded.get_mut(key) {
        loaded.status = next;
        loaded.since = now;
        loaded.updated = now;
        loaded.revision = index;
    }
}

pub(super) fn touch(state: &mut State, key: &EnvironmentKey) {
    let (now, index) = (state.now, state.index);
    if let Some(environment) = state.environments.get_mut(key) {
        environment.updated = now;
        environment.revision = index;
    }
}
