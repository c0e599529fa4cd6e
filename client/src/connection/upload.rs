//! Sending an artefact. It is named by its digest, so sending it twice is the same as once, and a
//! node that holds its first bytes is sent the rest: after a connection that broke, and after a
//! `fleet` that was stopped and started again.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fleet_proto::v1::blobs_client::BlobsClient;
use fleet_proto::v1::{
    HasBlobRequest, HasBlobResponse, UploadBlobHeader, UploadBlobRequest, upload_blob_request,
};
use futures::Stream;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::time::Instant;
use tonic::transport::Channel;

use super::attempt::{Outcome, judge};
use super::{Connection, Kind, Tally};
use crate::failure::Failure;

/// Bytes in one message of an upload: the limit of the API.
const CHUNK: usize = 256 * 1024;

/// How often the whole list of addresses is tried without any progress before an upload is given
/// up.
const ROUNDS: usize = 3;

/// An artefact on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Artefact {
    /// 64 lowercase hex digits.
    pub(crate) sha256: String,
    pub(crate) size: u64,
}

impl Connection {
    /// Makes sure the cluster holds the artefact that lies in `file`; `sent` counts its bytes that
    /// are on their way or there. Returns false when the cluster held it before.
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
        let mut fruitless = 0;
        // What the node in favour held when it was last sent something.
        let mut before: Option<u64> = None;
        while fruitless < ROUNDS * self.addresses.len() {
            let mut held = None;
            let broke = match self.upload_once(artefact, file, &sent, &mut held).await? {
                Outcome::Answer(already_there) => return Ok(!already_there),
                Outcome::Refusal(failure) => return Err(*failure),
                Outcome::Retry { why, sent } => {
                    // An upload that is lost is simply not there: nothing is in doubt.
                    tally.note(why, false);
                    sent
                }
            };
            fruitless += 1;
            match held.filter(|_| broke) {
                // It may hold more by now than any other node: go on there.
                Some(held) if before.is_none_or(|before| held > before) => {
                    if before.is_some() {
                        fruitless = 0;
                    }
                    before = Some(held);
                    self.reopen().await;
                }
                _ => {
                    before = None;
                    self.advance().await;
                }
            }
        }
        Err(tally.give_up(Kind::Write, &self.addresses))
    }

    /// Sends what the node in favour does not hold yet; `held` is set, once the sending begins, to
    /// what it held before.
    async fn upload_once(
        &self,
        artefact: &Artefact,
        file: &Path,
        sent: &Arc<AtomicU64>,
        held: &mut Option<u64>,
    ) -> Result<Outcome<bool>, Failure> {
        let deadline = Instant::now() + super::CALL_TIME;
        let channel = match self.channel(deadline).await {
            Ok(channel) => channel,
            Err(why) => return Ok(Outcome::Retry { why, sent: false }),
        };
        let there = match self.held(artefact, channel.clone(), deadline).await {
            Outcome::Answer(there) if there.present => return Ok(Outcome::Answer(true)),
            Outcome::Answer(there) => there.received.min(artefact.size),
            Outcome::Refusal(failure) => return Ok(Outcome::Refusal(failure)),
            Outcome::Retry { why, sent } => return Ok(Outcome::Retry { why, sent }),
        };
        *held = Some(there);
        let reader = open(file, there)
            .await
            .map_err(|error| Failure::failed(format!("cannot read {}: {error}", file.display())))?;
        sent.store(there, Ordering::Relaxed);
        let messages = messages(artefact, there, reader, sent.clone());
        let answer = BlobsClient::new(channel)
            .upload(self.request(messages))
            .await;
        Ok(match answer {
            Ok(response) => Outcome::Answer(response.into_inner().already_there),
            Err(status) => judge(&status),
        })
    }

    /// Asks this very node what it holds: parts are not shared between nodes.
    async fn held(
        &self,
        artefact: &Artefact,
        channel: Channel,
        deadline: Instant,
    ) -> Outcome<HasBlobResponse> {
        let question = HasBlobRequest {
            sha256: artefact.sha256.clone(),
        };
        let mut client = BlobsClient::new(channel);
        match tokio::time::timeout_at(deadline, client.has(self.request(question))).await {
            Ok(Ok(response)) => Outcome::Answer(response.into_inner()),
            Ok(Err(status)) => judge(&status),
            Err(_) => Outcome::Retry {
                why: "no answer in time".to_owned(),
                sent: false,
            },
        }
    }
}

async fn open(file: &Path, offset: u64) -> std::io::Result<tokio::fs::File> {
    let mut reader = tokio::fs::File::open(file).await?;
    reader.seek(std::io::SeekFrom::Start(offset)).await?;
    Ok(reader)
}

type Messages = Pin<Box<dyn Stream<Item = UploadBlobRequest> + Send>>;

/// The header, then the file in chunks. A file that cannot be read further ends the stream early,
/// which the server refuses because the size does not match.
fn messages(
    artefact: &Artefact,
    offset: u64,
    file: tokio::fs::File,
    sent: Arc<AtomicU64>,
) -> Messages {
    let header = UploadBlobHeader {
        sha256: artefact.sha256.clone(),
        size: artefact.size,
        offset,
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
