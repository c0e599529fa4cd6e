//! What a confirmed heartbeat is worth. Pure.
//!
//! Control counts the silence of a worker from when it heard a heartbeat, the worker from when it
//! sent it, which was earlier. So whatever the network and the leader do in between, the worker is
//! the first to run out of patience (docs/survival.md has the arithmetic).

use std::collections::VecDeque;

use fleet_model::node::SINGLETONS_STOP_AFTER;

use crate::clock::Boot;

/// Heartbeats to remember: of those sent earlier, singletons have long been stopped.
const REMEMBERED: usize = 32;

/// The heartbeats of one session, and when each was sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heartbeats {
    last: u64,
    sent: VecDeque<(u64, Boot)>,
}

impl Heartbeats {
    /// The sequence of a heartbeat that is about to be sent; `now` must have been read before.
    pub(crate) fn next(&mut self, now: Boot) -> u64 {
        self.last += 1;
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back((self.last, now));
        self.last
    }

    /// Until when singletons may run, now that the leader has confirmed this heartbeat. Nothing
    /// follows of one that is not remembered.
    pub(crate) fn confirmed(&mut self, sequence: u64) -> Option<Boot> {
        let sent = self.sent.iter().find(|(other, _)| *other == sequence)?.1;
        self.sent.retain(|(other, _)| *other > sequence);
        Some(sent.plus(SINGLETONS_STOP_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts_from_when_the_heartbeat_was_sent() {
        let mut beats = Heartbeats::default();
        let first = beats.next(Boot(1_000));
        let second = beats.next(Boot(2_000));
        assert_eq!(beats.confirmed(second), Some(Boot(12_000)));
        // The answer to an earlier one says less, and was overtaken.
        assert_eq!(beats.confirmed(first), None);
        assert_eq!(beats.confirmed(second), None, "once");
        assert_eq!(beats.confirmed(77), None, "never sent");
    }

    #[test]
    fn an_agent_that_slept_learns_that_it_is_too_late() {
        let mut beats = Heartbeats::default();
        let before = beats.next(Boot(1_000));
        // A minute under SIGSTOP; the confirmation waited in the socket.
        let until = beats.confirmed(before);
        assert!(until.is_some_and(|until| until < Boot(61_000)));
    }

    #[test]
    fn a_leader_that_never_confirms_costs_no_memory() {
        let mut beats = Heartbeats::default();
        let first = beats.next(Boot(0));
        for second in 1..1_000 {
            beats.next(Boot(second * 1_000));
        }
        assert_eq!(beats.sent.len(), REMEMBERED);
        assert_eq!(beats.confirmed(first), None);
    }
}
