//! What is waited for, found from what a client names.

use fleet_model::{
    State,
    event::{Event, Kind},
    goal::{Goal, Progress},
    ids::{BuildId, EnvironmentKey, LoadedKey, RolloutId},
    reference,
};
use fleet_proto::v1::{self, WaitGoal};
use tonic::Status;

use super::super::resolve;
use crate::control::refusal::{invalid, rejected};

/// A goal of the domain, and what the API adds to it.
pub(super) struct Wanted {
    goal: Goal,
    extra: Extra,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Extra {
    Nothing,
    /// Steps of frontends are told.
    Steps,
    /// However the rollout ends, it is over.
    AnyEnd,
    /// Steps are told, and it is not reached while frontends from before a restart are left.
    Restart,
}

impl Wanted {
    pub(super) fn find(state: &State, target: &v1::WaitTarget) -> Result<Self, Status> {
        let extra = match target.goal() {
            WaitGoal::Promoted => Extra::Steps,
            WaitGoal::RolloutOver => Extra::AnyEnd,
            WaitGoal::Restarted => Extra::Restart,
            _ => Extra::Nothing,
        };
        Ok(Self {
            goal: goal(state, target)?,
            extra,
        })
    }

    pub(super) fn environment(&self) -> Option<&EnvironmentKey> {
        self.goal.environment()
    }

    /// The build that is waited for.
    pub(super) fn build(&self) -> Option<&BuildId> {
        match &self.goal {
            Goal::BuildAvailable(build) => Some(build),
            _ => None,
        }
    }

    /// What is waited for, where that is not said by the leader's plan.
    pub(super) fn left(&self, state: &State) -> Option<Vec<String>> {
        let Goal::Drained(node) = self.goal else {
            return None;
        };
        let left = fleet_model::plan::drain::left(state, node);
        Some(left.iter().map(ToString::to_string).collect())
    }

    /// Whether it is told what happens to single frontends.
    pub(super) fn tells_steps(&self) -> bool {
        matches!(self.extra, Extra::Steps | Extra::Restart)
    }

    pub(super) fn progress(&self, state: &State) -> Progress {
        let progress = self.goal.progress(state);
        match (self.extra, &self.goal, progress) {
            (Extra::AnyEnd, _, Progress::Missed(reason)) => Progress::Reached(reason),
            (Extra::Restart, Goal::CountReached(key), Progress::Reached(text)) => {
                restarting(state, key).unwrap_or(Progress::Reached(text))
            }
            (_, _, progress) => progress,
        }
    }

    /// Whether an event belongs to the story.
    pub(super) fn concerns(&self, event: &Event) -> bool {
        let here = match &self.goal {
            Goal::BuildAvailable(_) => event.kind == Kind::Build,
            // Of frontends only what is left is told: what happens to others is no business of it.
            Goal::Drained(_) => event.kind == Kind::Node,
            _ => event.environment.is_some() && event.environment.as_ref() == self.environment(),
        };
        // What a promotion is called when it begins is what was asked for: no news.
        let opening = match &self.goal {
            Goal::RolloutComplete(_, id) => {
                event.kind == Kind::Rollout && event.index == id.0 && event.subject != "app"
            }
            _ => false,
        };
        here && !(opening && self.tells_steps())
    }
}

/// While frontends from before a restart are left, or their successors are not healthy.
fn restarting(state: &State, key: &LoadedKey) -> Option<Progress> {
    let loaded = state.loaded.get(key)?;
    let outdated = |f: &&fleet_model::frontend::Frontend| {
        let since = loaded.restarts.get(&f.service);
        since.is_some_and(|since| f.placed < *since)
    };
    let left = state.frontends_of(key).filter(outdated).count() as u32;
    let total: u32 = loaded.desired.values().sum();
    (left > 0).then(|| Progress::Pending {
        phase: "restarting",
        done: total.saturating_sub(left),
        total,
    })
}

fn goal(state: &State, target: &v1::WaitTarget) -> Result<Goal, Status> {
    if target.goal() == WaitGoal::NodeDrained {
        return resolve::node(state, &target.node).map(Goal::Drained);
    }
    let app = resolve::app(state, &target.app)?;
    if target.goal() == WaitGoal::BuildAvailable {
        let id = match BuildId::parse(&target.release) {
            Some(id) => id,
            None => {
                let build = reference::build(state, &app, &target.release);
                build.map_err(|rejection| rejected(&rejection))?.id.clone()
            }
        };
        return Ok(Goal::BuildAvailable(id));
    }
    let key = resolve::environment_or_default(state, app.as_str(), &target.environment)?;
    let loaded = || resolve::loaded(state, &key, &target.release);
    let rollout = || match (target.rollout, state.rollouts.get(&key)) {
        (0, Some(rollout)) => rollout.id,
        (id, _) => RolloutId(id),
    };
    Ok(match target.goal() {
        WaitGoal::Loaded => Goal::Loaded(loaded()?),
        WaitGoal::Unloaded => Goal::Unloaded(loaded()?),
        WaitGoal::CountReached | WaitGoal::Restarted => Goal::CountReached(loaded()?),
        WaitGoal::Active | WaitGoal::Inactive | WaitGoal::Promoted | WaitGoal::RolloutOver => {
            Goal::RolloutComplete(key.clone(), rollout())
        }
        WaitGoal::EnvironmentGone => Goal::Gone(key),
        WaitGoal::Unspecified
        | WaitGoal::EnvironmentRunning
        | WaitGoal::BuildAvailable
        | WaitGoal::Routed
        | WaitGoal::NodeDrained => {
            return Err(invalid(
                "nothing that can be waited for is named",
                "take the wait target from the receipt of the command",
            ));
        }
    })
}
