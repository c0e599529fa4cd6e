//! Environments as the API shows them.

use std::sync::Arc;

use fleet_model::{
    State,
    access::Limit,
    environment::{Environment, Loaded, LoadedStatus, Previous},
    ids::{EnvironmentKey, LoadedKey, ReleaseId, ServiceName},
    release::Release,
    report::{Reason, Waiting},
    rollout::{Phase, Rollout, Strategy},
    route,
};
use fleet_proto::v1::{
    self, EnvironmentStatus, PreviousReleaseState, RolloutPhase, RolloutStrategy,
};

use super::{autoscaling, instant};
use crate::control::{Context, forward};

/// A row of `env list`.
pub(super) fn environment(state: &State, environment: &Environment) -> v1::Environment {
    let key = &environment.key;
    let active = environment.active.as_ref();
    v1::Environment {
        app: key.app.to_string(),
        name: key.name.to_string(),
        status: status(state, environment).into(),
        active_release: active.map(|id| name_of(state, key, id)).unwrap_or_default(),
        loaded_releases: state.loaded_in(key).count() as u32,
        certificate: environment.settings.certificate.clone(),
        created: Some(instant(environment.created)),
        updated: Some(instant(environment.updated)),
        protected: environment.settings.protected,
    }
}

fn status(state: &State, environment: &Environment) -> EnvironmentStatus {
    let rollout = state.rollouts.get(&environment.key);
    if environment.destroying {
        EnvironmentStatus::Destroying
    } else if rollout.is_some_and(|rollout| !rollout.phase.over()) {
        EnvironmentStatus::Updating
    } else {
        EnvironmentStatus::Running
    }
}

/// All of `env describe`.
pub(super) fn description(
    state: &State,
    found: &Environment,
    waiting: Vec<v1::Waiting>,
) -> v1::EnvironmentDescription {
    let key = &found.key;
    let mut releases: Vec<_> = state.loaded_in(key).collect();
    releases.sort_by(|(_, a), (_, b)| (b.loaded, &b.name).cmp(&(a.loaded, &a.name)));
    let rollout = state
        .rollouts
        .get(key)
        .filter(|rollout| !rollout.phase.over());
    v1::EnvironmentDescription {
        environment: Some(environment(state, found)),
        whitelist: found.settings.whitelist.clone(),
        recycling: found.settings.recycling,
        maintenance: found.settings.maintenance,
        no_redirect: !found.settings.redirect,
        requests: limit(found.settings.requests.all),
        address_requests: limit(found.settings.requests.address),
        guard_seconds: u32::try_from(found.settings.guard.0 / 1000).unwrap_or(u32::MAX),
        previous_release: Some(previous(state, found)),
        autoscaling_min: found.settings.limits.min,
        autoscaling_max: found.settings.limits.max,
        tracked_branches: found.settings.tracked_branches.clone(),
        releases: releases
            .into_iter()
            .map(|(key, l)| loaded(state, found, key, l))
            .collect(),
        endpoints: endpoints(state, found),
        waiting,
        rollout: rollout.map(|rollout| self::rollout(state, rollout)),
        autoscaling: Some(autoscaling::settings(&found.settings.autoscaling)),
    }
}

/// Nothing where there is no limit.
fn limit(limit: Limit) -> Option<v1::RequestLimit> {
    let Limit { in_flight, rate } = limit;
    (limit != Limit::default()).then(|| v1::RequestLimit {
        in_flight,
        rate: rate.map(|rate| v1::RequestRate {
            per_second: rate.per_second,
            burst: rate.burst,
        }),
    })
}

fn previous(state: &State, environment: &Environment) -> v1::PreviousRelease {
    let (status, id) = match &environment.previous {
        Previous::Never => (PreviousReleaseState::Never, None),
        Previous::None => (PreviousReleaseState::None, None),
        Previous::Release(id) => (PreviousReleaseState::Release, Some(id)),
    };
    v1::PreviousRelease {
        state: status.into(),
        release: id
            .map(|id| name_of(state, &environment.key, id))
            .unwrap_or_default(),
        release_id: id.map(ToString::to_string).unwrap_or_default(),
    }
}

