//! Sends an object to a control node, as whoever makes a build does from outside.
//!
//! An object is named by its digest, so sending it twice is the same as once; a node that holds its
//! first bytes is sent the rest.

use std::{io::SeekFrom, path::Path, time::Duration};

use fleet_proto::v1::{
    HasBlobRequest, UploadBlobHeader, UploadBlobRequest, blobs_client::BlobsClient,
    upload_blob_request::Part,
};
use fleet_trust::Whom;
use futures::{Stream, StreamExt as _, stream};
use tokio::{
    fs::File,
    io::{AsyncReadExt as _, AsyncSeekExt as _},
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use super::store::Object;
use crate::trust::Trust;

/// Until the connection stands, and until a node says what it holds.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Bytes of one message, the most that is taken.
const CHUNK: u64 = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{address} is unreachable")]
    Connect {
        address: String,
        source: tonic::transport::Error,
    },
    #[error("{address} refused: {}", status.message())]
    Refused { address: String, status: Status },
    #[error("{address} does not answer")]
    Silent { address: String },
    #[error("failed reading what is to be sent")]
    Read { source: std::io::Error },
}

/// Makes sure that the control node at `address` (`host:port`) holds `object`, which lies in `file`.
///
/// # Errors
/// Trying again is always safe. A connection that hangs is noticed within seconds.
pub async fn send(object: &Object, file: &Path, address: &str, trust: &Trust) -> Result<(), Error> {
    let refused = |status| Error::Refused {
        address: address.to_owned(),
        status,
    };
    let channel = connect(address, trust).await?;
    let mut client = BlobsClient::new(channel);
    let question = HasBlobRequest {
        sha256: object.digest.to_string(),
    };
    let silent = |_| Error::Silent {
        address: address.to_owned(),
    };
    let there = tokio::time::timeout(ANSWER_WITHIN, client.has(question)).await;
    let there = there.map_err(silent)?.map_err(refused)?.into_inner();
    let offset = match there.present {
        // Asked for by an upload without content, so that its grace before collection begins anew.
        true => object.size,
        false => there.received.min(object.size),
    };
    let messages = messages(object, offset, file).await;
    let messages = messages.map_err(|source| Error::Read { source })?;
    client.upload(messages).await.map_err(refused)?;
    Ok(())
}

async fn connect(address: &str, trust: &Trust) -> Result<Channel, Error> {
    let failed = |source| Error::Connect {
        address: address.to_owned(),
        source,
    };
    let endpoint = Endpoint::from_shared(format!("https://{address}")).map_err(failed)?;
    let endpoint = endpoint
        .connect_timeout(CONNECT_WITHIN)
        .http2_keep_alive_interval(Duration::from_secs(2))
        .keep_alive_timeout(Duration::from_secs(4));
    let channel = trust.connect(&endpoint, Whom::Control).await;
    channel.map_err(failed)
}

/// The header, then the rest of the file. A file that cannot be read further ends the stream early,
/// which is refused because the size does not match.
async fn messages(
    object: &Object,
    offset: u64,
    file: &Path,
) -> std::io::Result<impl Stream<Item = UploadBlobRequest> + Send + use<>> {
    let mut file = File::open(file).await?;
    file.seek(SeekFrom::Start(offset)).await?;
    let header = UploadBlobHeader {
        sha256: object.digest.to_string(),
        size: object.size,
        offset,
    };
    let chunks = stream::unfold(file, |mut file| async move {
        let mut chunk = Vec::new();
        let read = (&mut file).take(CHUNK).read_to_end(&mut chunk).await.ok()?;
        (read > 0).then(|| (Part::Chunk(chunk.into()), file))
    });
    let parts = stream::once(async move { Part::Header(header) }).chain(chunks);
    Ok(parts.map(|part| UploadBlobRequest { part: Some(part) }))
}
