//! `fleet.v1.Blobs`: uploads.

use std::{sync::Arc, time::Duration};

use fleet_model::ids::Digest;
use fleet_proto::v1::{self, blobs_server::Blobs, upload_blob_request::Part};
use tonic::{Request, Response, Status, Streaming};

use super::message;
use crate::{
    blobs::{
        receive::{Incoming, blocking},
        store,
    },
    control::{
        Context,
        refusal::{detail, invalid, with_detail},
    },
};

/// How often an upload looks whether another of the same artefact has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Blobs for Api {
    async fn upload(
        &self,
        request: Request<Streaming<v1::UploadBlobRequest>>,
    ) -> Result<Response<v1::UploadBlobResponse>, Status> {
        let mut parts = request.into_inner();
        let header = match parts.message().await?.and_then(|part| part.part) {
            Some(Part::Header(header)) => header,
            _ => return Err(Status::invalid_argument("an upload begins with its header")),
        };
        let digest = parse(&header.sha256)?;
        // Confirming starts its grace anew, so that it is not collected before the build names it.
        loop {
            if self.0.blobs.confirm(&digest).map_err(stored)? {
                let size = self.0.blobs.size(&digest).map_err(stored)?;
                return Ok(answer(&digest, size.unwrap_or(header.size), true));
            }
            if !self.0.blobs.arriving(&digest) {
                break;
            }
            // Somebody else sends the same content: whether they end well or go away shows soon.
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        if header.size > self.0.blobs.largest() {
            let largest = self.0.blobs.largest();
            return Err(stored(store::Error::TooLarge { largest }));
        }
        let mut incoming = Incoming::resume(&self.0.blobs, digest.clone(), header.offset)
            .await
            .map_err(stored)?;
        while let Some(part) = parts.message().await? {
            match part.part {
                Some(Part::Chunk(chunk)) => incoming.write(chunk).await.map_err(stored)?,
                _ => return Err(Status::invalid_argument("after the header come chunks")),
            }
        }
        let size = incoming.written();
        if size < header.size {
            // What came stays: the sender may go on.
            let hint = "send the rest; it is kept for a day";
            let text = format!("the upload ended after {size} of {} bytes", header.size);
            return Err(invalid(text, hint));
        }
        incoming
            .finish(Some(digest.clone()))
            .await
            .map_err(stored)?;
        Ok(answer(&digest, size, false))
    }

    async fn has(
        &self,
        request: Request<v1::HasBlobRequest>,
    ) -> Result<Response<v1::HasBlobResponse>, Status> {
        let digest = parse(&message(request).sha256)?;
        let size = self.0.blobs.size(&digest).map_err(stored)?;
        let received = match size {
            Some(_) => 0,
            None => {
                let store = self.0.blobs.clone();
                blocking(move || store.received(&digest))
                    .await
                    .map_err(stored)?
            }
        };
        Ok(Response::new(v1::HasBlobResponse {
            present: size.is_some(),
            size: size.unwrap_or_default(),
            received,
        }))
    }
}

fn answer(digest: &Digest, size: u64, already_there: bool) -> Response<v1::UploadBlobResponse> {
    Response::new(v1::UploadBlobResponse {
        sha256: digest.to_string(),
        size,
        already_there,
    })
}

fn parse(sha256: &str) -> Result<Digest, Status> {
    let hint = "64 lowercase hexadecimal digits";
    Digest::parse(sha256).ok_or_else(|| invalid(format!("{sha256:?} is no sha256"), hint))
}

fn stored(error: store::Error) -> Status {
    let (code, reason, hint) = match &error {
        store::Error::TooLarge { .. } => (
            tonic::Code::ResourceExhausted,
            "TOO_LARGE",
            "leave out what the app does not need: .dockerignore and .gitignore are respected",
        ),
        store::Error::Mismatch { .. } => (
            tonic::Code::InvalidArgument,
            "DIGEST_MISMATCH",
            "what arrived is not what was announced; send it again",
        ),
        store::Error::Gap { .. } => (
            tonic::Code::Unavailable,
            "WRONG_OFFSET",
            "ask how much is here, and go on there",
        ),
        store::Error::TakenOver => (
            tonic::Code::Unavailable,
            "TAKEN_OVER",
            "somebody else sends the same artefact now",
        ),
        store::Error::NoSpace { .. } => (
            tonic::Code::ResourceExhausted,
            "DISK_FULL",
            "free some space under the node's data directory",
        ),
        _ => (
            tonic::Code::Internal,
            "STORE_FAILED",
            "see the log of the node",
        ),
    };
    with_detail(code, &error.to_string(), &detail(reason, hint))
}
