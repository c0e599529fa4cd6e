//! Environments come and go.

use std::sync::Arc;

use super::{Code, Detail, Rejection, app::invalid, itself};
use crate::{
    State,
    environment::{Environment, LoadedStatus, Previous, Settings, check_name},
    event::Kind,
    ids::{AppName, EnvironmentKey, EnvironmentName},
    reference::{self, unknown_app},
};

pub(super) fn create(
    state: &mut State,
    app: &AppName,
    name: &str,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    if !state.apps.contains_key(app) {
        return Err(unknown_app(state, app.as_str()));
    }
    let name = EnvironmentName::parse(name).map_err(invalid)?;
    check_name(app, &name)?;
    let key = EnvironmentKey {
        app: app.clone(),
        name: name.clone(),
    };
    if state.environments.contains_key(&key) {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!("environment {name} of {app} exists already"),
        ));
    }
    new_environment(state, key.clone());
    state.record(
        Kind::Environment,
        actor,
        Some(&key),
        name.as_str(),
        format!("environment {name} created"),
    );
    Ok(Detail::Done)
}

pub(super) fn new_environment(state: &mut State, key: EnvironmentKey) {
    let environment = Environment {
        key: key.clone(),
        created: state.now,
        updated: state.now,
        active: None,
        previous: Previous::Never,
        variables: imbl::OrdMap::new(),
        newest: None,
        settings: Settings::initial(&key.name),
        masked: imbl::OrdSet::new(),
        destroying: false,
        revision: state.index,
    };
    state.environments.insert(key.clone(), environment);
    state.reroute(&key);
}

/// Begins the end: everything loaded is unloaded, then the planner removes the environment.
pub(super) fn destroy(
    state: &mut State,
    key: &EnvironmentKey,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?;
    refuse_if_protected(environment, "be destroyed")?;
    refuse_if_rolling(state, key)?;
    let app = state.apps.get(&key.app);
    if app.is_some_and(|app| app.default_environment == key.name) {
        return Err(Rejection::new(
            Code::InUse,
            format!("{} is the default environment of {}", key.name, key.app),
        )
        .hint(format!(
            "choose another first: fleet config default-env NAME -a {}",
            key.app
        )));
    }
    let loaded: Vec<_> = state.loaded_in(key).map(|(k, _)| k.clone()).collect();
    let (now, index) = (state.now, state.index);
    if let Some(environment) = state.environments.get_mut(key) {
        environment.destroying = true;
        environment.active = None;
        environment.updated = now;
        environment.revision = index;
    }
    for key in &loaded {
        super::load::set_status(state, key, LoadedStatus::Unloading);
    }
    state.reroute(key);
    state.record(
        Kind::Environment,
        actor,
        Some(key),
        key.name.as_str(),
        format!("environment {} is being destroyed", key.name),
    );
    if loaded.is_empty() {
        forget(state, key);
    }
    Ok(Detail::Done)
}

/// From the planner: nothing is left in it.
pub(super) fn remove(
    state: &mut State,
    key: &EnvironmentKey,
    assumed: u64,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?;
    if environment.revision != assumed
        || !environment.destroying
        || state.loaded_in(key).next().is_some()
    {
        return Err(Rejection::stale(format_args!("environment {key}")));
    }
    forget(state, key);
    state.record(
        Kind::Environment,
        &itself(),
        Some(key),
        key.name.as_str(),
        format!("environment {} is gone", key.name),
    );
    Ok(Detail::Done)
}

/// Takes an environment and all that belonged to it alone out of the state.
pub(super) fn forget(state: &mut State, key: &EnvironmentKey) {
    let releases: Vec<_> = state
        .releases
        .values()
        .filter(|release| release.environment == *key)
        .map(|release| release.id.clone())
        .collect();
    for release in releases {
        state.releases.remove(&release);
    }
    state.rollouts.remove(key);
    state.environments.remove(key);
    state.reroute(key);
}

pub(super) fn refuse_if_protected(environment: &Environment, what: &str) -> Result<(), Rejection> {
    if !environment.settings.protected {
        return Ok(());
    }
    let key = &environment.key;
    Err(Rejection::new(
        Code::Protected,
        format!("environment {} is protected and cannot {what}", key.name),
    )
    .hint(format!(
        "fleet env protected {} OFF -a {}",
        key.name, key.app
    )))
}

pub(super) fn refuse_if_destroying(environment: &Environment) -> Result<(), Rejection> {
    if !environment.destroying {
        return Ok(());
    }
    let name = &environment.key.name;
    Err(Rejection::new(
        Code::Destroying,
        format!("environment {name} is being destroyed"),
    ))
}

/// One rollout per environment: whoever comes second is told who was first and how far it is.
pub(super) fn refuse_if_rolling(state: &State, key: &EnvironmentKey) -> Result<(), Rejection> {
    let Some(rollout) = state
        .rollouts
        .get(key)
        .filter(|rollout| !rollout.phase.over())
    else {
        return Ok(());
    };
    let incoming = rollout.incoming_key();
    let what = match incoming.and_then(|incoming| state.loaded.get(&incoming)) {
        Some(loaded) if rollout.roll().is_some() => {
            format!("the promotion of {} ({})", loaded.release, loaded.name)
        }
        Some(loaded) => format!("the activation of {}", loaded.name),
        None => "the deactivation".to_owned(),
    };
    Err(Rejection::new(
        Code::RolloutInProgress,
        format!(
            "{what} in environment {} is {}",
            key.name,
            rollout.phase.as_str()
        ),
    )
    .hint(format!(
        "watch it: fleet env describe {} -a {}",
        key.name, key.app
    )))
}
