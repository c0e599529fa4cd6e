//! `fleet.v1.Events`: the history.

use std::{pin::Pin, sync::Arc};

use fleet_model::{
    State,
    event::{Event, Kind},
};
use fleet_proto::v1::{self, events_server::Events};
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{instant, message, page};
use crate::control::{Context, refusal::unread};

/// Rows of a page when the client does not say.
const PAGE: usize = 100;
/// Events that may wait for a slow follower.
const QUEUE: usize = 64;

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Events for Api {
    async fn list(
        &self,
        request: Request<v1::ListEventsRequest>,
    ) -> Result<Response<v1::ListEventsResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let filter = asked.filter.unwrap_or_default();
        let before = page::number(&asked.page_token)?.unwrap_or(u64::MAX);
        let size = match asked.page_size as usize {
            0 => PAGE,
            size => size.min(fleet_model::event::KEPT),
        };
        let mut older = state
            .events
            .range(..before)
            .rev()
            .map(|(_, event)| event)
            .filter(|event| matches(event, &filter));
        let mut page: Vec<&Event> = older.by_ref().take(size).collect();
        let more = older.next().is_some();
        page.reverse();
        let oldest = page.first().map(|event| event.sequence).filter(|_| more);
        Ok(Response::new(v1::ListEventsResponse {
            events: page
                .into_iter()
                .map(|event| self::event(&state, event))
                .collect(),
            previous_page_token: oldest.map(page::key).unwrap_or_default(),
            log_index: state.index,
        }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<v1::Event, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let asked = message(request);
        let filter = asked.filter.unwrap_or_default();
        let (events, following) = mpsc::channel(QUEUE);
        let mut states = self.0.state.clone();
        tokio::spawn(async move {
            let mut after = asked.after_index;
            loop {
                let state = states.borrow_and_update().clone();
                for event in since(&state, after).filter(|event| matches(event, &filter)) {
                    if events.send(Ok(self::event(&state, event))).await.is_err() {
                        return;
                    }
                }
                after = after.max(state.index);
                tokio::select! {
                    changed = states.changed() => if changed.is_err() { return },
                    () = events.closed() => return,
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(following))))
    }
}

/// Events of log entries after `index`, oldest first.
pub(super) fn since(state: &State, index: u64) -> impl Iterator<Item = &Event> {
    let newer = state
        .events
        .values()
        .rev()
        .take_while(move |event| event.index > index);
    let newer: Vec<&Event> = newer.collect();
    newer.into_iter().rev()
}

fn matches(event: &Event, filter: &v1::EventFilter) -> bool {
    let key = event.environment.as_ref();
    let fits = |wanted: &str, is: Option<&str>| wanted.is_empty() || is == Some(wanted);
    fits(&filter.app, key.map(|key| key.app.as_str()))
        && fits(&filter.environment, key.map(|key| key.name.as_str()))
        && fits(&filter.release, Some(&event.subject))
}

fn event(state: &State, event: &Event) -> v1::Event {
    let first = state
        .events
        .values()
        .rev()
        .find(|e| e.index < event.index)
        .map(|e| e.sequence);
    let of_kind = |kind: Kind| {
        if event.kind == kind {
            event.subject.clone()
        } else {
            String::new()
        }
    };
    let node = state
        .nodes
        .values()
        .find(|n| event.kind == Kind::Node && n.name == event.subject);
    v1::Event {
        log_index: event.index,
        ordinal: first.map_or(event.sequence, |first| event.sequence - first - 1) as u32,
        at: Some(instant(event.at)),
        kind: event.kind.as_str().to_owned(),
        actor: event.actor.to_string(),
        text: event.message.clone(),
        app: event
            .environment
            .as_ref()
            .map(|key| key.app.to_string())
            .unwrap_or_default(),
        environment: event
            .environment
            .as_ref()
            .map(|k| k.name.to_string())
            .unwrap_or_default(),
        release: of_kind(Kind::Release),
        node_id: node.map_or(0, |node| node.id.0),
        frontend: of_kind(Kind::Frontend),
    }
}
