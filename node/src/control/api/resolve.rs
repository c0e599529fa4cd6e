//! Names of requests, resolved against a state.

use fleet_model::{
    Detail, Rejection, State,
    command::Code,
    ids::{AppName, EnvironmentKey, EnvironmentName, LoadedKey, NodeId},
    reference,
};
use fleet_proto::v1;
use tonic::Status;

use crate::control::{context::Done, refusal::rejected};

/// The app meant: the named one, or the only one there is.
pub(super) fn app(state: &State, name: &str) -> Result<AppName, Status> {
    if !name.is_empty() {
        let found = state.apps.keys().find(|app| app.as_str() == name);
        return found
            .cloned()
            .ok_or_else(|| rejected(&reference::unknown_app(state, name)));
    }
    let mut apps = state.apps.keys();
    match (apps.next(), apps.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => Err(rejected(
            &Rejection::new(Code::UnknownApp, "there is no app yet")
                .hint("create one: fleet apps create NAME"),
        )),
        _ => Err(rejected(
            &Rejection::new(Code::UnknownApp, "there are several apps and none is named")
                .hint("name one: -a NAME, or FLEET_APP=NAME")
                .candidates(state.apps.keys().map(ToString::to_string).collect()),
        )),
    }
}

/// The key of an environment; whether it exists is the domain's question.
pub(super) fn environment(
    state: &State,
    app_name: &str,
    name: &str,
) -> Result<EnvironmentKey, Status> {
    let app = app(state, app_name)?;
    let parsed = EnvironmentName::parse(name).map_err(|_| {
        let names = state.environments_of(&app).map(|e| e.key.name.as_str());
        let kind = format!("environment of {app}");
        rejected(&Rejection::unknown(
            Code::UnknownEnvironment,
            &kind,
            name,
            names,
        ))
    })?;
    Ok(EnvironmentKey { app, name: parsed })
}

/// As [`environment`], with the app's default environment where none is named.
pub(super) fn environment_or_default(
    state: &State,
    app_name: &str,
    name: &str,
) -> Result<EnvironmentKey, Status> {
    if !name.is_empty() {
        return environment(state, app_name, name);
    }
    let app = app(state, app_name)?;
    let default = state
        .apps
        .get(&app)
        .map(|app| app.default_environment.clone());
    match default {
        Some(name) => Ok(EnvironmentKey { app, name }),
        None => Err(rejected(&reference::unknown_app(state, app.as_str()))),
    }
}

/// A node by id or name.
pub(super) fn node(state: &State, asked: &str) -> Result<NodeId, Status> {
    let by_id = asked
        .parse()
        .ok()
        .map(NodeId)
        .filter(|id| state.nodes.contains_key(id));
    let by_name = || {
        state
            .nodes
            .values()
            .find(|node| node.name == asked)
            .map(|node| node.id)
    };
    by_id.or_else(by_name).ok_or_else(|| {
        let names = state.nodes.values().map(|node| node.name.as_str());
        rejected(&Rejection::unknown(Code::UnknownNode, "node", asked, names))
    })
}

/// A receipt that names an environment.
pub(super) fn receipt(done: &Done, key: &EnvironmentKey) -> v1::Receipt {
    v1::Receipt {
        log_index: done.index,
        repeated_request: done.repeated,
        app: key.app.to_string(),
        environment: key.name.to_string(),
        ..v1::Receipt::default()
    }
}

/// One of a command that every ingress must hear of.
pub(super) fn routed(done: &Done, key: &EnvironmentKey) -> v1::Receipt {
    let wait = wait(v1::WaitGoal::Routed, key, "", 0, done.index);
    v1::Receipt {
        wait: Some(wait),
        ..receipt(done, key)
    }
}

/// What can be waited for after a command on a release of an environment.
pub(super) fn wait(
    goal: v1::WaitGoal,
    key: &EnvironmentKey,
    release: &str,
    rollout: u64,
    since_index: u64,
) -> v1::WaitTarget {
    v1::WaitTarget {
        goal: goal.into(),
        app: key.app.to_string(),
        environment: key.name.to_string(),
        release: release.to_owned(),
        rollout,
        since_index,
        log_offset: 0,
        node: String::new(),
    }
}

/// The loaded release `asked` means: also one that is just being unloaded or long gone by id.
pub(super) fn loaded(
    state: &State,
    key: &EnvironmentKey,
    asked: &str,
) -> Result<LoadedKey, Status> {
    if let Some(release) = fleet_model::ids::ReleaseId::parse(asked) {
        let environment = key.clone();
        return Ok(LoadedKey {
            environment,
            release,
        });
    }
    let environment = reference::environment(state, key).map_err(|r| rejected(&r))?;
    reference::loaded(state, environment, asked).map_err(|r| rejected(&r))
}

/// The receipt of a command that named a release, with what can be waited for.
pub(super) fn of_release(key: &EnvironmentKey, outcome: &Done, goal: v1::WaitGoal) -> v1::Receipt {
    let (release, name, rollout) = match &outcome.detail {
        Detail::Loaded { release, name } => (release.to_string(), name.clone(), 0),
        Detail::Rollout { id, release, name } => {
            let release = release.as_ref().map(ToString::to_string);
            (release.unwrap_or_default(), name.clone(), id.0)
        }
        _ => Default::default(),
    };
    // From before the command on: what it said itself belongs to the story.
    let since = outcome.index.saturating_sub(1);
    v1::Receipt {
        wait: Some(wait(goal, key, &release, rollout, since)),
        release: name,
        release_id: release,
        ..receipt(outcome, key)
    }
}
