//! Counts and sizes of services by hand, and restarts.

use std::sync::Arc;

use super::{
    Code, Detail, Rejection,
    environment::{refuse_if_destroying, refuse_if_rolling},
};
use crate::{
    State,
    environment::{Limits, Loaded, MOST_FRONTENDS, Scaling},
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ServiceName},
    reference,
};

/// What `scale` is asked for; what is absent stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scale {
    pub environment: EnvironmentKey,
    pub service: String,
    pub count: Option<u32>,
    pub min: Option<u32>,
    pub max: Option<u32>,
    /// In thousandths of a core, of each frontend.
    pub cpu_millicores: Option<u32>,
    /// In bytes, of each frontend.
    pub memory_bytes: Option<u64>,
}

/// Least memory a frontend may be given; below it no process starts.
const LEAST_MEMORY: u64 = 4 << 20;

pub(super) fn scale(
    state: &mut State,
    scale: Scale,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let key = &scale.environment;
    let environment = reference::environment(state, key)?;
    refuse_if_destroying(environment)?;
    refuse_if_rolling(state, key)?;
    let active = reference::loaded(state, environment, "active")?;
    let loaded = state
        .loaded
        .get(&active)
        .ok_or_else(|| Rejection::stale("the release"))?;
    let service = service_of(loaded, &scale.service)?;
    let before = environment.settings.scale.get(&service).copied();
    let bounds = loaded.bounds(&service, &environment.settings);
    let wish = wish(&scale, before.unwrap_or_default(), bounds)?;
    let resized = before.map_or((None, None), |b| (b.cpu_millicores, b.memory_bytes))
        != (wish.cpu_millicores, wish.memory_bytes);
    let (now, index) = (state.now, state.index);
    if let Some(environment) = state.environments.get_mut(key) {
        environment.settings.scale.insert(service.clone(), wish);
        environment.updated = now;
        environment.revision = index;
    }
    let Some(settings) = state.environments.get(key).map(|e| e.settings.clone()) else {
        return Err(Rejection::stale("the environment"));
    };
    let stands: Vec<LoadedKey> = state.loaded_in(key).map(|(key, _)| key.clone()).collect();
    for loaded_key in stands {
        let Some(loaded) = state.loaded.get_mut(&loaded_key) else {
            continue;
        };
        let bounds = loaded.bounds(&service, &settings);
        let asked = scale.count.filter(|_| loaded_key == active);
        if let Some(count) = loaded.desired.get_mut(&service) {
            *count = bounds.clamp(asked.unwrap_or(*count));
            loaded.revision = index;
            if asked.is_some() {
                loaded.scaling.entry(service.clone()).or_default().set = Some(now);
            }
        }
        // A running process keeps the size it was started with.
        if resized && loaded.desired.contains_key(&service) {
            loaded.restarts.insert(service.clone(), now);
        }
    }
    state.record(
        Kind::Scaling,
        actor,
        Some(key),
        service.as_str(),
        sentence(&service, &scale),
    );
    Ok(Detail::Done)
}

/// The new bounds and sizes, if they make sense together.
fn wish(scale: &Scale, before: Scaling, bounds: Limits) -> Result<Scaling, Rejection> {
    let mut wish = Scaling {
        min: scale.min.or(before.min),
        max: scale.max.or(before.max),
        cpu_millicores: scale.cpu_millicores.or(before.cpu_millicores),
        memory_bytes: scale.memory_bytes.or(before.memory_bytes),
    };
    let refuse = |sentence: String, hint: &str| {
        Err(Rejection::new(Code::InvalidValue, sentence).hint(hint.to_owned()))
    };
    if let (Some(count), None, None, true) =
        (scale.count, scale.min, scale.max, bounds.min == bounds.max)
    {
        // A pinned service is pinned to the new count.
        (wish.min, wish.max) = (Some(count), Some(count));
    }
    let limits = Limits {
        min: wish.min.unwrap_or(bounds.min),
        max: wish.max.unwrap_or(bounds.max),
    };
    let service = &scale.service;
    if limits.min > limits.max || limits.max > MOST_FRONTENDS {
        return refuse(
            format!(
                "{} to {} frontends of {service} are not a range within 0 to {MOST_FRONTENDS}",
                limits.min, limits.max
            ),
            "give both: fleet scale SERVICE --min N --max N",
        );
    }
    if scale.min == Some(0) && limits.max > 0 {
        return refuse(
            format!("the minimum of {service} must be at least 1 while its maximum is not 0"),
            "scaling to zero needs requests to be held until a frontend runs, which comes later; \
             to switch it off: fleet scale SERVICE --count 0 --min 0 --max 0",
        );
    }
    if let Some(count) = scale.count
        && limits.clamp(count) != count
    {
        return refuse(
            format!(
                "{count} frontends of {service} are outside its limits {} to {}",
                limits.min, limits.max
            ),
            "change them too: fleet scale SERVICE --count N --min N --max N",
        );
    }
    if wish.cpu_millicores == Some(0) || wish.memory_bytes.is_some_and(|m| m < LEAST_MEMORY) {
        return refuse(
            format!("a frontend of {service} cannot run with so little"),
            "at least 1 thousandth of a core and 4 MB",
        );
    }
    Ok(wish)
}

fn sentence(service: &ServiceName, scale: &Scale) -> String {
    let mut sentence = format!("{service} scaled by hand:");
    let counts = [
        ("count", scale.count),
        ("min", scale.min),
        ("max", scale.max),
    ];
    for (word, number) in counts {
        if let Some(number) = number {
            sentence.push_str(&format!(" {word} {number}"));
        }
    }
    if let Some(cpu) = scale.cpu_millicores {
        sentence.push_str(&format!(" cpu {cpu}m"));
    }
    if let Some(memory) = scale.memory_bytes {
        sentence.push_str(&format!(" memory {} MB", memory >> 20));
    }
    sentence
}

/// Every frontend placed before now is to be replaced, one at a time.
pub(super) fn restart(
    state: &mut State,
    key: &EnvironmentKey,
    service: Option<&str>,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let environment = reference::environment(state, key)?;
    refuse_if_destroying(environment)?;
    refuse_if_rolling(state, key)?;
    let active = reference::loaded(state, environment, "active")?;
    let (now, index) = (state.now, state.index);
    let Some(loaded) = state.loaded.get_mut(&active) else {
        return Err(Rejection::stale("the release"));
    };
    let services: Vec<ServiceName> = match service {
        Some(asked) => vec![service_of(loaded, asked)?],
        None => loaded.manifest.services.keys().cloned().collect(),
    };
    for service in &services {
        loaded.restarts.insert(service.clone(), now);
    }
    loaded.revision = index;
    for service in services {
        let sentence = format!("frontends of {service} are being replaced, one at a time");
        state.record(Kind::Scaling, actor, Some(key), service.as_str(), sentence);
    }
    Ok(Detail::Done)
}

fn service_of(loaded: &Loaded, asked: &str) -> Result<ServiceName, Rejection> {
    let services = &loaded.manifest.services;
    services
        .keys()
        .find(|name| name.as_str() == asked)
        .cloned()
        .ok_or_else(|| {
            let existing = services.keys().map(ServiceName::as_str);
            let kind = format!("service of release {}", loaded.name);
            Rejection::unknown(Code::UnknownService, &kind, asked, existing)
        })
}
