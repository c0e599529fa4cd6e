//! Schedules of backups, and logs that begin anew.

use fleet_model::{
    Command, Time,
    backup::Schedule,
    command::{BackupResult, Recovered, Restored},
    time::Millis,
};
use proptest::{collection::btree_set, option, prelude::*};

use super::{digest, node, registration, text};

pub(super) fn command() -> impl Strategy<Value = Command> {
    let restored = (
        text(),
        0..3_u64,
        any::<u64>(),
        registration(),
        btree_set((0..3_u8).prop_map(digest), 0..3),
    );
    prop_oneof![
        restored.prop_map(|(id, generation, taken, founder, held)| {
            Command::RestoreCluster(Restored {
                id,
                generation,
                taken: Time(taken),
                founder,
                held,
            })
        }),
        (0..3_u64, node()).prop_map(|(generation, survivor)| {
            Command::RecoverCluster(Recovered {
                generation,
                survivor,
            })
        }),
        option::of(schedule()).prop_map(|schedule| Command::SetBackupSchedule { schedule }),
        (node(), 0..9_u64, result()).prop_map(|(node, at, result)| Command::RecordBackup {
            node,
            at: Time(at),
            result,
        }),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    (60_000..90_000_u64, 1..4_u32, option::of("/[a-z]{0,8}")).prop_map(
        |(every, keep, directory)| Schedule {
            every: Millis(every),
            keep,
            directory,
        },
    )
}

fn result() -> impl Strategy<Value = BackupResult> {
    prop_oneof![
        (any::<u64>(), text(), any::<u64>(), text()).prop_map(|(index, path, bytes, hash)| {
            BackupResult::Taken {
                index,
                path,
                bytes,
                hash,
            }
        }),
        text().prop_map(|reason| BackupResult::Failed { reason }),
    ]
}