fn loaded(
    state: &State,
    environment: &Environment,
    key: &LoadedKey,
    loaded: &Loaded,
) -> v1::LoadedRelease {
    let services: Vec<v1::LoadedService> = loaded
        .desired
        .iter()
        .map(|(name, n)| service(state, key, loaded, name, *n))
        .collect();
    let scaled = || services.iter().filter(|service| !service.pinned);
    let public = loaded
        .manifest
        .services
        .iter()
        .filter(|(_, service)| service.public());
    let (status, reason) = match &loaded.status {
        LoadedStatus::Loading => (v1::LoadedStatus::Loading, ""),
        LoadedStatus::Running => (v1::LoadedStatus::Running, ""),
        LoadedStatus::Activating => (v1::LoadedStatus::Activating, ""),
        LoadedStatus::Active => (v1::LoadedStatus::Active, ""),
        LoadedStatus::Deactivating => (v1::LoadedStatus::Deactivating, ""),
        LoadedStatus::Unloading => (v1::LoadedStatus::Unloading, ""),
        LoadedStatus::Failed { reason } => (v1::LoadedStatus::Failed, reason.as_str()),
    };
    v1::LoadedRelease {
        name: loaded.name.clone(),
        release_id: loaded.release.to_string(),
        build_id: loaded.build.to_string(),
        status: status.into(),
        active: environment.active.as_ref() == Some(&loaded.release),
        loaded: Some(instant(loaded.loaded)),
        updated: Some(instant(loaded.updated)),
        frontends: scaled().map(|service| service.healthy).sum(),
        frontends_desired: scaled().map(|service| service.desired).sum(),
        reason: reason.to_owned(),
        endpoints: public
            .map(|(service, _)| v1::Endpoint {
                name: service.to_string(),
                host: route::own_endpoint(state, &key.environment, loaded, service),
            })
            .collect(),
        services,
    }
}

fn service(
    state: &State,
    key: &LoadedKey,
    loaded: &Loaded,
    name: &ServiceName,
    desired: u32,
) -> v1::LoadedService {
    let healthy = state
        .frontends_of(key)
        .filter(|f| f.service == *name && f.healthy())
        .count();
    v1::LoadedService {
        name: name.to_string(),
        healthy: healthy as u32,
        desired,
        pinned: !loaded.scaled_by_environment(name),
    }
}

fn endpoints(state: &State, environment: &Environment) -> Vec<v1::Endpoint> {
    let Some(active) = &environment.active else {
        return Vec::new();
    };
    let key = LoadedKey {
        environment: environment.key.clone(),
        release: active.clone(),
    };
    let services = state
        .loaded
        .get(&key)
        .map(|loaded| &loaded.manifest.services);
    services
        .into_iter()
        .flatten()
        .filter(|(_, service)| service.public())
        .map(|(name, _)| v1::Endpoint {
            name: name.to_string(),
            host: route::endpoint(state, environment, name),
        })
        .collect()
}

fn rollout(state: &State, rollout: &Rollout) -> v1::Rollout {
    let name = |release: &Option<ReleaseId>| {
        release
            .as_ref()
            .map(|id| name_of(state, &rollout.environment, id))
            .unwrap_or_default()
    };
    let phase = match rollout.phase {
        Phase::Warming => RolloutPhase::Warming,
        Phase::Switching { .. } => RolloutPhase::Switching,
        Phase::Draining { .. } => RolloutPhase::Draining,
        Phase::Rolling => RolloutPhase::Rolling,
        Phase::Guarding { .. } => RolloutPhase::Guarding,
        Phase::Reverting { .. } => RolloutPhase::Reversing,
        Phase::Complete { .. } => RolloutPhase::Complete,
        Phase::Failed { .. } => RolloutPhase::Failed,
    };
    v1::Rollout {
        id: rollout.id.0,
        phase: phase.into(),
        incoming: name(&rollout.incoming),
        outgoing: name(&rollout.outgoing),
        started: Some(instant(rollout.started)),
        deadline: Some(instant(rollout.deadline)),
        strategy: match rollout.strategy {
            Strategy::Switch { .. } => RolloutStrategy::Activate,
            Strategy::Roll(_) => RolloutStrategy::Promote,
        }
        .into(),
    }
}

