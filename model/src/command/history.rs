//! What a command leaves behind beside its effect: its answer, lines of history, news of routes.

use std::sync::Arc;

use crate::{
    State,
    command::{Outcome, Rejection},
    event::{Event, KEPT, Kind},
    ids::{EnvironmentKey, RequestId},
    state::{Answered, REMEMBERED_REQUESTS},
};

impl State {
    pub(super) fn remember(&mut self, request: RequestId, answer: &Result<Outcome, Rejection>) {
        let answered = Answered {
            index: self.index,
            answer: answer.clone(),
        };
        self.requests.insert(request.clone(), answered);
        self.request_order.insert(self.index, request);
        while self.request_order.len() > REMEMBERED_REQUESTS {
            let Some((oldest, request)) = self.request_order.get_min().cloned() else {
                break;
            };
            self.request_order.remove(&oldest);
            self.requests.remove(&request);
        }
    }

    /// Writes a line of history.
    pub(crate) fn record(
        &mut self,
        kind: Kind,
        actor: &Arc<str>,
        environment: Option<&EnvironmentKey>,
        subject: impl Into<String>,
        message: impl Into<String>,
    ) {
        let event = Event {
            sequence: self.next_event,
            index: self.index,
            at: self.now,
            actor: actor.clone(),
            kind,
            environment: environment.cloned(),
            subject: subject.into(),
            message: message.into(),
        };
        self.events.insert(self.next_event, event);
        self.next_event += 1;
        while self.events.len() > KEPT {
            let Some((oldest, _)) = self.events.get_min().cloned() else {
                break;
            };
            self.events.remove(&oldest);
        }
    }

    /// Notes that the routes of an environment changed: a new generation of the route table.
    pub(crate) fn reroute(&mut self, environment: &EnvironmentKey) -> u64 {
        self.generation += 1;
        self.route_changes
            .insert(environment.clone(), self.generation);
        self.generation
    }
}
