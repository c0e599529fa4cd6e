//! From serving to gone, without cutting anybody off.
//!
//! An idle HTTP/1.1 connection cannot be closed safely: a request may be on its way, and its
//! client cannot know whether it was taken. So clients are first told with the next response,
//! and only what stays silent is closed after a while.

use std::time::Duration;

use tokio::sync::watch;

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Serving,
    /// No new connections. HTTP/1.1 answers say `connection: close`, HTTP/2 gets GOAWAY.
    Closing,
    /// Whoever still says nothing is closed.
    Leaving,
    /// Time is over: upgraded connections are ended, the rest is cut.
    Ending,
    /// Nothing is left but to say goodbye to control.
    Gone,
}

/// Shared by everything that has to know.
#[derive(Debug)]
pub(super) struct Lifecycle {
    phase: watch::Sender<Phase>,
}

/// The longest that silent connections are waited for.
const SILENT: Duration = Duration::from_secs(5);

impl Lifecycle {
    pub(super) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
        }
    }

    pub(super) fn is_closing(&self) -> bool {
        *self.phase.borrow() > Phase::Serving
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
    }

    pub(super) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }
}

/// Returns when the process is in `phase` or beyond.
pub(super) async fn reached(watched: &mut watch::Receiver<Phase>, phase: Phase) {
    // The sender lives as long as the process; without it there is nothing to wait for.
    let _ = watched.wait_for(|now| *now >= phase).await;
}

/// How long a drain of this length waits for silent clients before it closes them.
pub(super) fn silent_time(drain: Duration) -> Duration {
    (drain / 2).min(SILENT)
}
