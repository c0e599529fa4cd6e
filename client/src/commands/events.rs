//! `events`: the newest lines of the history, and with -f whatever comes.

use std::convert::Infallible;

use fleet_proto::v1::events_client::EventsClient;
use fleet_proto::v1::{Event, EventFilter, ListEventsRequest, WatchEventsRequest};

use crate::args::EventArgs;
use crate::connection::{Connection, Next};
use crate::failure::Failure;
use crate::output::to_json;
use crate::session::Session;
use crate::view::EventView;

pub(super) async fn run(session: &mut Session, options: EventArgs) -> Result<(), Failure> {
    // Without -a the history of the whole cluster: nodes belong to no app.
    let filter = EventFilter {
        app: session.explicit_app().unwrap_or_default(),
        environment: session.environment(),
        release: options.release.clone().unwrap_or_default(),
    };
    let connection = session.connection().await?;
    let (events, log_index) =
        newest(&connection, &filter, options.limit, session.globals.stale).await?;
    if !options.follow {
        let views: Vec<EventView> = events.iter().map(EventView::from).collect();
        return session
            .console
            .result(&views, |views| views.iter().map(EventView::line).collect());
    }
    for event in &events {
        show(session, event)?;
    }
    follow(session, &connection, filter, log_index).await
}

/// At most `limit` of the newest events, oldest first, and the index up to which they were read.
async fn newest(
    connection: &Connection,
    filter: &EventFilter,
    limit: u32,
    stale: bool,
) -> Result<(Vec<Event>, u64), Failure> {
    let mut events: Vec<Event> = Vec::new();
    let mut read_to = None;
    let mut page_token = String::new();
    loop {
        let missing = limit.saturating_sub(u32::try_from(events.len()).unwrap_or(u32::MAX));
        let question = ListEventsRequest {
            filter: Some(filter.clone()),
            stale,
            page_size: missing.max(1),
            page_token: page_token.clone(),
        };
        let page = connection
            .read(question, |c, r| async move {
                EventsClient::new(c).list(r).await
            })
            .await?;
        read_to.get_or_insert(page.log_index);
        events.splice(0..0, page.events);
        let full = events.len() >= limit as usize;
        let older = page.previous_page_token;
        if full || older.is_empty() || older == page_token {
            break;
        }
        page_token = older;
    }
    let surplus = events.len().saturating_sub(limit as usize);
    events.drain(..surplus);
    Ok((events, read_to.unwrap_or_default()))
}

async fn follow(
    session: &mut Session,
    connection: &Connection,
    filter: EventFilter,
    after: u64,
) -> Result<(), Failure> {
    // Index and ordinal of the last event shown: a stream that begins anew repeats none.
    let mut seen = (session, (after, u32::MAX));
    let never: Result<Infallible, Failure> = connection
        .follow(
            &mut seen,
            |(_, last)| WatchEventsRequest {
                filter: Some(filter.clone()),
                // One entry may cause several events, of which only some have been seen.
                after_index: if last.1 == u32::MAX {
                    last.0
                } else {
                    last.0.saturating_sub(1)
                },
            },
            |channel, request| async move { EventsClient::new(channel).watch(request).await },
            |(session, last), event: Event| {
                let place = (event.log_index, event.ordinal);
                if place > *last {
                    *last = place;
                    show(session, &event)?;
                }
                Ok(Next::More)
            },
        )
        .await;
    match never {
        Ok(impossible) => match impossible {},
        Err(failure) => Err(failure),
    }
}

/// One event: a line of text, or one JSON document.
fn show(session: &mut Session, event: &Event) -> Result<(), Failure> {
    let view = EventView::from(event);
    let text = if session.console.is_json() {
        to_json(&view)
    } else {
        view.line()
    };
    session.console.write(&text)
}
