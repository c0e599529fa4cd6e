//! Changes of nodes, and moves between them.

use fleet_model::{Command, command::NodeChange, node::Vote, time::Millis};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{frontend, text};

pub(super) fn change() -> impl Strategy<Value = NodeChange> {
    let vote = select(vec![Vote::Automatic, Vote::Always, Vote::Never]);
    prop_oneof![
        option::of(0..99_000_u64).prop_map(|deadline| NodeChange::Drain {
            deadline: deadline.map(Millis),
        }),
        Just(NodeChange::Undrain),
        vote.prop_map(NodeChange::Vote),
        (vec((text(), text()), 0..3), vec(text(), 0..3)).prop_map(|(set, unset)| {
            NodeChange::SetLabels {
                set: set.into_iter().collect(),
                unset: unset.into_iter().collect(),
            }
        }),
        Just(NodeChange::Leave),
        any::<bool>().prop_map(|force| NodeChange::Remove { force }),
        any::<bool>().prop_map(NodeChange::Mute),
        text().prop_map(|boot| NodeChange::Twin { boot }),
    ]
}

pub(super) fn moves() -> impl Strategy<Value = Command> {
    prop_oneof![
        (frontend(), 0..40_u64).prop_map(|(frontend, assumed)| Command::Move { frontend, assumed }),
        (0..700_u32).prop_map(|per_minute| Command::SetMoves { per_minute }),
    ]
}
