//! How stories show what there is.

use fleet_model::{
    Outcome, Rejection, State,
    environment::Previous,
    ids::{EnvironmentKey, LoadedKey, ReleaseId},
    network::Network,
    plan::warmth,
    report::Waiting,
    route,
};

pub fn answer(answer: &Result<Outcome, Rejection>) -> Vec<String> {
    match answer {
        Ok(outcome) => vec![format!("{:?}", outcome.detail)],
        Err(rejection) => {
            let mut said = vec![format!(
                "{}: {}",
                rejection.code.as_str(),
                rejection.message
            )];
            said.extend(rejection.hint.iter().map(|hint| format!("hint: {hint}")));
            if !rejection.candidates.is_empty() {
                said.push(format!("candidates: {}", rejection.candidates.join(", ")));
            }
            said
        }
    }
}

pub fn waiting(waiting: &[Waiting]) -> Vec<String> {
    let lines = waiting.iter().map(|wait| format!("waits: {}", wait.reason));
    lines.collect()
}

pub fn describe(state: &State, key: &EnvironmentKey) -> Vec<String> {
    let Some(environment) = state.environments.get(key) else {
        return vec!["there is none".to_owned()];
    };
    let name = |release: &ReleaseId| {
        let key = LoadedKey {
            environment: key.clone(),
            release: release.clone(),
        };
        state
            .loaded
            .get(&key)
            .map_or("?".to_owned(), |loaded| loaded.name.clone())
    };
    let previous = match &environment.previous {
        Previous::Never => "never".to_owned(),
        Previous::None => "none".to_owned(),
        Previous::Release(release) => name(release),
    };
    let active = environment.active.as_ref().map_or("none".to_owned(), name);
    let mut said = vec![format!("active {active}, previous {previous}")];
    for (key, loaded) in state.loaded_in(key) {
        let warmth = warmth::of(state, key);
        said.push(format!(
            "{:<10} {:<12} {} of {} healthy",
            loaded.name,
            loaded.status.as_str(),
            warmth.healthy,
            warmth.wanted
        ));
    }
    said
}

pub fn routes(state: &State, key: &EnvironmentKey) -> Vec<String> {
    let Some(routes) = route::environment(state, key) else {
        return vec!["there are none".to_owned()];
    };
    let name = |release: &ReleaseId| {
        let key = LoadedKey {
            environment: key.clone(),
            release: release.clone(),
        };
        state
            .loaded
            .get(&key)
            .map_or("?".to_owned(), |loaded| loaded.name.clone())
    };
    let mut said = vec![format!("generation {}", state.generation)];
    let listed = |networks: &[Network]| {
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        match networks.is_empty() {
            true => "nobody".to_owned(),
            false => networks.join(" "),
        }
    };
    said.extend(
        routes
            .admitted
            .as_deref()
            .map(|all| format!("lets in {}", listed(all))),
    );
    for (host, target) in &routes.hosts {
        let backends: Vec<_> = routes.backends[target]
            .keys()
            .map(ToString::to_string)
            .collect();
        said.push(format!(
            "{host} -> {} [{}]",
            target.release.as_ref().map_or("both".to_owned(), name),
            backends.join(" ")
        ));
        for networks in &routes.manners[target].admitted {
            said.push(format!("  and lets in {}", listed(networks)));
        }
    }
    said
}
