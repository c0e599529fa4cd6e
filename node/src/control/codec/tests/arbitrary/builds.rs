//! Commands about build steps.

use fleet_model::{
    Command,
    command::{BuildReport, Built},
    ids::BuildId,
};
use proptest::{collection::vec, option, prelude::*};

use super::{digest, node, text};

pub(super) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (build(), 0..40_u64, node()).prop_map(|(build, assumed, node)| Command::AssignBuild {
            build,
            assumed,
            node
        }),
        (build(), 0..40_u64, text()).prop_map(|(build, assumed, reason)| Command::FailBuild {
            build,
            assumed,
            reason
        }),
        report().prop_map(Command::ReportBuild),
    ]
}

fn report() -> impl Strategy<Value = BuildReport> {
    let kept = || (0..3_u8, any::<u64>()).prop_map(|(digit, size)| (digest(digit), size));
    let end = prop_oneof![
        kept().prop_map(|(digest, size)| Built::Artefact { digest, size }),
        (text(), vec(text(), 0..3)).prop_map(|(reason, output)| Built::Failed { reason, output }),
    ];
    (build(), node(), 0..3_u32, node(), option::of(kept()), end).prop_map(
        |(build, node, attempt, holder, log, end)| BuildReport {
            build,
            node,
            attempt,
            holder,
            log,
            end,
        },
    )
}

/// Of the first commands of a sequence, so that some of them are there.
fn build() -> impl Strategy<Value = BuildId> {
    (1..40_u64).prop_map(BuildId::from_index)
}
