//! `cluster backup`: the file appears under its name when the last byte is durable, or not at all.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use fleet_proto::v1::backup_response::Part;
use fleet_proto::v1::cluster_client::ClusterClient;
use fleet_proto::v1::{
    BackupHead, BackupRequest, BackupResponse, BackupSchedule, BackupTail, ListBackupsRequest,
    SetBackupScheduleRequest,
};
use sha2::{Digest as _, Sha256};

use crate::args::Every;
use crate::commands::source::bytes_meter;
use crate::connection::{Connection, Next};
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{BackupList, BackupView};

pub(super) async fn take(
    session: &mut Session,
    file: &Path,
    with_artefacts: bool,
) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let path = session.surroundings.directory.join(file);
    let mut copy = Copy::new(&path)?;
    let meter = (session.console.errors_are_terminal && !session.console.is_json())
        .then(|| bytes_meter(None));
    let question = |_: &Copy| BackupRequest { with_artefacts };
    let taken = connection
        .follow(
            &mut copy,
            question,
            |c, r| async move { ClusterClient::new(c).backup(r).await },
            |copy, message: BackupResponse| {
                let next = copy.take(message)?;
                if let Some(meter) = &meter {
                    meter.set_position(copy.bytes);
                }
                Ok(next)
            },
        )
        .await;
    if let Some(meter) = meter {
        meter.finish_and_clear();
    }
    let (head, tail) = taken?;
    copy.publish()?;
    let view = BackupView::new(&path, &head, &tail);
    session.console.result(&view, BackupView::text)
}

/// A file on its way in. Dropped unpublished, it leaves nothing.
struct Copy {
    path: PathBuf,
    temporary: PathBuf,
    out: Option<BufWriter<File>>,
    head: Option<BackupHead>,
    hash: Sha256,
    bytes: u64,
}

impl Copy {
    fn new(path: &Path) -> Result<Self, Failure> {
        let Some(name) = path.file_name() else {
            return Err(Failure::usage(format!("{} names no file", path.display())));
        };
        let mut name = name.to_os_string();
        name.push(".tmp");
        let temporary = path.with_file_name(name);
        let mut copy = Self {
            path: path.to_owned(),
            temporary,
            out: None,
            head: None,
            hash: Sha256::new(),
            bytes: 0,
        };
        // Found out before the cluster is asked.
        copy.begin()?;
        Ok(copy)
    }

    /// Begins with an empty file: also when a stream broke and another node begins its own.
    fn begin(&mut self) -> Result<(), Failure> {
        // Secrets of every environment are in it: for its owner alone, from its first byte on.
        let file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&self.temporary);
        let file = file.map_err(|error| self.failed(&error))?;
        self.out = Some(BufWriter::new(file));
        self.hash = Sha256::new();
        self.bytes = 0;
        Ok(())
    }

    fn take(&mut self, message: BackupResponse) -> Result<Next<(BackupHead, BackupTail)>, Failure> {
        match message.part {
            Some(Part::Head(head)) => {
                self.begin()?;
                self.head = Some(head);
                Ok(Next::More)
            }
            Some(Part::Chunk(chunk)) => {
                let written = match &mut self.out {
                    Some(out) => out.write_all(&chunk),
                    None => Ok(()),
                };
                written.map_err(|error| self.failed(&error))?;
                self.hash.update(&chunk);
                self.bytes += chunk.len() as u64;
                Ok(Next::More)
            }
            Some(Part::Tail(tail)) => self.end(tail),
            None => Ok(Next::More),
        }
    }

    fn end(&mut self, tail: BackupTail) -> Result<Next<(BackupHead, BackupTail)>, Failure> {
        let hash = self.hash.finalize_reset();
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let head = self.head.take();
        let (Some(head), true) = (head, tail.bytes == self.bytes && tail.sha256 == hash) else {
            return Err(Failure::failed("the backup changed on its way here"));
        };
        Ok(Next::Stop((head, tail)))
    }

    /// Makes the file durable and gives it its name.
    fn publish(mut self) -> Result<(), Failure> {
        let Some(out) = self.out.take() else {
            return Ok(());
        };
        let publish = || -> io::Result<()> {
            out.into_inner()
                .map_err(io::IntoInnerError::into_error)?
                .sync_all()?;
            std::fs::rename(&self.temporary, &self.path)?;
            match self.path.parent() {
                Some(parent) => File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        publish().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::failed(format!("cannot write {}: {error}", self.path.display()))
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Published, it has another name by now.
        let _ = std::fs::remove_file(&self.temporary);
    }
}

pub(super) async fn schedule(
    session: &mut Session,
    every: Option<Every>,
    keep: u32,
    dir: Option<String>,
) -> Result<(), Failure> {
    let schedule = match every {
        None => return list(session).await,
        Some(Every::Off) => None,
        Some(Every::Time(every)) => Some(BackupSchedule {
            every_ms: u64::try_from(every.as_millis()).unwrap_or(u64::MAX),
            keep,
            directory: dir.unwrap_or_default(),
        }),
    };
    let command = SetBackupScheduleRequest {
        request_id: Connection::request_id(),
        schedule,
    };
    session
        .write(command, |c, r| async move {
            ClusterClient::new(c).set_backup_schedule(r).await
        })
        .await?;
    list(session).await
}

pub(super) async fn list(session: &mut Session) -> Result<(), Failure> {
    let question = ListBackupsRequest {
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            ClusterClient::new(c).list_backups(r).await
        })
        .await?;
    session
        .console
        .result(&BackupList::from(&answer), BackupList::text)
}
