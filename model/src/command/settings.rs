//! Settings of environments. All take effect at once.

use std::sync::Arc;

use imbl::OrdMap;

use super::{
    Code, Detail, Rejection,
    environment::{refuse_if_destroying, refuse_if_rolling},
};
use crate::{
    State,
    environment::{Limits, Loaded, MOST_FRONTENDS, Settings},
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ServiceName},
    reference,
    rollout::Strategy,
    time::Millis,
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
        clamp_desired(state, &loaded_key);
    }
    clamp_targets(state, key);
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
fn clamp_desired(state: &mut State, key: &LoadedKey) {
    let index = state.index;
    let rollout = state.rollouts.get(&key.environment);
    let rolling = rollout.is_some_and(|rollout| rollout.concerns(&key.release));
    let settings = state
        .environments
        .get(&key.environment)
        .map(|e| e.settings.clone());
    let (Some(loaded), Some(settings), false) = (state.loaded.get_mut(key), settings, rolling)
    else {
        return;
    };
    loaded.desired = clamped(loaded, &settings, &loaded.desired);
    loaded.revision = index;
}

/// A promotion under way has counts of its own; what it aims at follows the limits.
fn clamp_targets(state: &mut State, key: &EnvironmentKey) {
    let Some(settings) = state.environments.get(key).map(|e| e.settings.clone()) else {
        return;
    };
    let Some(rollout) = state
        .rollouts
        .get(key)
        .filter(|r| r.phase.shared())
        .cloned()
    else {
        return;
    };
    let Strategy::Roll(mut roll) = rollout.strategy.clone() else {
        return;
    };
    let of = |key: Option<LoadedKey>| key.and_then(|key| state.loaded.get(&key));
    if let Some(incoming) = of(rollout.incoming_key()) {
        let targets = clamped(incoming, &settings, &roll.targets);
        roll.grown.targets = rest_of(&roll.grown.targets, &roll.targets, &targets);
        roll.targets = targets;
        roll.incoming = roll
            .incoming
            .map(|counts| clamped(incoming, &settings, &counts));
    }
    if let Some(outgoing) = of(rollout.outgoing_key()) {
        let counts = clamped(outgoing, &settings, &roll.outgoing);
        roll.grown.outgoing = rest_of(&roll.grown.outgoing, &roll.outgoing, &counts);
        roll.outgoing = counts;
    }
    let index = state.index;
    if let Some(rollout) = state.rollouts.get_mut(key) {
        rollout.strategy = Strategy::Roll(roll);
        rollout.revision = index;
    }
}

/// What is left of growth when counts are brought within limits: it is the first to go.
fn rest_of(
    grown: &OrdMap<ServiceName, u32>,
    before: &OrdMap<ServiceName, u32>,
    after: &OrdMap<ServiceName, u32>,
) -> OrdMap<ServiceName, u32> {
    let of = |counts: &OrdMap<ServiceName, u32>, service: &ServiceName| {
        counts.get(service).copied().unwrap_or(0)
    };
    let rest = |(service, grown): (&ServiceName, &u32)| {
        let began = of(before, service).saturating_sub(*grown);
        let rest = of(after, service).saturating_sub(began).min(*grown);
        (service.clone(), rest)
    };
    grown.iter().map(rest).collect()
}

fn clamped(
    loaded: &Loaded,
    settings: &Settings,
    counts: &OrdMap<ServiceName, u32>,
) -> OrdMap<ServiceName, u32> {
    let within = |service: &ServiceName, count: u32| loaded.bounds(service, settings).clamp(count);
    counts
        .iter()
        .map(|(service, count)| (service.clone(), within(service, *count)))
        .collect()
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
    refuse_if_promoting(state, key)?;
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
    let settings = environment.settings.clone();
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
        let bounds = loaded.bounds(&service, &settings);
        loaded.scaling.entry(service.clone()).or_default().set = Some(now);
        loaded.desired.insert(service, bounds.clamp(count));
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

/// The counts of a promotion under way are its own.
fn refuse_if_promoting(state: &State, key: &EnvironmentKey) -> Result<(), Rejection> {
    match state.rollouts.get(key) {
        Some(rollout) if rollout.phase.shared() => refuse_if_rolling(state, key),
        _ => Ok(()),
    }
}

/// How long a promoted release is watched after it took over.
pub(super) fn guard(
    state: &mut State,
    key: &EnvironmentKey,
    guard: Millis,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    if guard > LONGEST_GUARD {
        return Err(Rejection::new(
            Code::InvalidValue,
            format!("a guard of {guard} is longer than {LONGEST_GUARD}"),
        ));
    }
    change(state, key, |settings| settings.guard = guard)?;
    let sentence = format!("promoted releases are watched for {guard}");
    state.record(
        Kind::Environment,
        actor,
        Some(key),
        key.name.as_str(),
        sentence,
    );
    Ok(Detail::Done)
}

/// A rollout holds back every other one, and a guard is part of it.
const LONGEST_GUARD: Millis = Millis::seconds(3600);

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

pub(super) fn switched(
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
pub(super) fn change(
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
