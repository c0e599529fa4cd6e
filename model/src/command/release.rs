//! Releases: what is made when variables change, when something is built, and by copying.

use std::sync::Arc;

use super::{Code, Detail, Rejection, environment::refuse_if_destroying};
use crate::{
    State,
    environment::Previous,
    event::Kind,
    ids::{BuildId, EnvironmentKey, ReleaseId},
    reference,
    release::{Release, Variables},
};

/// Releases kept per environment of those that were ever active, and as many of those that never
/// were. Loaded ones, and those anything refers to, are kept beside them.
pub const KEPT_RELEASES: usize = 20;

/// Makes a release the environment's newest: its variables are what the next one is forked from.
pub(super) fn make(
    state: &mut State,
    key: &EnvironmentKey,
    build: Option<BuildId>,
    variables: Variables,
    description: String,
) -> ReleaseId {
    let id = ReleaseId::from_index(state.index);
    let release = Release {
        id: id.clone(),
        environment: key.clone(),
        build,
        variables: variables.clone(),
        description,
        created: state.now,
        served: None,
    };
    state.releases.insert(id.clone(), release);
    let (now, index) = (state.now, state.index);
    if let Some(environment) = state.environments.get_mut(key) {
        environment.variables = variables;
        environment.newest = Some(id.clone());
        environment.updated = now;
        environment.revision = index;
    }
    collect(state, key);
    id
}

/// A release with the build of one and the variables of another.
pub(super) fn create_from(
    state: &mut State,
    key: &EnvironmentKey,
    build_from: &str,
    variables_from: &str,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?.clone();
    refuse_if_destroying(&environment)?;
    let build = found(state, &reference::release(state, &environment, build_from)?)?.build;
    let variables = reference::release(state, &environment, variables_from)?;
    let variables = found(state, &variables)?.variables;
    let description = "created-from".to_owned();
    let release = make(state, key, build, variables, description.clone());
    state.record(
        Kind::Release,
        actor,
        Some(key),
        release.as_str(),
        description.clone(),
    );
    Ok(Detail::Release {
        release,
        description,
    })
}

/// A copy keeps the description of its source (surface.md B.2).
pub(super) fn copy(
    state: &mut State,
    key: &EnvironmentKey,
    source: &ReleaseId,
    actor: &Arc<str>,
) -> Result<ReleaseId, Rejection> {
    let Release {
        build,
        variables,
        description,
        ..
    } = found(state, source)?;
    let copy = make(state, key, build, variables, description);
    let sentence = format!("release {copy} is a copy of {source}");
    state.record(Kind::Release, actor, Some(key), copy.as_str(), sentence);
    Ok(copy)
}

fn found(state: &State, id: &ReleaseId) -> Result<Release, Rejection> {
    let release = state.releases.get(id).cloned();
    release.ok_or_else(|| Rejection::new(Code::UnknownRelease, format!("there is no release {id}")))
}

/// Notes that a release took over and stayed healthy: a rollback may return to it.
pub(super) fn served(state: &mut State, release: Option<&ReleaseId>) {
    let now = state.now;
    if let Some(release) = release.and_then(|id| state.releases.get_mut(id)) {
        release.served = Some(now);
    }
}

/// Forgets the oldest releases of an environment. What is loaded, active, newest, previous or being
/// rolled out is never forgotten.
pub(super) fn collect(state: &mut State, key: &EnvironmentKey) {
    let (mut served, mut never) = (Vec::new(), Vec::new());
    for release in state.releases.values().filter(|r| r.environment == *key) {
        match release.served {
            Some(at) => served.push((at, release.created, release.id.clone())),
            None => never.push((release.created, release.created, release.id.clone())),
        }
    }
    for mut releases in [served, never] {
        releases.sort();
        let surplus = releases.len().saturating_sub(KEPT_RELEASES);
        for (_, _, release) in releases.into_iter().take(surplus) {
            if !referenced(state, key, &release) {
                state.releases.remove(&release);
            }
        }
    }
}

fn referenced(state: &State, key: &EnvironmentKey, release: &ReleaseId) -> bool {
    let by_environment = state.environments.get(key).is_some_and(|environment| {
        environment.active.as_ref() == Some(release)
            || environment.newest.as_ref() == Some(release)
            || environment.previous == Previous::Release(release.clone())
    });
    let loaded = state
        .loaded_in(key)
        .any(|(loaded, _)| loaded.release == *release);
    let rolling = state.rollouts.get(key).is_some_and(|rollout| {
        rollout.incoming.as_ref() == Some(release) || rollout.outgoing.as_ref() == Some(release)
    });
    by_environment || loaded || rolling
}
