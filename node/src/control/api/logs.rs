//! `fleet.v1.Logs`: lines by environment, release and group.
//!
//! There is one group yet, `autoscaling-logs`: the history of the counts of a release, and of the
//! settings they follow. Its lines are events, kept as long as these.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet_model::{
    State,
    event::{Event, Kind},
    ids::EnvironmentKey,
    reference,
};
use fleet_proto::v1::{self, logs_server::Logs};
use tonic::{Request, Response, Status};

use super::{instant, message, page, resolve};
use crate::control::{
    Context,
    refusal::{detail, rejected, unread, with_detail},
};

/// The only group.
const AUTOSCALING: &str = "autoscaling-logs";

/// Lines of a page when the client does not say.
const PAGE: usize = 500;

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Logs for Api {
    async fn list_logs(
        &self,
        request: Request<v1::ListLogsRequest>,
    ) -> Result<Response<v1::ListLogsResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let only = match asked.environment.as_str() {
            "" => None,
            name => Some(existing(&state, app.as_str(), name)?),
        };
        let release = match (&only, asked.release.as_str()) {
            (_, "") => None,
            (Some(key), asked) => Some(release(&state, key, asked)?),
            (None, asked) => Some(asked.to_owned()),
        };
        let groups = groups(&state).into_iter().filter(|((key, name), _)| {
            key.app == app
                && only.as_ref().is_none_or(|only| key == only)
                && release.as_ref().is_none_or(|release| name == release)
        });
        let rows = groups.map(|((key, release), span)| {
            let sorted = format!("{}\u{1}{release}", key.name);
            let group = v1::LogGroup {
                environment: key.name.to_string(),
                release,
                group: AUTOSCALING.to_owned(),
                first: span.map(|(first, _)| instant(first)),
                last: span.map(|(_, last)| instant(last)),
            };
            (sorted, group)
        });
        let (groups, next_page_token) = page::cut(rows, asked.page_size, &asked.page_token);
        Ok(Response::new(v1::ListLogsResponse {
            groups,
            next_page_token,
        }))
    }

    async fn view_log(
        &self,
        request: Request<v1::ViewLogRequest>,
    ) -> Result<Response<v1::ViewLogResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let key = existing(&state, &asked.app, &asked.environment)?;
        let release = release(&state, &key, &asked.release)?;
        if asked.group != AUTOSCALING {
            let what = format!("there is no log group {:?} of {release}", asked.group);
            let hint = format!("there is one: {AUTOSCALING}");
            let detail = detail("UNKNOWN_LOG", &hint);
            return Err(with_detail(tonic::Code::NotFound, &what, &detail));
        }
        Ok(Response::new(page_of(&state, &key, &release, &asked)?))
    }
}

/// Lines of a release from the token on. The token that comes with them is where the next ones will
/// be, also when there are none yet: who follows asks with it again.
fn page_of(
    state: &State,
    key: &EnvironmentKey,
    release: &str,
    asked: &v1::ViewLogRequest,
) -> Result<v1::ViewLogResponse, Status> {
    let from = page::number(&asked.page_token)?.unwrap_or(0);
    let (start, end) = (asked.start, asked.end);
    let within = |event: &&Event| {
        let at = event.at.0;
        start.is_none_or(|start| at >= start.unix_ms) && end.is_none_or(|end| at < end.unix_ms)
    };
    let size = match asked.page_size as usize {
        0 => PAGE,
        size => size.min(fleet_model::event::KEPT),
    };
    let events = state.events.range(from..).map(|(_, event)| event);
    let lines = events.filter(|event| belongs(event, key, release));
    let page: Vec<&Event> = lines.filter(within).take(size).collect();
    // All that was looked at is done with, also when it ended before the page was full.
    let next = match page.last() {
        Some(last) if page.len() == size => last.sequence + 1,
        _ => state.next_event.max(from),
    };
    Ok(v1::ViewLogResponse {
        lines: page.into_iter().map(line).collect(),
        next_page_token: page::key(next),
    })
}

/// Counts and settings of the environment's releases.
fn belongs(event: &Event, key: &EnvironmentKey, release: &str) -> bool {
    event.kind == Kind::Scaling
        && event.environment.as_ref() == Some(key)
        && (event.subject == release || event.subject == key.name.as_str())
}

fn line(event: &Event) -> v1::LogLine {
    v1::LogLine {
        at: Some(instant(event.at)),
        source: format!("autoscaling/{}", event.actor),
        text: event.message.clone(),
    }
}

type Span = Option<(fleet_model::Time, fleet_model::Time)>;

/// Every release that is loaded or was scaled once, with the times of its first and last line.
fn groups(state: &State) -> BTreeMap<(EnvironmentKey, String), Span> {
    let loaded = state.loaded.iter();
    let loaded = loaded.map(|(key, loaded)| (key.environment.clone(), loaded.name.clone()));
    // Counts of services have lines, too, and those are no releases.
    let releases = of_kind(state, Kind::Release);
    let releases: BTreeSet<_> = releases.map(|(key, name, _)| (key, name)).collect();
    let mut groups: BTreeMap<_, Span> = loaded.map(|name| (name, None)).collect();
    let scaled = of_kind(state, Kind::Scaling);
    for (key, subject, at) in scaled {
        let name = (key.clone(), subject.to_owned());
        if !groups.contains_key(&name) && !releases.contains(&(key, subject)) {
            continue;
        }
        let span = groups.entry(name).or_default();
        let first = span.map_or(at, |(first, _)| first);
        *span = Some((first, at));
    }
    groups
}

