//! What somebody waits for after a command, and whether it has come to pass.

use crate::{
    State,
    build::BuildStatus,
    environment::LoadedStatus,
    ids::{BuildId, EnvironmentKey, LoadedKey, NodeId, RolloutId},
    plan::{copies, drain, rolling, warmth},
    rollout::Phase,
};

/// The state in which waiting ends well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Goal {
    BuildAvailable(BuildId),
    Loaded(LoadedKey),
    RolloutComplete(EnvironmentKey, RolloutId),
    Unloaded(LoadedKey),
    Gone(EnvironmentKey),
    CountReached(LoadedKey),
    /// No frontend is left on a node that is drained.
    Drained(NodeId),
}

/// How far it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    Pending {
        phase: &'static str,
        done: u32,
        total: u32,
    },
    Reached(String),
    /// It will not come to pass; why.
    Missed(String),
}

impl Goal {
    /// Where it happens, if in an environment.
    #[must_use]
    pub fn environment(&self) -> Option<&EnvironmentKey> {
        match self {
            Self::BuildAvailable(_) | Self::Drained(_) => None,
            Self::RolloutComplete(key, _) | Self::Gone(key) => Some(key),
            Self::Loaded(key) | Self::Unloaded(key) | Self::CountReached(key) => {
                Some(&key.environment)
            }
        }
    }

    /// How far it is in `state`.
    #[must_use]
    pub fn progress(&self, state: &State) -> Progress {
        match self {
            Self::BuildAvailable(id) => build(state, id),
            Self::Loaded(key) => loaded(state, key),
            Self::RolloutComplete(key, id) => rollout(state, key, *id),
            Self::Unloaded(key) => match state.loaded.get(key) {
                None => Progress::Reached("unloaded".to_owned()),
                Some(_) => leaving(state, key),
            },
            Self::Gone(key) => match state.environments.get(key) {
                None => Progress::Reached(format!("environment {} is gone", key.name)),
                Some(environment) if !environment.destroying => {
                    Progress::Missed(format!("environment {} was made anew", key.name))
                }
                Some(_) => {
                    let total = state.loaded_in(key).count() as u32;
                    Progress::Pending {
                        phase: "destroying",
                        done: 0,
                        total,
                    }
                }
            },
            Self::CountReached(key) => count(state, key),
            Self::Drained(node) => drained(state, *node),
        }
    }
}

fn drained(state: &State, id: NodeId) -> Progress {
    let Some(node) = state.nodes.get(&id) else {
        return Progress::Reached("the node has left".to_owned());
    };
    if !node.draining {
        return Progress::Missed(format!("node {} takes frontends again", node.name));
    }
    let left = drain::left(state, id);
    let lost = |left: &drain::Left| left.reason == drain::Stay::Lost;
    if left.iter().all(lost) {
        return Progress::Reached(format!("node {} is drained", node.name));
    }
    Progress::Pending {
        phase: "draining",
        done: 0,
        total: left.len() as u32,
    }
}

fn build(state: &State, id: &BuildId) -> Progress {
    match state.builds.get(id).map(|build| (build, &build.status)) {
        None => Progress::Missed("the release was destroyed".to_owned()),
        Some((build, BuildStatus::Complete)) => {
            Progress::Reached(format!("release {} is AVAILABLE", build.name))
        }
        Some((_, BuildStatus::Failed { reason })) => Progress::Missed(reason.clone()),
        Some((build, BuildStatus::Running)) if build.step.is_some() => Progress::Pending {
            phase: "building",
            done: 0,
            total: 0,
        },
        Some((build, BuildStatus::Running)) => Progress::Pending {
            phase: "copying",
            done: build.holders.len() as u32,
            total: copies::wanted(state) as u32,
        },
    }
}

fn loaded(state: &State, key: &LoadedKey) -> Progress {
    let Some(loaded) = state.loaded.get(key) else {
        return Progress::Missed("the release was unloaded".to_owned());
    };
    match &loaded.status {
        LoadedStatus::Loading => {
            let warmth = warmth::of(state, key);
            Progress::Pending {
                phase: "loading",
                done: warmth.healthy,
                total: warmth.wanted,
            }
        }
        LoadedStatus::Failed { reason } => Progress::Missed(reason.clone()),
        LoadedStatus::Unloading => Progress::Missed("the release is being unloaded".to_owned()),
        _ => Progress::Reached(format!(
            "release {} is {}",
            loaded.name,
            loaded.status.as_str()
        )),
    }
}

fn rollout(state: &State, key: &EnvironmentKey, id: RolloutId) -> Progress {
    let Some(rollout) = state.rollouts.get(key) else {
        return Progress::Missed(format!("environment {} is gone", key.name));
    };
    if rollout.id > id {
        // Only an ended rollout is replaced by the next, and the history says how it ended.
        return Progress::Reached("a later rollout followed it".to_owned());
    }
    let incoming = rollout.incoming_key();
    let name = incoming
        .as_ref()
        .and_then(|key| state.loaded.get(key))
        .map(|l| l.name.clone());
    match &rollout.phase {
        Phase::Warming => {
            let warmth = incoming.map(|key| warmth::of(state, &key));
            let (done, total) = warmth.map_or((0, 0), |w| (w.healthy, w.wanted));
            Progress::Pending {
                phase: "warming",
                done,
                total,
            }
        }
        Phase::Switching { .. } => Progress::Pending {
            phase: "switching",
            done: 0,
            total: 0,
        },
        Phase::Draining { .. } => Progress::Pending {
            phase: "draining",
            done: 0,
            total: 0,
        },
        Phase::Rolling => {
            let (done, total) = rolling::progress(state, rollout);
            Progress::Pending {
                phase: "rolling",
                done,
                total,
            }
        }
        Phase::Guarding { .. } => Progress::Pending {
            phase: "watching",
            done: 0,
            total: 0,
        },
        Phase::Reverting { .. } => {
            let (done, total) = rolling::progress(state, rollout);
            Progress::Pending {
                phase: "going back",
                done,
                total,
            }
        }
        Phase::Complete { .. } => Progress::Reached(match name {
            Some(name) => format!("release {name} is ACTIVE"),
            None => "no release is active".to_owned(),
        }),
        Phase::Failed { reason } => Progress::Missed(reason.clone()),
    }
}

fn leaving(state: &State, key: &LoadedKey) -> Progress {
    let left = state.frontends_of(key).count() as u32;
    Progress::Pending {
        phase: "unloading",
        done: 0,
        total: left,
    }
}

fn count(state: &State, key: &LoadedKey) -> Progress {
    let Some(loaded) = state.loaded.get(key) else {
        return Progress::Missed("the release was unloaded".to_owned());
    };
    let wanted: u32 = loaded.desired.values().sum();
    let there = state.frontends_of(key).count() as u32;
    let warmth = warmth::of(state, key);
    if warmth.is_warm() && there == wanted {
        return Progress::Reached(format!("{wanted} frontends of {} are healthy", loaded.name));
    }
    Progress::Pending {
        phase: "scaling",
        done: warmth.healthy,
        total: wanted,
    }
}
