//! One vote per term for one process.
//!
//! Raft counts votes by node. The clone of a machine is a second process with the same id, and in
//! one term a voter that answers by id alone would elect both. What is remembered here is gone after a
//! restart of this voter, which is when its disk says that it has voted, though not for whom of the
//! two; a copy of a data directory does not even start (`config/seat.rs`).

use tonic::Status;

use super::credentials::Caller;
use crate::consensus::types::Vote;

/// To whom this node last gave its vote.
#[derive(Debug, Default)]
pub(super) struct Granted(Option<(u64, Caller)>);

impl Granted {
    /// Refuses a caller whose node has this node's vote of the term through another process.
    pub(super) fn check(&self, vote: &Vote, caller: Caller) -> Result<(), Status> {
        let term = vote.leader_id.term;
        match self.0 {
            Some((voted, other))
                if voted == term
                    && other.node == caller.node
                    && other.instance != caller.instance =>
            {
                Err(Status::already_exists(format!(
                    "another process asked for the vote of term {term} as node {}: one of the two is \
                     a copy",
                    caller.node
                )))
            }
            _ => Ok(()),
        }
    }

    /// Remembers a vote that was given.
    pub(super) fn remember(&mut self, vote: &Vote, caller: Caller) {
        self.0 = Some((vote.leader_id.term, caller));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_second_process_of_a_node_is_not_elected_in_the_term_of_the_first() {
        let vote = |term| Vote::new(term, 2);
        let caller = |node, instance| Caller { node, instance };
        let mut granted = Granted::default();
        granted.check(&vote(5), caller(2, 1)).unwrap();
        granted.remember(&vote(5), caller(2, 1));
        granted.check(&vote(5), caller(2, 1)).unwrap();
        let refused = granted.check(&vote(5), caller(2, 9)).unwrap_err();
        assert!(refused.message().contains("a copy"), "{refused}");
        // Who of another node asks is for Raft to refuse, and a later term is another election.
        granted.check(&vote(5), caller(3, 9)).unwrap();
        granted.check(&vote(6), caller(2, 9)).unwrap();
    }
}