/// Environment, subject and time of each event of a kind, oldest first.
fn of_kind(
    state: &State,
    kind: Kind,
) -> impl Iterator<Item = (&EnvironmentKey, &str, fleet_model::Time)> {
    let events = state.events.values().filter(move |e| e.kind == kind);
    events.filter_map(|event| {
        let key = event.environment.as_ref()?;
        Some((key, event.subject.as_str(), event.at))
    })
}

fn existing(state: &State, app: &str, name: &str) -> Result<EnvironmentKey, Status> {
    let key = resolve::environment(state, app, name)?;
    reference::environment(state, &key).map_err(|r| rejected(&r))?;
    Ok(key)
}

/// The name of the release that is meant: of a loaded one, or of one that left lines behind.
fn release(state: &State, key: &EnvironmentKey, asked: &str) -> Result<String, Status> {
    let left = |event: &Event| event.subject == asked && belongs(event, key, asked);
    match resolve::loaded(state, key, asked) {
        Ok(found) => {
            let loaded = state.loaded.get(&found);
            Ok(loaded.map_or_else(|| asked.to_owned(), |loaded| loaded.name.clone()))
        }
        Err(_) if state.events.values().any(left) => Ok(asked.to_owned()),
        Err(unknown) => Err(unknown),
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::{
        Time,
        ids::{AppName, EnvironmentName},
    };

    use super::*;

    fn prod() -> EnvironmentKey {
        key("prod")
    }

    fn key(name: &str) -> EnvironmentKey {
        EnvironmentKey {
            app: AppName::parse("shop").unwrap(),
            name: EnvironmentName::parse(name).unwrap(),
        }
    }

    /// Something happens to `subject` of an environment, ten seconds after what happened before.
    fn happens(state: &mut State, environment: EnvironmentKey, kind: Kind, subject: &str) {
        let sequence = state.next_event;
        state.next_event += 1;
        let event = Event {
            sequence,
            index: sequence,
            at: Time(sequence * 10_000),
            actor: "fleet".into(),
            kind,
            environment: Some(environment),
            subject: subject.to_owned(),
            message: sequence.to_string(),
        };
        state.events.insert(sequence, event);
    }

    /// Fifty decisions about `one`, numbers 0, 4, 8 and so on, and thrice as much that is not of it.
    fn history() -> State {
        let mut state = State::default();
        state.next_event = 0;
        for _ in 0..50 {
            happens(&mut state, prod(), Kind::Scaling, "one");
            happens(&mut state, prod(), Kind::Scaling, "two");
            happens(&mut state, key("qa"), Kind::Scaling, "one");
            happens(&mut state, prod(), Kind::Release, "one");
        }
        state
    }

    fn question(page_size: u32) -> v1::ViewLogRequest {
        v1::ViewLogRequest {
            page_size,
            ..v1::ViewLogRequest::default()
        }
    }

    /// The numbers of the lines of the next page; the question moves on behind them.
    fn next(state: &State, asked: &mut v1::ViewLogRequest) -> Vec<u64> {
        let page = page_of(state, &prod(), "one", asked).unwrap();
        asked.page_token = page.next_page_token;
        let numbers = page.lines.iter().map(|line| line.text.parse().unwrap());
        numbers.collect()
    }

    /// Page after page until one is empty, as the client asks.
    fn all(state: &State, mut asked: v1::ViewLogRequest) -> Vec<Vec<u64>> {
        let pages = std::iter::from_fn(|| Some(next(state, &mut asked)));
        pages.take_while(|page| !page.is_empty()).collect()
    }

    #[test]
    fn pages_hold_every_line_once_and_none_of_others() {
        let state = history();
        let every: Vec<u64> = (0..50).map(|number| number * 4).collect();
        for size in [1, 7, 25, 50, 51, 0] {
            let pages = all(&state, question(size));
            assert_eq!(pages.concat(), every, "pages of {size}");
            let size = if size == 0 { PAGE } else { size as usize };
            assert_eq!(pages.len(), 50_usize.div_ceil(size), "pages of {size}");
        }
    }

    #[test]
    fn a_span_of_time_is_kept_to_on_every_page() {
        let asked = v1::ViewLogRequest {
            start: Some(instant(Time(80_000))),
            end: Some(instant(Time(400_000))),
            ..question(3)
        };
        let pages = all(&history(), asked);
        assert_eq!(
            pages,
            [vec![8, 12, 16], vec![20, 24, 28], vec![32, 36]],
            "from the first moment on, and before the last"
        );
    }

    #[test]
    fn who_is_at_the_end_gets_what_comes_after_it() {
        let mut state = history();
        let mut asked = question(100);
        assert_eq!(next(&state, &mut asked).len(), 50);
        assert!(next(&state, &mut asked).is_empty(), "not yet");
        happens(&mut state, prod(), Kind::Release, "one");
        assert!(next(&state, &mut asked).is_empty(), "of another kind");
        happens(&mut state, prod(), Kind::Scaling, "one");
        // A setting of the environment is one of all its releases.
        happens(&mut state, prod(), Kind::Scaling, "prod");
        assert_eq!(next(&state, &mut asked), [201, 202]);
        assert!(next(&state, &mut asked).is_empty());
    }

    #[test]
    fn lines_that_were_forgotten_meanwhile_are_left_out() {
        let mut state = history();
        let mut asked = question(2);
        assert_eq!(next(&state, &mut asked), [0, 4]);
        state.events = state
            .events
            .range(100..)
            .map(|(n, e)| (*n, e.clone()))
            .collect();
        assert_eq!(next(&state, &mut asked), [100, 104]);
    }

    #[test]
    fn a_token_of_nobody_is_refused() {
        let asked = v1::ViewLogRequest {
            page_token: "tomorrow".to_owned(),
            ..question(0)
        };
        let refused = page_of(&history(), &prod(), "one", &asked).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    }
}
