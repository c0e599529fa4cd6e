//! Backups: one as a stream, the schedule of others.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use fleet_model::{
    Command, State,
    backup::{KEPT, Schedule},
    build::{Build, BuildStatus},
    time::Millis,
};
use fleet_proto::v1::{self, backup_response::Part};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};

use crate::{
    blobs::Object,
    control::{
        Context,
        api::{ACTOR, instant, request_id},
        backup::{Subject, hex},
        copies,
        refusal::{detail, refused, unread, with_detail},
    },
};

/// Bytes in one message.
const CHUNK: usize = 256 * 1024;

/// Messages that may wait for a slow reader.
const QUEUE: usize = 8;

pub(super) type Parts = ReceiverStream<Result<v1::BackupResponse, Status>>;

/// Begins a backup of the state no older than now; its bytes follow as they are made.
pub(super) async fn take(context: &Arc<Context>, with_artefacts: bool) -> Result<Parts, Status> {
    let state = context.read(false).await.map_err(unread)?;
    let artefacts = match with_artefacts {
        true => Some(gather(context, &state).await?),
        false => None,
    };
    let subject = Subject {
        term: context.consensus.leadership().borrow().term,
        node: context.id(),
        taken: context.now(),
        state,
        artefacts,
    };
    let (parts, stream) = mpsc::channel(QUEUE);
    let store = context.blobs.clone();
    tokio::task::spawn_blocking(move || {
        let header = subject.header();
        let head = v1::BackupHead {
            cluster_id: header.cluster_id.clone(),
            index: header.index,
            taken: Some(instant(subject.taken)),
            state_hash: hex(&header.state_hash),
            artefacts: header.artefacts,
            artefact_bytes: header.artefact_bytes,
        };
        // Whoever asked may be gone at any time; then there is nobody to tell.
        if parts.blocking_send(Ok(part(Part::Head(head)))).is_err() {
            return;
        }
        let last = match subject.write(&header, &store, Chunks::new(&parts)) {
            Ok(chunks) => Ok(part(Part::Tail(chunks.tail()))),
            Err(error) => Err(Status::aborted(format!("{:#}", anyhow::Error::from(error)))),
        };
        let _ = parts.blocking_send(last);
    });
    Ok(ReceiverStream::new(stream))
}

/// Makes sure that this node holds everything that builds refer to.
async fn gather(context: &Context, state: &State) -> Result<Vec<Object>, Status> {
    let of_use = |build: &&Build| !matches!(build.status, BuildStatus::Failed { .. });
    let kept = state.builds.values().filter(of_use).flat_map(Build::kept);
    let mut objects: Vec<Object> = kept
        .map(|(digest, size, _)| Object {
            digest: digest.clone(),
            size,
        })
        .collect();
    objects.sort();
    objects.dedup();
    for object in &objects {
        if !context.blobs.has(&object.digest) {
            let fetched = copies::fetch(context, state, &object.digest).await;
            fetched.map_err(|error| missing(object, &error))?;
        }
    }
    Ok(objects)
}

fn missing(object: &Object, error: &copies::CopyError) -> Status {
    with_detail(
        Code::FailedPrecondition,
        &format!("artefact {} could not be had: {error}", object.digest),
        &detail(
            "NO_ARTEFACT",
            "a backup without --with-artefacts needs none",
        ),
    )
}

/// Sends what is written to it, and counts.
struct Chunks<'a> {
    parts: &'a mpsc::Sender<Result<v1::BackupResponse, Status>>,
    buffer: Vec<u8>,
    bytes: u64,
    hash: Sha256,
}

impl<'a> Chunks<'a> {
    fn new(parts: &'a mpsc::Sender<Result<v1::BackupResponse, Status>>) -> Self {
        Self {
            parts,
            buffer: Vec::with_capacity(CHUNK),
            bytes: 0,
            hash: Sha256::new(),
        }
    }

    fn tail(self) -> v1::BackupTail {
        v1::BackupTail {
            bytes: self.bytes,
            sha256: hex(&self.hash.finalize()),
        }
    }
}

impl Write for Chunks<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(CHUNK - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if self.buffer.len() == CHUNK {
            self.flush()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.buffer, Vec::with_capacity(CHUNK));
        self.hash.update(&chunk);
        self.bytes += chunk.len() as u64;
        self.parts
            .blocking_send(Ok(part(Part::Chunk(Bytes::from(chunk)))))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

fn part(part: Part) -> v1::BackupResponse {
    v1::BackupResponse { part: Some(part) }
}

pub(super) async fn set_schedule(
    context: &Context,
    asked: v1::SetBackupScheduleRequest,
) -> Result<(), Status> {
    let id = request_id(&asked.request_id)?;
    let schedule = asked.schedule.map(|schedule| Schedule {
        every: Millis(schedule.every_ms),
        keep: match schedule.keep {
            0 => KEPT,
            keep => keep,
        },
        directory: Some(schedule.directory).filter(|directory| !directory.is_empty()),
    });
    let command = Command::SetBackupSchedule { schedule };
    let done = context.ask(&id, ACTOR, &command).await;
    done.map(|_| ()).map_err(refused)
}

pub(super) fn list(state: &State) -> v1::ListBackupsResponse {
    let backups = &state.backups;
    let last = backups.last.as_ref();
    let taken = |taken: &fleet_model::backup::Taken| v1::TakenBackup {
        index: taken.index,
        taken: Some(instant(taken.at)),
        node_id: taken.node.0,
        node: state
            .nodes
            .get(&taken.node)
            .map(|node| node.name.clone())
            .unwrap_or_default(),
        path: taken.path.clone(),
        bytes: taken.bytes,
        state_hash: taken.hash.clone(),
    };
    v1::ListBackupsResponse {
        schedule: backups
            .schedule
            .as_ref()
            .map(|schedule| v1::BackupSchedule {
                every_ms: schedule.every.0,
                keep: schedule.keep,
                directory: schedule.directory.clone().unwrap_or_default(),
            }),
        next: backups.due().map(|at| instant(at.max(state.now))),
        failure: last
            .and_then(|last| last.failure.clone())
            .unwrap_or_default(),
        backups: backups.taken.iter().map(taken).collect(),
    }
}
