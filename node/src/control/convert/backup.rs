//! Backups: their schedule, what became of them, and logs that begin anew.

use fleet_model::{
    Command, Time,
    backup::{Attempt, Backups, Schedule, Taken},
    command::{BackupResult, Recovered, Registration, Restored},
    ids::{Digest, NodeId},
    time::Millis,
};
use fleet_proto::stored::{self, command_envelope::Command as Wire, record_backup};

use super::{DecodeError, Stored, all, all_stored, optional, required};

impl Stored for Backups {
    type Wire = stored::Backups;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            schedule,
            last,
            taken,
        } = self;
        stored::Backups {
            schedule: schedule.as_ref().map(Schedule::to_stored),
            last: last.as_ref().map(Attempt::to_stored),
            taken: all_stored(taken),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Backups {
            schedule,
            last,
            taken,
        } = wire;
        Ok(Self {
            schedule: optional(schedule)?,
            last: optional(last)?,
            taken: all(taken)?,
        })
    }
}

impl Stored for Schedule {
    type Wire = stored::BackupSchedule;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            every,
            keep,
            directory,
        } = self;
        stored::BackupSchedule {
            every_ms: every.0,
            keep: *keep,
            directory: directory.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::BackupSchedule {
            every_ms,
            keep,
            directory,
        } = wire;
        Ok(Self {
            every: Millis(every_ms),
            keep,
            directory,
        })
    }
}

impl Stored for Attempt {
    type Wire = stored::BackupAttempt;

    fn to_stored(&self) -> Self::Wire {
        let Self { at, node, failure } = self;
        stored::BackupAttempt {
            at_ms: at.to_stored(),
            node: node.0,
            failure: failure.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::BackupAttempt {
            at_ms,
            node,
            failure,
        } = wire;
        Ok(Self {
            at: Time(at_ms),
            node: NodeId(node),
            failure,
        })
    }
}

impl Stored for Taken {
    type Wire = stored::BackupTaken;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            index,
            at,
            node,
            path,
            bytes,
            hash,
        } = self;
        stored::BackupTaken {
            index: *index,
            at_ms: at.to_stored(),
            node: node.0,
            path: path.clone(),
            bytes: *bytes,
            hash: hash.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::BackupTaken {
            index,
            at_ms,
            node,
            path,
            bytes,
            hash,
        } = wire;
        Ok(Self {
            index,
            at: Time(at_ms),
            node: NodeId(node),
            path,
            bytes,
            hash,
        })
    }
}

impl Stored for BackupResult {
    type Wire = record_backup::Result;

    fn to_stored(&self) -> Self::Wire {
        match self {
            Self::Taken {
                index,
                path,
                bytes,
                hash,
            } => record_backup::Result::Taken(stored::BackupWritten {
                index: *index,
                path: path.clone(),
                bytes: *bytes,
                hash: hash.clone(),
            }),
            Self::Failed { reason } => record_backup::Result::Failed(reason.clone()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match wire {
            record_backup::Result::Taken(stored::BackupWritten {
                index,
                path,
                bytes,
                hash,
            }) => Self::Taken {
                index,
                path,
                bytes,
                hash,
            },
            record_backup::Result::Failed(reason) => Self::Failed { reason },
        })
    }
}

impl Stored for Restored {
    type Wire = stored::RestoreCluster;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            generation,
            taken,
            founder,
            held,
        } = self;
        stored::RestoreCluster {
            id: id.clone(),
            generation: *generation,
            taken_ms: taken.to_stored(),
            founder: Some(founder.to_stored()),
            held: held.iter().map(packed).collect(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::RestoreCluster {
            id,
            generation,
            taken_ms,
            founder,
            held,
        } = wire;
        Ok(Self {
            id,
            generation,
            taken: Time(taken_ms),
            founder: required::<_, Registration>(founder, "restore_cluster.founder")?,
            held: held
                .iter()
                .map(|bytes| unpacked(bytes))
                .collect::<Result<_, _>>()?,
        })
    }
}

impl Stored for Recovered {
    type Wire = stored::RecoverCluster;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            generation,
            survivor,
        } = self;
        stored::RecoverCluster {
            generation: *generation,
            survivor: survivor.0,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::RecoverCluster {
            generation,
            survivor,
        } = wire;
        Ok(Self {
            generation,
            survivor: NodeId(survivor),
        })
    }
}

pub(super) fn schedule_to_stored(schedule: Option<&Schedule>) -> Wire {
    Wire::SetBackupSchedule(stored::SetBackupSchedule {
        schedule: schedule.map(Schedule::to_stored),
    })
}

pub(super) fn schedule_from_stored(
    wire: stored::SetBackupSchedule,
) -> Result<Command, DecodeError> {
    let stored::SetBackupSchedule { schedule } = wire;
    Ok(Command::SetBackupSchedule {
        schedule: optional(schedule)?,
    })
}

pub(super) fn record_to_stored(node: NodeId, at: Time, result: &BackupResult) -> Wire {
    Wire::RecordBackup(stored::RecordBackup {
        node: node.0,
        at_ms: at.to_stored(),
        result: Some(result.to_stored()),
    })
}

pub(super) fn record_from_stored(wire: stored::RecordBackup) -> Result<Command, DecodeError> {
    let stored::RecordBackup {
        node,
        at_ms,
        result,
    } = wire;
    Ok(Command::RecordBackup {
        node: NodeId(node),
        at: Time(at_ms),
        result: required(result, "record_backup.result")?,
    })
}

/// Half the length of the hexadecimal: thousands of them stand in one command.
fn packed(digest: &Digest) -> bytes::Bytes {
    let digit =
        |at: usize| u8::from_str_radix(&digest.as_str()[at..at + 2], 16).unwrap_or_default();
    (0..digest.as_str().len()).step_by(2).map(digit).collect()
}

fn unpacked(bytes: &[u8]) -> Result<Digest, DecodeError> {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::parse(&hex).ok_or(DecodeError::Invalid {
        field: "restore_cluster.held",
        value: hex,
    })
}
