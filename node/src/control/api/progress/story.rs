//! The steps of a promotion, line by line: `system/web-12 Started`.
//!
//! Most of them stand in the history. That a frontend's artefact is on the way and that its process
//! was started do not: they are passing phases that only a spectator wants to know of, so they are
//! read off the state as it goes by. A spectator who comes late, or whose node was lost, is told
//! what is so since the index at which it left; a step may then be told twice, never left out.

use std::collections::BTreeMap;

use fleet_model::{
    State,
    event::{Event, Kind},
    frontend::{Frontend, Phase},
    goal::Progress,
    ids::{EnvironmentKey, FrontendId},
};
use fleet_proto::v1::ProgressLine;

use super::{super::instant, Wanted, phase};

/// How far the start of each frontend has been told.
pub(super) struct Story {
    environment: Option<EnvironmentKey>,
    told: BTreeMap<FrontendId, Rung>,
}

/// Steps of a start that no event tells, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rung {
    Placed,
    Fetching,
    Started,
}

impl Story {
    /// Tells what comes after log index `since`; nothing at all to who does not want steps.
    pub(super) fn new(wanted: &Wanted, state: &State, since: u64) -> Self {
        let environment = wanted
            .environment()
            .filter(|_| wanted.tells_steps())
            .cloned();
        let told = here(state, environment.as_ref())
            .filter(|frontend| frontend.revision <= since)
            .map(|frontend| (frontend.id, rung(frontend)))
            .collect();
        Self { environment, told }
    }

    /// What has become of frontends since it was asked last.
    pub(super) fn steps(&mut self, state: &State, progress: &Progress) -> Vec<ProgressLine> {
        let mut lines = Vec::new();
        for frontend in here(state, self.environment.as_ref()) {
            let reached = rung(frontend);
            let before = self.told.insert(frontend.id, reached);
            let before = before.unwrap_or(Rung::Placed);
            let sentences = sentences(state, frontend, before, reached);
            lines.extend(sentences.into_iter().map(|text| ProgressLine {
                at: Some(instant(frontend.observed.since)),
                text,
                source: format!("system/{}", frontend.name()),
                phase: phase(progress).to_owned(),
                log_index: state.index,
                ..ProgressLine::default()
            }));
        }
        self.told.retain(|id, _| state.frontends.contains_key(id));
        lines
    }
}

/// Frontends of the environment whose story it is.
fn here<'a>(
    state: &'a State,
    environment: Option<&'a EnvironmentKey>,
) -> impl Iterator<Item = &'a Frontend> {
    environment.into_iter().flat_map(move |key| {
        state
            .loaded_in(key)
            .flat_map(move |(loaded, _)| state.frontends_of(loaded))
    })
}

fn rung(frontend: &Frontend) -> Rung {
    match frontend.observed.phase {
        Phase::Assigned => Rung::Placed,
        Phase::Fetching => Rung::Fetching,
        // One that ended before it was started was never started.
        _ if frontend.observed.pid.is_none() => Rung::Placed,
        _ => Rung::Started,
    }
}

/// Snapshots may skip a phase; its sentence is told all the same.
fn sentences(state: &State, frontend: &Frontend, before: Rung, reached: Rung) -> Vec<String> {
    let build = state.loaded.get(&frontend.loaded).map(|l| &l.build);
    let build = build.map(ToString::to_string).unwrap_or_default();
    let mut sentences = Vec::new();
    if before < Rung::Fetching && reached == Rung::Fetching {
        sentences.push(format!("Fetching artefact {build}"));
    }
    if before < Rung::Started && reached == Rung::Started {
        sentences.push(format!("Fetched artefact {build}"));
        sentences.push("Started".to_owned());
    }
    sentences
}

/// What an event happened to, as the predecessor writes it.
pub(super) fn source(event: &Event) -> String {
    let subject = match (event.kind, event.subject.as_str()) {
        (Kind::Rollout, subject) if subject != "app" => "app",
        (_, "") => "app",
        (_, subject) => subject,
    };
    format!("system/{subject}")
}

/// An event's sentence without the name that its source says already: `web-12 is healthy` becomes
/// `Healthy`.
pub(super) fn sentence(event: &Event) -> String {
    // What a failed frontend wrote last comes at the end of all, with the cause.
    let message = event.message.lines().next().unwrap_or_default();
    let message = message.strip_suffix("; last output:").unwrap_or(message);
    let rest = message
        .strip_prefix(event.subject.as_str())
        .and_then(|rest| rest.strip_prefix(' '))
        .map(|rest| rest.strip_prefix("is ").unwrap_or(rest));
    let mut letters = rest.unwrap_or_default().chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::Time;

    use super::*;

    fn event(kind: Kind, subject: &str, message: &str) -> Event {
        Event {
            sequence: 1,
            index: 1,
            at: Time(1),
            actor: "fleet".into(),
            kind,
            environment: None,
            subject: subject.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn history_reads_as_the_predecessor_wrote_it() {
        let lines = [
            event(Kind::Rollout, "app", "Status: Running => Pending"),
            event(Kind::Scaling, "web", "Scaled up web of RABCDEFGHI to 1"),
            event(Kind::Frontend, "web-12", "web-12 placed on b (slot 1)"),
            event(Kind::Frontend, "web-12", "web-12 is healthy"),
            event(Kind::Frontend, "web-12", "web-123 is another"),
            event(
                Kind::Rollout,
                "RABCDEFGHI",
                "promotion of RABCDEFGHI is reversed: it failed; last output:\n  panic",
            ),
        ]
        .map(|event| format!("{} {}", source(&event), sentence(&event)));
        assert_eq!(
            lines,
            [
                "system/app Status: Running => Pending",
                "system/web Scaled up web of RABCDEFGHI to 1",
                "system/web-12 Placed on b (slot 1)",
                "system/web-12 Healthy",
                "system/web-12 web-123 is another",
                "system/app promotion of RABCDEFGHI is reversed: it failed",
            ]
        );
    }
}
