//! Anything, in any order: what users ask, what the planner decided (just now, or long ago), what
//! workers say, nodes that fall silent, retries. After every command all of [`crate::common::Checked`]
//! must hold.

mod access;
mod anew;
mod certificates;
mod moves;
mod rolling;
mod total;

use proptest::prelude::*;

use self::moves::Life;

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_commands_breaks_an_invariant(
        moves in proptest::collection::vec(moves::one(), 1..80),
    ) {
        let mut life = Life::new();
        for one in moves {
            life.make(one);
        }
        life.checked.replay();
    }
}
