//! Sending an artefact. It is named by its digest, so sending it twice is the same as once.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleet_proto::v1::blobs_client::BlobsClient;
use fleet_proto::v1::{HasBlobRequest, UploadBlobHeader, UploadBlobRequest, upload_blob_request};
use futures::Stream;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use super::attempt::{Outcome, judge};
use super::{Connection, Kind, Tally};
use crate::failure::Failure;

/// Bytes in one message of an upload: the limit of the API.
const CHUNK: usize = 256 * 1024;

/// How often the whole list of addresses is tried before an upload is given up.
const ROUNDS: usize = 3;

/// An artefact on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Artefact {
    /// 64 lowercase hex digits.
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

impl Connection {
    /// Makes sure the cluster holds the artefact that lies in `file`; `sent` counts the bytes of
    /// the attempt under way. Returns false when the cluster held it before.
    pub(crate) async fn upload(
        &self,
        artefact: &Artefact,
        file: &Path,
        sent: Arc<AtomicU64>,
    ) -> Result<bool, Failure> {
        let question = HasBlobRequest {
            sha256: artefact.sha256.clone(),
        };
        let has = self
            .read(question, |channel, request| async move {
                BlobsClient::new(channel).has(request).await
            })
            .await?;
        if has.present {
            return Ok(false);
        }
        let mut tally = Tally::default();
        for _ in 0..ROUNDS * self.addresses.len() {
            match self.upload_once(artefact, file, &sent).await? {
                Outcome::Answer(already_there) => return Ok(!already_there),
                Outcome::Refusal(failure) => return Err(*failure),
                // An upload that is lost is simply not there: nothing is in doubt.
                Outcome::Retry { why, .. } => tally.note(why, false),
            }
            self.advance().await;
        }
        Err(tally.give_up(Kind::Write, &self.addresses))
    }

    async fn upload_once(
        &self,
        artefact: &Artefact,
        file: &Path,
        sent: &Arc<AtomicU64>,
    ) -> Result<Outcome<bool>, Failure> {
        let deadline = Instant::now() + super::CALL_TIME;
        let channel = match self.channel(deadline).await {
            Ok(channel) => channel,
            Err(why) => return Ok(Outcome::Retry { why, sent: false }),
        };
        let reader = tokio::fs::File::open(file)
            .await
            .map_err(|error| Failure::failed(format!("cannot read {}: {error}", file.display())))?;
        sent.store(0, Ordering::Relaxed);
        let messages = messages(artefact, reader, sent.clone());
        let answer = BlobsClient::new(channel)
            .upload(self.request(messages))
            .await;
        Ok(match answer {
            Ok(response) => Outcome::Answer(response.into_inner().already_there),
            Err(status) => judge(&status),
        })
    }
}

type Messages = Pin<Box<dyn Stream<Item = UploadBlobRequest> + Send>>;

/// The header, then the file in chunks. A file that cannot be read further ends the stream early,
/// which the server refuses because the size does not match.
fn messages(artefact: &Artefact, file: tokio::fs::File, sent: Arc<AtomicU64>) -> Messages {
    let header = UploadBlobHeader {
        sha256: artefact.sha256.clone(),
        size: artefact.size,
    };
    let header = UploadBlobRequest {
        part: Some(upload_blob_request::Part::Header(header)),
    };
    let chunks = futures::stream::unfold((file, sent), |(mut file, sent)| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut limited = (&mut file).take(CHUNK as u64);
        limited
            .read_to_end(&mut chunk)
            .await
            .ok()
            .filter(|&read| read > 0)?;
        sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let part = upload_blob_request::Part::Chunk(chunk.into());
        Some((UploadBlobRequest { part: Some(part) }, (file, sent)))
    });
    let header = futures::stream::once(async move { header });
    Box::pin(futures::StreamExt::chain(header, chunks))
}
