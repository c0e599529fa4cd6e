//! Backups by schedule, on the leader. When one is due, and which files are too many, says the model.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fleet_model::{
    Command, State, Time,
    backup::{self, Schedule},
    command::BackupResult,
};
use tokio::sync::watch;

use super::{
    Context,
    backup::{BackupError, Subject, hex},
};
use crate::{blobs::Store, config::sync_directory};

/// Rest after a result that could not be recorded, before it is looked again whether one is due.
const REST: Duration = Duration::from_secs(5);

/// Longest sleep: clocks are set, and machines sleep.
const LOOK: Duration = Duration::from_secs(60);

pub(super) async fn run(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let mut leadership = context.consensus.leadership();
    let mut state = context.state.clone();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            leads = leadership.wait_for(|leadership| leadership.is_self) => {
                if leads.is_err() { return }
            }
        }
        let due = state.borrow_and_update().backups.due();
        let now = context.now();
        let pause = match due {
            // What is due is decided on a state that a quorum confirms: a leader that was deposed
            // without knowing takes no backup.
            Some(at) if at <= now => match context.read(false).await {
                Ok(state) if state.backups.due().is_some_and(|at| at <= now) => {
                    take(&context, state, now).await
                }
                Ok(_) => Duration::ZERO,
                Err(_) => REST,
            },
            Some(at) => Duration::from_millis(at.since(now).0).min(LOOK),
            None => LOOK,
        };
        tokio::select! {
            _ = stopped.changed() => return,
            changed = state.changed(), if pause > REST => if changed.is_err() { return },
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Takes one and says what came of it; answers how long to rest.
async fn take(context: &Context, state: State, now: Time) -> Duration {
    let Some(schedule) = state.backups.schedule.clone() else {
        return Duration::ZERO;
    };
    let subject = Subject {
        state,
        term: context.consensus.leadership().borrow().term,
        node: context.id(),
        taken: now,
        artefacts: None,
    };
    let directory = directory(context, &schedule);
    let store = context.blobs.clone();
    let written =
        tokio::task::spawn_blocking(move || write(&subject, &store, &directory, schedule.keep));
    let result = match written.await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => BackupResult::Failed {
            reason: format!("{:#}", anyhow::Error::from(error)),
        },
        Err(error) => BackupResult::Failed {
            reason: error.to_string(),
        },
    };
    if let BackupResult::Failed { reason } = &result {
        tracing::warn!(reason, "a scheduled backup failed");
    }
    let node = context.id();
    let command = Command::RecordBackup {
        node,
        at: now,
        result,
    };
    match context.act(&command).await {
        Ok(_) => Duration::ZERO,
        Err(error) => {
            tracing::warn!(%error, "what became of a backup could not be recorded");
            REST
        }
    }
}

fn directory(context: &Context, schedule: &Schedule) -> PathBuf {
    let own = || context.node.paths().backups();
    schedule.directory.as_ref().map_or_else(own, PathBuf::from)
}

/// Writes one file durably, then removes those that are too many.
fn write(
    subject: &Subject,
    store: &Store,
    directory: &Path,
    keep: u32,
) -> Result<BackupResult, BackupError> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(directory)?;
    let name = backup::file_name(subject.taken, subject.state.index);
    let path = directory.join(&name);
    let temporary = directory.join(format!("{name}.tmp"));
    let header = subject.header();
    // 0600 from its first byte on: the variables of every environment are in it.
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = fill(subject, &header, store, file)
        .and_then(|bytes| Ok(fs::rename(&temporary, &path).map(|()| bytes)?));
    if written.is_err() {
        // The disk may be full. The first error is the one worth telling.
        let _ = fs::remove_file(&temporary);
    }
    let bytes = written?;
    sync_directory(directory)?;
    rotate(directory, keep)?;
    Ok(BackupResult::Taken {
        index: header.index,
        path: path.display().to_string(),
        bytes,
        hash: hex(&header.state_hash),
    })
}

fn fill(
    subject: &Subject,
    header: &fleet_proto::stored::BackupHeader,
    store: &Store,
    file: File,
) -> Result<u64, BackupError> {
    let written = subject.write(header, store, BufWriter::new(file))?;
    let file = written
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}

fn rotate(directory: &Path, keep: u32) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    for name in backup::surplus(&names, keep) {
        fs::remove_file(directory.join(name))?;
    }
    sync_directory(directory)
}
