//! Apps.

use std::sync::Arc;

use super::{
    Code, Detail, Rejection,
    environment::{new_environment, refuse_if_destroying},
};
use crate::{
    State,
    app::App,
    environment::DEFAULT_NAME,
    event::Kind,
    ids::{AppName, EnvironmentKey, EnvironmentName},
    reference::{self, unknown_app},
};

pub(super) fn create(state: &mut State, name: &str, actor: &Arc<str>) -> Result<Detail, Rejection> {
    let name = AppName::parse(name).map_err(invalid)?;
    if state.apps.contains_key(&name) {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!("app {name} exists already"),
        ));
    }
    let default_environment = EnvironmentName::parse(DEFAULT_NAME).map_err(invalid)?;
    let app = App {
        name: name.clone(),
        created: state.now,
        default_environment: default_environment.clone(),
        locked: false,
        revision: state.index,
    };
    state.apps.insert(name.clone(), app);
    let key = EnvironmentKey {
        app: name.clone(),
        name: default_environment,
    };
    new_environment(state, key);
    state.record(
        Kind::App,
        actor,
        None,
        name.as_str(),
        format!("app {name} created"),
    );
    Ok(Detail::Done)
}

pub(super) fn delete(
    state: &mut State,
    name: &AppName,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let Some(app) = state.apps.get(name) else {
        return Err(unknown_app(state, name.as_str()));
    };
    if app.locked {
        return Err(Rejection::new(
            Code::Locked,
            format!("app {name} is locked and cannot be deleted"),
        )
        .hint(format!("fleet apps unlock {name}")));
    }
    for environment in state.environments_of(name) {
        let key = &environment.key;
        if environment.settings.protected {
            return Err(
                Rejection::new(Code::Protected, format!("environment {key} is protected"))
                    .hint(format!("fleet env protected {} OFF -a {name}", key.name)),
            );
        }
        if state.loaded_in(key).next().is_some() {
            return Err(Rejection::new(
                Code::InUse,
                format!("releases are loaded in environment {key}"),
            )
            .hint(format!(
                "destroy it first: fleet env destroy {} -a {name}",
                key.name
            )));
        }
    }
    let keys: Vec<_> = state.environments_of(name).map(|e| e.key.clone()).collect();
    for key in keys {
        super::environment::forget(state, &key);
    }
    let builds: Vec<_> = state
        .builds
        .values()
        .filter(|b| b.app == *name)
        .map(|b| b.id.clone())
        .collect();
    for build in builds {
        state.builds.remove(&build);
    }
    state.apps.remove(name);
    state.record(
        Kind::App,
        actor,
        None,
        name.as_str(),
        format!("app {name} deleted"),
    );
    Ok(Detail::Done)
}

/// Guards an app against deletion, or no longer.
pub(super) fn lock(
    state: &mut State,
    name: &AppName,
    on: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let index = state.index;
    let Some(app) = state.apps.get_mut(name) else {
        return Err(unknown_app(state, name.as_str()));
    };
    app.locked = on;
    app.revision = index;
    let sentence = format!("app {name} {}", if on { "locked" } else { "unlocked" });
    state.record(Kind::App, actor, None, name.as_str(), sentence);
    Ok(Detail::Done)
}

pub(super) fn set_default_environment(
    state: &mut State,
    app: &AppName,
    name: &EnvironmentName,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let key = EnvironmentKey {
        app: app.clone(),
        name: name.clone(),
    };
    refuse_if_destroying(reference::environment(state, &key)?)?;
    let index = state.index;
    if let Some(app) = state.apps.get_mut(app) {
        app.default_environment = name.clone();
        app.revision = index;
    }
    let sentence = format!("{name} is the default environment of {app}");
    state.record(Kind::App, actor, None, app.as_str(), sentence);
    Ok(Detail::Done)
}

pub(super) fn invalid(error: crate::ids::InvalidName) -> Rejection {
    Rejection::new(Code::InvalidName, error.to_string())
        .hint("lowercase letters, digits and dashes, beginning with a letter")
}
