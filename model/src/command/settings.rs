//! Settings of environments. All take effect at once.

use std::sync::Arc;

use super::{Code, Detail, Rejection, environment::refuse_if_destroying};
use crate::{
    State,
    environment::{Limits, MOST_FRONTENDS, Settings},
    event::Kind,
    ids::{EnvironmentKey, LoadedKey},
    reference,
};

pub(super) fn limits(
    state: &mut State,
    key: &EnvironmentKey,
    limits: Limits,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let Limits { min, max } = limits;
    if min == 0 {
        return Err(Rejection::new(Code::InvalidValue, "the minimum must be at least 1").hint(
            "scaling to zero needs requests to be held until a frontend runs, which comes later",
        ));
    }
    if min > max || max > MOST_FRONTENDS {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("limits {min} to {max} are not a range within 1 to {MOST_FRONTENDS}"),
        )
        .hint(format!("fleet env autoscaling limits {} MIN MAX", key.name)));
    }
    let before = change(state, key, |settings| settings.limits = limits)?.limits;
    let affected: Vec<LoadedKey> = state.loaded_in(key).map(|(k, _)| k.clone()).collect();
    for loaded_key in affected {
        clamp_desired(state, &loaded_key, limits);
    }
    state.record(
        Kind::Scaling,
        actor,
        Some(key),
        key.name.as_str(),
        format!(
            "autoscaling limits {}/{} -> {min}/{max}",
            before.min, before.max
        ),
    );
    Ok(Detail::Done)
}

/// The running count changes only if it is now outside (surface.md A.3).
fn clamp_desired(state: &mut State, key: &LoadedKey, limits: Limits) {
    let index = state.index;
    let Some(loaded) = state.loaded.get_mut(key) else {
        return;
    };
    let services: Vec<_> = loaded.desired.keys().cloned().collect();
    for service in services
        .into_iter()
        .filter(|s| loaded.scaled_by_environment(s))
        .collect::<Vec<_>>()
    {
        if let Some(count) = loaded.desired.get_mut(&service) {
            *count = limits.clamp(*count);
        }
    }
    loaded.revision = index;
}

pub(super) fn desired(
    state: &mut State,
    key: &EnvironmentKey,
    asked: Option<&str>,
    count: u32,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?;
    refuse_if_destroying(environment)?;
    let loaded_key = reference::loaded(state, environment, asked.unwrap_or("active"))?;
    let Limits { min, max } = environment.settings.limits;
    if !(min..=max).contains(&count) {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!(
                "{count} is outside the limits {min} to {max} of environment {}",
                key.name
            ),
        )
        .hint(format!(
            "change them first: fleet env autoscaling limits {} MIN MAX",
            key.name
        )));
    }
    let (now, index) = (state.now, state.index);
    let Some(loaded) = state.loaded.get_mut(&loaded_key) else {
        return Err(Rejection::stale("the release"));
    };
    let scaled: Vec<_> = loaded
        .desired
        .keys()
        .filter(|s| loaded.scaled_by_environment(s))
        .cloned()
        .collect();
    for service in scaled {
        loaded.desired.insert(service, count);
    }
    loaded.updated = now;
    loaded.revision = index;
    let name = loaded.name.clone();
    state.record(
        Kind::Scaling,
        actor,
        Some(key),
        name.clone(),
        format!("count of {name} set to {count} by hand"),
    );
    Ok(Detail::Loaded {
        release: loaded_key.release,
        name,
    })
}

pub(super) fn protected(
    state: &mut State,
    key: &EnvironmentKey,
    on: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    change(state, key, |settings| settings.protected = on)?;
    switched(state, key, "protection", on, actor)
}

pub(super) fn recycling(
    state: &mut State,
    key: &EnvironmentKey,
    on: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    change(state, key, |settings| settings.recycling = on)?;
    switched(state, key, "recycling", on, actor)
}

pub(super) fn maintenance(
    state: &mut State,
    key: &EnvironmentKey,
    on: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    change(state, key, |settings| settings.maintenance = on)?;
    state.reroute(key);
    switched(state, key, "maintenance", on, actor)
}

fn switched(
    state: &mut State,
    key: &EnvironmentKey,
    what: &str,
    on: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let sentence = format!("{what} {}", if on { "ON" } else { "OFF" });
    state.record(
        Kind::Environment,
        actor,
        Some(key),
        key.name.as_str(),
        sentence,
    );
    Ok(Detail::Done)
}

/// Changes settings and answers what they were.
fn change(
    state: &mut State,
    key: &EnvironmentKey,
    change: impl FnOnce(&mut Settings),
) -> Result<Settings, Rejection> {
    refuse_if_destroying(reference::environment(state, key)?)?;
    let (now, index) = (state.now, state.index);
    let Some(environment) = state.environments.get_mut(key) else {
        return Err(Rejection::stale("the environment"));
    };
    let before = environment.settings.clone();
    change(&mut environment.settings);
    environment.updated = now;
    environment.revision = index;
    Ok(before)
}
