//! A frontend from the order to start it until its last request has ended.

use super::{BACKLOG, CORES, INGRESSES, book};
use crate::frontend::Queue;
use crate::load::Start;
use crate::scaler::Seen;
use crate::score::Run;

pub(super) struct Member {
    pub(super) id: u32,
    pub(super) ordered: u32,
    pub(super) phase: Phase,
    pub(super) queue: Queue,
    /// What each ingress knows of it.
    pub(super) sent: [Sent; INGRESSES],
}

/// Requests that one ingress has sent to a frontend.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sent {
    pub(super) in_flight: u64,
    /// Since it last reported, refused ones too.
    pub(super) requests: u64,
    pub(super) refused: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    Starting {
        until: f64,
    },
    /// Since a second, and at full speed from another.
    Ready {
        since: u32,
        warm: u32,
    },
    /// Takes no more requests, ends those it has.
    Leaving,
}

impl Member {
    pub(super) fn new(id: u32, ordered: u32, takes: f64) -> Member {
        Member {
            id,
            ordered,
            phase: Phase::Starting {
                until: f64::from(ordered) + takes,
            },
            queue: Queue::new(CORES, BACKLOG, f64::from(ordered)),
            sent: [Sent::default(); INGRESSES],
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready { .. })
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.phase == Phase::Leaving
    }

    pub(super) fn is_gone(&self) -> bool {
        self.is_leaving() && self.queue.in_flight() == 0
    }

    pub(super) fn leave(&mut self) {
        self.phase = Phase::Leaving;
    }

    pub(super) fn begin_second(&mut self, second: u32, start: Start) {
        match self.phase {
            Phase::Starting { until } if until <= f64::from(second) => {
                let warm = second + start.cold as u32;
                self.phase = Phase::Ready {
                    since: second,
                    warm,
                };
                self.queue.speed = if warm > second { 0.5 } else { 1.0 };
            }
            Phase::Ready { warm, .. } if warm == second => self.queue.speed = 1.0,
            _ => {}
        }
    }

    pub(super) fn end_second(&mut self, now: u32, start: Start, run: &mut Run) {
        if start.busy && matches!(self.phase, Phase::Starting { .. }) {
            self.queue.burn(CORES);
        }
        self.advance(f64::from(now), run);
    }

    pub(super) fn advance(&mut self, until: f64, run: &mut Run) {
        let sent = &mut self.sent;
        self.queue.advance(until, |end| {
            let sent = &mut sent[usize::from(end.ingress)];
            sent.in_flight -= 1;
            book(run, end);
        });
    }

    /// As an autoscaler sees it; one that is leaving no longer counts.
    pub(super) fn seen(&self) -> Option<Seen> {
        let ready = match self.phase {
            Phase::Starting { .. } => None,
            Phase::Ready { since, .. } => Some(since),
            Phase::Leaving => return None,
        };
        Some(Seen {
            id: self.id,
            ordered: self.ordered,
            ready,
        })
    }
}
