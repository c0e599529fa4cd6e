//! Sending a snapshot: the file as it lies on disk, in pieces, with a hash at the end.

use std::future::Future;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_proto::internal::raft_snapshot_part::Part;
use fleet_proto::internal::{RaftSnapshotEnd, RaftSnapshotPart, RaftSnapshotStart};
use futures::Stream;
use openraft::OptionalSend;
use openraft::errors::{ReplicationClosed, StreamingError};
use openraft::network::{NetSnapshot, RPCOption};
use openraft::raft::SnapshotResponse;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::Lane;
use super::client::{Network, describe};
use crate::consensus::applier::RaftSnapshot;
use crate::consensus::codec::{vote_required, vote_to_proto};
use crate::consensus::snapshot::SnapshotFile;
use crate::consensus::types::{TypeConfig, Vote};

/// Bytes per message: large enough that framing does not count, small enough to pace.
const CHUNK: usize = 256 * 1024;
/// A peer that stores less than this per second gets no snapshot through. Slower than any disk.
const SLOWEST_BYTES_PER_SECOND: u64 = 1 << 20;

impl NetSnapshot<TypeConfig> for Network {
    type SnapshotData = SnapshotFile;

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: RaftSnapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        let file = snapshot.snapshot;
        let slowest = SLOWEST_BYTES_PER_SECOND.min(self.snapshot_bytes_per_second.max(1));
        let deadline = option.hard_ttl() + Duration::from_secs(file.length / slowest);
        let parts = parts(&vote, file, self.snapshot_bytes_per_second);
        let mut client = self.client(Lane::Snapshot)?;
        let request = self.credentials.request(self.target, parts);
        let response = tokio::select! {
            closed = cancel => return Err(closed.into()),
            response = tokio::time::timeout(deadline, client.snapshot(request)) => response,
        };
        let failed = |what: String| StreamingError::from(self.unreachable(what));
        let response = match response {
            Ok(Ok(response)) => response.into_inner(),
            Ok(Err(status)) => return Err(failed(describe(&status))),
            Err(_) => {
                return Err(failed(format!(
                    "snapshot not installed within {deadline:?}"
                )));
            }
        };
        let vote = vote_required(response.vote.as_ref(), "RaftSnapshotResponse")
            .map_err(|error| failed(error.to_string()))?;
        Ok(SnapshotResponse::new(vote))
    }
}

/// The messages of one transfer, paced. A file that cannot be read ends the stream early, which the
/// receiver notices: there is no end message then.
fn parts(
    vote: &Vote,
    file: SnapshotFile,
    bytes_per_second: u64,
) -> impl Stream<Item = RaftSnapshotPart> + Send + 'static {
    let start = RaftSnapshotStart {
        vote: Some(vote_to_proto(vote)),
        length: file.length,
    };
    let sending = Sending {
        file,
        offset: 0,
        hash: Sha256::new(),
        bytes_per_second: bytes_per_second.max(1),
        began: Instant::now(),
        next: Next::Start(start),
    };
    futures::stream::unfold(sending, |mut sending| async move {
        let part = sending.part().await?;
        Some((RaftSnapshotPart { part: Some(part) }, sending))
    })
}

struct Sending {
    file: SnapshotFile,
    offset: u64,
    hash: Sha256,
    bytes_per_second: u64,
    began: Instant,
    next: Next,
}

enum Next {
    Start(RaftSnapshotStart),
    Data,
    Done,
}

impl Sending {
    async fn part(&mut self) -> Option<Part> {
        match std::mem::replace(&mut self.next, Next::Data) {
            Next::Start(start) => Some(Part::Start(start)),
            Next::Done => None,
            Next::Data if self.offset == self.file.length => {
                self.next = Next::Done;
                let sha256 = Bytes::copy_from_slice(&self.hash.finalize_reset());
                Some(Part::End(RaftSnapshotEnd { sha256 }))
            }
            Next::Data => match self.chunk().await {
                Ok(chunk) => Some(Part::Data(chunk)),
                Err(error) => {
                    tracing::warn!(%error, "cannot read the snapshot that is being sent");
                    None
                }
            },
        }
    }

    async fn chunk(&mut self) -> std::io::Result<Bytes> {
        let due = Duration::from_secs_f64(self.offset as f64 / self.bytes_per_second as f64);
        tokio::time::sleep_until(self.began + due).await;
        let length = CHUNK.min((self.file.length - self.offset) as usize);
        let (file, offset) = (Arc::clone(&self.file.file), self.offset);
        let read = move || {
            let mut chunk = vec![0; length];
            file.read_exact_at(&mut chunk, offset)
                .map(|()| Bytes::from(chunk))
        };
        let chunk = tokio::task::spawn_blocking(read)
            .await
            .map_err(std::io::Error::other)??;
        self.hash.update(&chunk);
        self.offset += length as u64;
        Ok(chunk)
    }
}
