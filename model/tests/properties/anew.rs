//! Logs that begin anew, and schedules of backups, at any moment.

use fleet_model::{
    Command, Time,
    backup::Schedule,
    command::{BackupResult, Recovered, Restored},
    ids::NodeId,
    time::Millis,
};
use proptest::{option, prelude::*};

use crate::common::{digest, registration};

pub fn command() -> impl Strategy<Value = Command> {
    let schedule = (50_000..70_000_u64, 0..3_u32, option::of("/?backups"));
    prop_oneof![
        (0..4_u64, 1..5_u64).prop_map(|(generation, held)| Command::RestoreCluster(Restored {
            id: format!("c{generation}"),
            generation,
            taken: Time(5),
            founder: registration(held, Some(1)),
            held: [digest(held)].into(),
        })),
        (0..4_u64, 1..6_u64).prop_map(|(generation, node)| Command::RecoverCluster(Recovered {
            generation,
            survivor: NodeId(node),
        })),
        option::of(schedule).prop_map(|schedule| Command::SetBackupSchedule {
            schedule: schedule.map(|(every, keep, directory)| Schedule {
                every: Millis(every),
                keep,
                directory,
            }),
        }),
        (1..6_u64, 0..9_u64, any::<bool>()).prop_map(|(node, at, failed)| {
            let result = match failed {
                true => BackupResult::Failed {
                    reason: "no space left".to_owned(),
                },
                false => BackupResult::Taken {
                    index: at,
                    path: "/backups/x".to_owned(),
                    bytes: 9,
                    hash: "ab".to_owned(),
                },
            };
            Command::RecordBackup {
                node: NodeId(node),
                at: Time(at),
                result,
            }
        }),
    ]
}
