//! The account of one request, from before it is looked at until the last of its response.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;

use super::line::{Line, Route};
use super::tally::{Hold, Settled, Tally};
use crate::pages;
use crate::pin::Pin;
use crate::slot::Connections;

/// What happens to a request, as it is told; settled when it is dropped, whatever was told by then.
#[derive(Debug)]
pub(crate) struct Account(Option<Open>);

/// Counts bytes of a request's body, on their way to whoever wants them.
pub(crate) trait Meter: Send + Sync + std::fmt::Debug {
    fn bytes(&self) -> u64;
}

#[derive(Debug)]
struct Open {
    /// Where it is counted.
    cell: Hold,
    begun: Instant,
    head: Option<(u16, Duration)>,
    /// Why the answer was ours: a position in `pages::NAMES`.
    reason: Option<usize>,
    body: Option<Arc<dyn Meter>>,
    received: u64,
    sent: u64,
    retries: u32,
    resends: u32,
    /// The attempt before came to nothing; and whether a frontend may have noticed it.
    lost: Option<bool>,
    end: End,
    /// Of the access log, where there is one.
    line: Option<Box<Line>>,
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It did not, so if nothing more comes the client does not want it.
    Open,
    Whole,
    /// The frontend broke it off.
    Broken,
}

/// Everything about a request that has ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) settled: Settled,
    pub(super) took: Duration,
    pub(super) aborted_by: Option<&'static str>,
}

impl Account {
    pub(super) fn open(cell: &Hold, line: Option<Box<Line>>) -> Self {
        Self(Some(Open {
            cell: Arc::clone(cell),
            begun: Instant::now(),
            head: None,
            reason: None,
            body: None,
            received: 0,
            sent: 0,
            retries: 0,
            resends: 0,
            lost: None,
            end: End::Open,
            line,
        }))
    }

    /// Hands the account over to who goes on with the request; what is told here from now on is
    /// forgotten.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// It has a body, counted by this.
    pub(crate) fn has_body(&mut self, body: Arc<dyn Meter>) {
        self.tell(|open| open.body = Some(body));
    }

    /// The headers by which a frontend gets it, its id among them.
    pub(crate) fn goes_with(&mut self, headers: &HeaderMap) {
        self.tell(|open| {
            if let Some(line) = &mut open.line {
                line.identify(headers);
            }
        });
    }

    /// A frontend was chosen. After one that was lost, this is the next attempt.
    pub(crate) fn chosen<C: Connections>(&mut self, pin: &Pin<C>) {
        self.tell(|open| {
            open.count_in(&pin.slot.tally);
            if let Some(noticed) = open.lost.take() {
                open.retries += 1;
                open.resends += u32::from(noticed);
            }
            if let Some(line) = &mut open.line {
                line.route = Some(Route {
                    tally: Arc::clone(&pin.slot.tally),
                    service: pin.service().to_owned(),
                    frontend: pin.slot.id,
                });
            }
        });
    }

    /// The attempt at the chosen frontend came to nothing, which it may have `noticed`.
    pub(crate) fn lost(&mut self, noticed: bool) {
        self.tell(|open| open.lost = Some(noticed));
    }

    /// Its host leads to this release, though to none of its frontends.
    pub(super) fn belongs(&mut self, tally: &Arc<Tally>) {
        self.tell(|open| {
            open.count_in(tally);
            if let Some(line) = &mut open.line
                && line.route.is_none()
            {
                line.belongs = Some(Arc::clone(tally));
            }
        });
    }

    /// There is a head of a response.
    pub(crate) fn answered(&mut self, status: u16) {
        self.tell(|open| open.head = Some((status, open.begun.elapsed())));
    }

    /// The answer is a page of ours, for this reason.
    pub(super) fn told(&mut self, status: u16, reason: &'static str) {
        self.answered(status);
        self.tell(|open| {
            open.reason = pages::NAMES.iter().position(|name| *name == reason);
            open.end = End::Whole;
        });
    }

    /// Bytes of the response's body went to the client.
    pub(crate) fn sent(&mut self, bytes: u64) {
        self.tell(|open| open.sent += bytes);
    }

    /// Bytes of the client came through a tunnel.
    pub(crate) fn received(&mut self, bytes: u64) {
        self.tell(|open| open.received += bytes);
    }

    /// The response is whole.
    pub(crate) fn ended(&mut self) {
        self.tell(|open| open.end = End::Whole);
    }

    /// The frontend broke the response off.
    pub(crate) fn broken(&mut self) {
        self.tell(|open| open.end = End::Broken);
    }

    fn tell(&mut self, what: impl FnOnce(&mut Open)) {
        if let Some(open) = &mut self.0 {
            what(open);
        }
    }
}

impl Open {
    fn count_in(&mut self, tally: &Tally) {
        let cell = tally.cell();
        if !Arc::ptr_eq(&self.cell, cell) {
            self.cell = Arc::clone(cell);
        }
    }

    fn settle(mut self) {
        let body = self.body.as_ref().map_or(0, |body| body.bytes());
        let settled = Settled {
            status: self.head.map_or(0, |(status, _)| status),
            after: self.head.map(|(_, after)| after),
            received: self.received + body,
            sent: self.sent,
            retries: self.retries,
            resends: self.resends,
            reason: self.reason,
        };
        self.cell.0.settle(&settled);
        if let Some(line) = self.line.take() {
            let aborted_by = match self.end {
                End::Whole => None,
                End::Broken => Some("frontend"),
                End::Open => Some("client"),
            };
            line.end(&Ended {
                settled,
                took: self.begun.elapsed(),
                aborted_by,
            });
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(open) = self.0.take() {
            open.settle();
        }
    }
}
