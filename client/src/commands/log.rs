//! `log`: lines in groups, by environment and release.

use std::time::Duration;

use fleet_proto::v1::logs_client::LogsClient;
use fleet_proto::v1::{Instant, ListLogsRequest, LogLine, ViewLogRequest};

use crate::args::{LogVerb, ViewArgs};
use crate::failure::Failure;
use crate::output::to_json;
use crate::session::Session;
use crate::view::{LogLineView, LogList};

/// What is shown without `--start-time` (surface.md A.3).
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Between two looks for new lines. The predecessor looked each minute; a decision is worth seeing
/// while it takes effect.
const LOOK: Duration = Duration::from_secs(2);

pub(super) async fn run(session: &mut Session, verb: LogVerb) -> Result<(), Failure> {
    match verb {
        LogVerb::List {
            environment,
            release,
        } => list(session, environment, release).await,
        LogVerb::View(options) => view(session, options).await,
    }
}

async fn list(
    session: &mut Session,
    environment: Option<String>,
    release: Option<String>,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let stale = session.globals.stale;
    let environment = agreed(session, environment)?;
    let release = release.unwrap_or_default();
    let question = |page_size, page_token| ListLogsRequest {
        app: app.clone(),
        environment: environment.clone(),
        release: release.clone(),
        stale,
        page_size,
        page_token,
    };
    let groups = session
        .pages(
            None,
            question,
            |c, r| async move { LogsClient::new(c).list_logs(r).await },
            |page| (page.groups, page.next_page_token),
        )
        .await?;
    session
        .console
        .result(&LogList::new(&groups), LogList::text)
}

async fn view(session: &mut Session, options: ViewArgs) -> Result<(), Failure> {
    let mut words = options.words.into_iter().rev();
    let (group, release) = (words.next(), words.next());
    let environment = agreed(session, words.next())?;
    if environment.is_empty() {
        let usage = "fleet log view ENV RELEASE GROUP";
        return Err(Failure::usage("which environment?").hint(usage));
    }
    let moment = |at: jiff::Timestamp| Instant {
        unix_ms: u64::try_from(at.as_millisecond()).unwrap_or(0),
    };
    let yesterday = Instant {
        unix_ms: session.surroundings.now_ms.saturating_sub(DAY_MS),
    };
    let mut question = ViewLogRequest {
        app: session.app().await?,
        environment,
        release: release.unwrap_or_default(),
        group: group.unwrap_or_default(),
        start: Some(options.start_time.map_or(yesterday, moment)),
        end: options.end_time.map(moment),
        stale: session.globals.stale,
        page_size: 0,
        page_token: String::new(),
    };
    if options.follow {
        return follow(session, question).await;
    }
    let mut views = Vec::new();
    loop {
        let lines = next(session, &mut question).await?;
        if lines.is_empty() {
            break;
        }
        views.extend(lines.iter().map(LogLineView::from));
    }
    session.console.result(&views, |views| {
        views.iter().map(LogLineView::line).collect()
    })
}

/// The environment of the line: its own word, or `-e`; both only if they say the same.
fn agreed(session: &Session, word: Option<String>) -> Result<String, Failure> {
    let flag = session.environment();
    match word {
        Some(word) if !flag.is_empty() && flag != word => Err(Failure::usage(format!(
            "two environments: {word} and -e {flag}"
        ))),
        Some(word) => Ok(word),
        None => Ok(flag),
    }
}

/// The lines after those that were seen; the question moves on behind them.
async fn next(
    session: &mut Session,
    question: &mut ViewLogRequest,
) -> Result<Vec<LogLine>, Failure> {
    let answer = session
        .read(question.clone(), |c, r| async move {
            LogsClient::new(c).view_log(r).await
        })
        .await?;
    question.page_token = answer.next_page_token;
    Ok(answer.lines)
}

/// Shows lines as they come, until somebody stops it: each a line of text, or one JSON document.
async fn follow(session: &mut Session, mut question: ViewLogRequest) -> Result<(), Failure> {
    loop {
        let lines = next(session, &mut question).await?;
        for line in &lines {
            let view = LogLineView::from(line);
            let text = if session.console.is_json() {
                to_json(&view)
            } else {
                view.line()
            };
            session.console.write(&text)?;
        }
        if lines.is_empty() {
            tokio::time::sleep(LOOK).await;
        }
    }
}
