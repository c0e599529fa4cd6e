//! Build steps: given to workers, reported by them, given up.

use super::{Detail, Rejection, build as library, itself};
use crate::{
    State,
    build::{Build, BuildLog, BuildStatus, BuildStep, STEP_ATTEMPTS, STEPS_PER_NODE},
    event::Kind,
    ids::{BuildId, Digest, NodeId},
    node::{Lease, Role},
};

/// What a worker says of a build step that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildReport {
    pub build: BuildId,
    /// Who ran it, and in which attempt; a report of any other is stale.
    pub node: NodeId,
    pub attempt: u32,
    /// The control node that holds what is named here.
    pub holder: NodeId,
    /// Digest and bytes of what the step said; `None` if that is lost.
    pub log: Option<(Digest, u64)>,
    pub end: Built,
}

/// How a build step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Built {
    /// With an artefact, of so many bytes.
    Artefact { digest: Digest, size: u64 },
    Failed {
        reason: String,
        /// Its last lines, oldest first.
        output: Vec<String>,
    },
}

pub(super) fn assign(
    state: &mut State,
    id: &BuildId,
    assumed: u64,
    node: NodeId,
) -> Result<Detail, Rejection> {
    let (build, step) = due(state, id)?;
    if build.revision != assumed {
        return Err(stale(build));
    }
    let fit = state
        .nodes
        .get(&node)
        .filter(|node| node.has(Role::Worker) && node.lease == Lease::Ready && !node.draining);
    let steps = state.builds.values().filter_map(Build::due);
    let busy = steps.filter(|step| step.node == Some(node)).count() >= STEPS_PER_NODE;
    let Some(fit) = fit.filter(|_| !busy) else {
        return Err(Rejection::stale(format_args!("node {node}")));
    };
    let attempt = step.attempt + 1;
    if attempt > STEP_ATTEMPTS {
        return Err(stale(build));
    }
    let lost = step.node.map(|node| name_of(state, node));
    let again = lost.map_or_else(String::new, |lost| format!(", because {lost} was lost"));
    let sentence = format!("build step of {} runs on {}{again}", build.name, fit.name);
    change(state, id, sentence, |build, now| {
        build.step = Some(BuildStep {
            node: Some(node),
            attempt,
            since: now,
        });
    });
    Ok(Detail::Done)
}

pub(super) fn fail(
    state: &mut State,
    id: &BuildId,
    assumed: u64,
    reason: &str,
) -> Result<Detail, Rejection> {
    let (build, _) = due(state, id)?;
    if build.revision != assumed {
        return Err(stale(build));
    }
    let sentence = format!("build of {} failed: {reason}", build.name);
    change(state, id, sentence, |build, _| give_up(build, reason));
    Ok(Detail::Done)
}

pub(super) fn report(state: &mut State, report: BuildReport) -> Result<Detail, Rejection> {
    let BuildReport {
        build: id,
        node,
        attempt,
        holder,
        log,
        end,
    } = report;
    let (build, step) = due(state, &id)?;
    if (step.node, step.attempt) != (Some(node), attempt) {
        return Err(stale(build));
    }
    if !state.nodes.contains_key(&holder) {
        return Err(library::unknown_node(holder));
    }
    let sentence = match &end {
        Built::Artefact { size, .. } => {
            format!("build step of {} ended, with {size} bytes", build.name)
        }
        Built::Failed { reason, .. } => format!("build of {} failed: {reason}", build.name),
    };
    change(state, &id, sentence, |build, _| {
        build.log = log.map(|(digest, size)| BuildLog {
            digest,
            size,
            holders: imbl::OrdSet::unit(holder),
        });
        match end {
            Built::Artefact { digest, size } => {
                build.step = None;
                build.digest = digest;
                build.size = size;
                build.holders = imbl::OrdSet::unit(holder);
            }
            Built::Failed { reason, output } => give_up(build, &with_output(reason, &output)),
        }
    });
    library::complete(state, &id);
    Ok(Detail::Done)
}

fn give_up(build: &mut Build, reason: &str) {
    build.step = None;
    build.status = BuildStatus::Failed {
        reason: reason.to_owned(),
    };
}

/// As the failure of a release is told.
fn with_output(mut reason: String, output: &[String]) -> String {
    if !output.is_empty() {
        reason.push_str("; last output:");
    }
    for line in output {
        reason.push_str("\n  ");
        reason.push_str(line);
    }
    reason
}

/// The build, if its step has not ended.
fn due<'a>(state: &'a State, id: &BuildId) -> Result<(&'a Build, BuildStep), Rejection> {
    let build = state.builds.get(id);
    build
        .and_then(|build| Some((build, *build.due()?)))
        .ok_or_else(|| Rejection::stale(format_args!("build {id}")))
}

fn change(
    state: &mut State,
    id: &BuildId,
    sentence: String,
    how: impl FnOnce(&mut Build, crate::Time),
) {
    let (now, index) = (state.now, state.index);
    let Some(build) = state.builds.get_mut(id) else {
        return;
    };
    how(build, now);
    build.updated = now;
    build.revision = index;
    let name = build.name.clone();
    state.record(Kind::Build, &itself(), None, name, sentence);
}

fn stale(build: &Build) -> Rejection {
    Rejection::stale(format_args!("the build step of {}", build.name))
}

fn name_of(state: &State, node: NodeId) -> String {
    let known = state.nodes.get(&node);
    known.map_or_else(|| node.to_string(), |node| node.name.clone())
}
