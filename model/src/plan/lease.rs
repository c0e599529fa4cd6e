//! Workers' leases: who is ready, silent, lost.

use super::{Draft, Load};
use crate::{
    State,
    command::Command,
    node::{LOST_AFTER, Lease, Role, SUSPECT_AFTER},
    time::Millis,
};

pub(super) fn plan(state: &State, load: &Load, draft: &mut Draft) {
    for node in state.nodes_with(Role::Worker) {
        let heard = load.workers.get(&node.id).copied();
        // A new leader gives everybody the whole lease again before it calls anybody lost.
        let silence = draft.now.since(heard.unwrap_or(load.since).max(load.since));
        if let Some(to) = verdict(node.lease, heard.is_some(), silence) {
            draft.commands.push(Command::MarkNode {
                node: node.id,
                from: node.lease,
                to,
                assumed: node.revision,
            });
        }
        if let Some(until) = node.held_back_until().filter(|until| *until > draft.now) {
            draft.wake(until);
        }
        if let Some(next) = next_verdict(node.lease, silence) {
            draft.wake(draft.now.plus(Millis(next.0.saturating_sub(silence.0))));
        }
    }
}

/// How long a silence has to last for the lease to be looked at again.
fn next_verdict(lease: Lease, silence: Millis) -> Option<Millis> {
    match lease {
        // Silence takes nothing from those that have nothing to lose.
        Lease::New | Lease::Lost => None,
        Lease::Ready | Lease::Suspect => [SUSPECT_AFTER, LOST_AFTER]
            .into_iter()
            .find(|span| *span > silence),
    }
}

/// What a lease should become, if anything else than it is.
fn verdict(lease: Lease, heard: bool, silence: Millis) -> Option<Lease> {
    let should = if silence >= LOST_AFTER {
        Lease::Lost
    } else if !heard {
        return None;
    } else if silence >= SUSPECT_AFTER {
        Lease::Suspect
    } else {
        Lease::Ready
    };
    let news = match (lease, should) {
        // A node that never spoke has nothing to lose.
        (Lease::New, Lease::Suspect | Lease::Lost) => false,
        // Silence does not make a lost worker merely suspect.
        (Lease::Lost, Lease::Suspect) => false,
        // However late we look. While it is ready in the log, its singletons may be confirmed; a
        // verdict that it is lost must find a worker that already was not.
        (Lease::Ready, Lease::Lost) => return Some(Lease::Suspect),
        (from, to) => from != to,
    };
    news.then_some(should)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_looked_at_again_only_when_silence_could_change_it() {
        let cases = [
            (Lease::Ready, 0, Some(SUSPECT_AFTER)),
            (Lease::Ready, 3_000, Some(LOST_AFTER)),
            (Lease::Suspect, 14_999, Some(LOST_AFTER)),
            (Lease::Suspect, 15_000, None),
            (Lease::New, 60_000, None),
            (Lease::Lost, 60_000, None),
        ];
        for (lease, silence, expected) in cases {
            let next = next_verdict(lease, Millis(silence));
            assert_eq!(next, expected, "{lease:?} silent for {silence} ms");
        }
    }

    #[test]
    fn a_lease_follows_the_silence() {
        let cases = [
            (Lease::New, true, 0, Some(Lease::Ready)),
            (Lease::New, false, 60_000, None),
            (Lease::Ready, true, 2_999, None),
            (Lease::Ready, true, 3_000, Some(Lease::Suspect)),
            (Lease::Ready, false, 3_000, None),
            (Lease::Ready, false, 15_000, Some(Lease::Suspect)),
            (Lease::Suspect, false, 15_000, Some(Lease::Lost)),
            (Lease::Suspect, true, 15_000, Some(Lease::Lost)),
            (Lease::Suspect, true, 10, Some(Lease::Ready)),
            (Lease::Lost, true, 4_000, None),
            (Lease::Lost, true, 0, Some(Lease::Ready)),
        ];
        for (lease, heard, silence, expected) in cases {
            assert_eq!(
                verdict(lease, heard, Millis(silence)),
                expected,
                "{lease:?} heard={heard} silent for {silence} ms"
            );
        }
    }
}