/// What a release is called in an environment: its name while loaded, that of its build after.
pub(super) fn name_of(state: &State, environment: &EnvironmentKey, id: &ReleaseId) -> String {
    let key = LoadedKey {
        environment: environment.clone(),
        release: id.clone(),
    };
    let build = || {
        let release = state.releases.get(id)?;
        Some(build_name(state, release)).filter(|name| !name.is_empty())
    };
    let loaded = state.loaded.get(&key).map(|loaded| loaded.name.clone());
    loaded.or_else(build).unwrap_or_else(|| id.to_string())
}

/// What the build of a release is called; empty when it has none.
pub(super) fn build_name(state: &State, release: &Release) -> String {
    let build = release.build.as_ref().and_then(|id| state.builds.get(id));
    build.map(|build| build.name.clone()).unwrap_or_default()
}

/// What goes on in an environment and what it waits for. Only the leader knows: without one, or
/// when a stale answer will do, nothing is said.
pub(super) async fn waiting_of(
    context: &Arc<Context>,
    key: &EnvironmentKey,
    stale: bool,
) -> Vec<v1::Waiting> {
    match forward::leader(context).await {
        Ok(None) => here(context, key),
        Ok(Some(peer)) if !stale => {
            let mut client = v1::environments_client::EnvironmentsClient::new(peer);
            let asked = v1::DescribeEnvironmentRequest {
                app: key.app.to_string(),
                environment: key.name.to_string(),
                stale: true,
            };
            let answer = client.describe(asked).await.ok();
            let description = answer.and_then(|answer| answer.into_inner().description);
            description
                .map(|description| description.waiting)
                .unwrap_or_default()
        }
        Ok(Some(_)) | Err(_) => Vec::new(),
    }
}

fn here(context: &Context, key: &EnvironmentKey) -> Vec<v1::Waiting> {
    let waiting = context.waiting.borrow().clone();
    waiting
        .iter()
        .filter(|w| w.environment.as_ref() == Some(key))
        .map(sentence)
        .collect()
}

/// A wait as the API says it.
pub(super) fn sentence(waiting: &Waiting) -> v1::Waiting {
    let reason = match waiting.reason {
        Reason::Starting { .. } => "FRONTENDS_STARTING",
        Reason::NoNode { .. } => "NO_NODE",
        Reason::Stuck { .. } => "CANNOT_MOVE",
        Reason::Storm { .. } => "MANY_WORKERS_LOST",
        Reason::BackOff { .. } => "BACK_OFF",
        Reason::Warming { .. } => "WARMING",
        Reason::Rolling { .. } => "ROLLING",
        Reason::Guarding { .. } => "GUARDING",
        Reason::Reverting { .. } => "REVERTING",
        Reason::Unconfirmed { .. } => "INGRESS_NOT_ACKNOWLEDGED",
        Reason::SilentIngress { .. } => "INGRESS_SILENT",
        Reason::InFlight { .. } => "REQUESTS_IN_FLIGHT",
        Reason::Listening { .. } => "LEADER_LISTENING",
        Reason::Building { .. } => "BUILD_RUNNING",
        Reason::NoBuilder { .. } => "NO_BUILDER",
        Reason::Copies { .. } => "COPIES_MISSING",
    };
    v1::Waiting {
        text: waiting.reason.to_string(),
        since: Some(instant(waiting.since)),
        reason: reason.to_owned(),
        hint: String::new(),
    }
}
