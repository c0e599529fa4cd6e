//! Which releases finished loading, failed to, or are unloaded.

use super::{Draft, warmth};
use crate::{
    State, Time,
    command::{Command, Verdict},
    environment::{Loaded, LoadedStatus, Slot},
    health::{LOAD_DEADLINE, START_ATTEMPTS},
    ids::{LoadedKey, ServiceName},
    report::Times,
};

pub(super) fn plan(state: &State, draft: &mut Draft) {
    for (key, loaded) in &state.loaded {
        let verdict = match loaded.status {
            LoadedStatus::Loading => loading(state, key, loaded, draft),
            LoadedStatus::Unloading if state.frontends_of(key).next().is_none() => {
                Some(Verdict::Gone)
            }
            _ => None,
        };
        if let Some(verdict) = verdict {
            draft.commands.push(Command::SettleLoaded {
                loaded: key.clone(),
                assumed: loaded.revision,
                verdict,
            });
        }
    }
    for environment in state.environments.values().filter(|e| e.destroying) {
        if state.loaded_in(&environment.key).next().is_none() {
            draft.commands.push(Command::RemoveEnvironment {
                environment: environment.key.clone(),
                assumed: environment.revision,
            });
        }
    }
}

fn loading(state: &State, key: &LoadedKey, loaded: &Loaded, draft: &mut Draft) -> Option<Verdict> {
    if warmth::of(state, key).is_warm() {
        return Some(Verdict::Running);
    }
    if let Some((service, slot)) = given_up(loaded) {
        return Some(Verdict::Failed {
            reason: failure(service, slot),
        });
    }
    let deadline = loaded.since.plus(LOAD_DEADLINE);
    if deadline <= draft.now {
        return Some(Verdict::Failed {
            reason: overdue(state, key, loaded, draft.now),
        });
    }
    draft.wake(deadline);
    warmth::report(state, key, loaded, draft);
    None
}

/// The slot that failed too often in a row, if there is one.
fn given_up(loaded: &Loaded) -> Option<(&ServiceName, &Slot)> {
    if loaded.failures < START_ATTEMPTS {
        return None;
    }
    loaded
        .slots
        .iter()
        .find(|(_, slot)| slot.failures >= START_ATTEMPTS)
        .map(|((service, _), slot)| (service, slot))
}

/// What a person needs to see: which service, how it ended, what it last said.
pub(super) fn failure(service: &ServiceName, slot: &Slot) -> String {
    let Some(last) = &slot.last_failure else {
        return format!("{service} failed to start");
    };
    let mut reason = format!("{service} failed {}: {}", Times(slot.failures), last.reason);
    if !last.output.is_empty() {
        reason.push_str("; last output:");
        for line in &last.output {
            reason.push_str("\n  ");
            reason.push_str(line);
        }
    }
    reason
}

fn overdue(state: &State, key: &LoadedKey, loaded: &Loaded, now: Time) -> String {
    let warmth = warmth::of(state, key);
    let failed = loaded
        .slots
        .iter()
        .find(|(_, slot)| slot.last_failure.is_some());
    let mut reason = format!(
        "{} of {} frontends were healthy after {}",
        warmth.healthy,
        warmth.wanted,
        now.since(loaded.since)
    );
    if let Some(((service, _), slot)) = failed {
        reason.push_str("; ");
        reason.push_str(&failure(service, slot));
    }
    reason
}
