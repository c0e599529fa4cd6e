//! Blobs and builds of the fake node.

use fleet_proto::v1::*;
use tonic::{Request, Response, Status, Streaming};

use super::Fake;
use super::services::{Answer, Lines, seen};

#[tonic::async_trait]
impl blobs_server::Blobs for Fake {
    async fn upload(
        &self,
        request: Request<Streaming<UploadBlobRequest>>,
    ) -> Answer<UploadBlobResponse> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|message| message.part);
        let Some(upload_blob_request::Part::Header(header)) = first else {
            return Err(Status::invalid_argument("no header"));
        };
        let (refusal, limit, mut bytes) = self.begin_upload(&header);
        refusal.map_or(Ok(()), Err)?;
        assert!(bytes.len() as u64 >= header.offset, "a gap");
        bytes.truncate(usize::try_from(header.offset).unwrap());
        while let Some(message) = messages.message().await? {
            let Some(upload_blob_request::Part::Chunk(chunk)) = message.part else {
                return Err(Status::invalid_argument("a second header"));
            };
            assert!(chunk.len() <= 256 * 1024, "chunk of {} bytes", chunk.len());
            bytes.extend_from_slice(&chunk);
            if limit.is_some_and(|limit| bytes.len() >= limit) {
                let mut script = self.script.lock().unwrap();
                script.partial.push((header.sha256, bytes));
                return Err(Status::cancelled("the connection broke"));
            }
        }
        if bytes.len() as u64 != header.size {
            return Err(Status::invalid_argument("the size differs"));
        }
        let UploadBlobHeader { sha256, size, .. } = header;
        self.script
            .lock()
            .unwrap()
            .blobs
            .push((sha256.clone(), bytes));
        Ok(Response::new(UploadBlobResponse {
            sha256,
            size,
            already_there: false,
        }))
    }

    async fn has(&self, request: Request<HasBlobRequest>) -> Answer<HasBlobResponse> {
        let wanted = request.into_inner().sha256;
        let script = self.script.lock().unwrap();
        let present = script.blobs.iter().any(|(sha256, _)| *sha256 == wanted);
        let partial = script.partial.iter().find(|(sha256, _)| *sha256 == wanted);
        Ok(Response::new(HasBlobResponse {
            present,
            size: 0,
            received: partial.map_or(0, |(_, bytes)| bytes.len() as u64),
        }))
    }
}

impl Fake {
    /// What the script says about the next upload: a refusal, where it breaks, what is here of it.
    fn begin_upload(&self, header: &UploadBlobHeader) -> (Option<Status>, Option<usize>, Vec<u8>) {
        let mut script = self.script.lock().unwrap();
        script.offsets.push(header.offset);
        let there = script
            .partial
            .iter()
            .position(|(digest, _)| *digest == header.sha256);
        let bytes = there.map(|at| script.partial.remove(at).1);
        (
            script.refusals.pop_front(),
            script.breaks.pop_front(),
            bytes.unwrap_or_default(),
        )
    }
}

/// The build of the seed.
fn build(name: &str) -> Build {
    Build {
        id: "BABCDEFGHI".to_owned(),
        name: name.to_owned(),
        status: BuildStatus::Available.into(),
        release_id: "RBCDEFGHIJ".to_owned(),
        description: "0a1b2c3d4e5f my commit message".to_owned(),
        created: Some(Instant {
            unix_ms: 1_433_814_625_000,
        }),
        updated: Some(Instant {
            unix_ms: 1_433_814_632_000,
        }),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl builds_server::Builds for Fake {
    async fn create(&self, request: Request<CreateBuildRequest>) -> Answer<CreateBuildResponse> {
        let asked = request.into_inner();
        let refusal = self.script.lock().unwrap().refusals.pop_front();
        refusal.map_or(Ok(()), Err)?;
        let environment = asked.environment.clone();
        let seen = seen("create_build", &asked.request_id, &asked.app, "");
        let receipt = self.receipt(&seen, WaitGoal::BuildAvailable);
        let build = build(&asked.name);
        self.script.lock().unwrap().builds.push(asked);
        Ok(Response::new(CreateBuildResponse {
            receipt: Some(receipt),
            build: Some(build),
            release_id: environment.map_or_else(String::new, |_| "RBCDEFGHIJ".to_owned()),
        }))
    }

    async fn list(&self, _: Request<ListBuildsRequest>) -> Answer<ListBuildsResponse> {
        Ok(Response::new(ListBuildsResponse {
            builds: vec![build("0a1b2c3")],
            next_page_token: String::new(),
        }))
    }

    async fn get(&self, _: Request<GetBuildRequest>) -> Answer<GetBuildResponse> {
        Ok(Response::new(GetBuildResponse {
            build: Some(build("0a1b2c3")),
        }))
    }

    type LogsStream = Lines<BuildLogsResponse>;

    async fn logs(&self, request: Request<BuildLogsRequest>) -> Answer<Self::LogsStream> {
        let line = |text: &str| BuildLogLine {
            at: None,
            text: text.to_owned(),
        };
        let said = |text: &str, offset: u64, r#final: bool| BuildLogsResponse {
            lines: vec![line(text)],
            offset,
            r#final,
        };
        let offset = request.into_inner().offset;
        let lines = match offset {
            0 => vec![
                Ok(said("compiling", 10, false)),
                Err(Status::unavailable("the leader changed; ask again")),
            ],
            _ => vec![Ok(said("done \x1b[2J", offset + 10, true))],
        };
        Ok(Response::new(Box::pin(futures::stream::iter(lines))))
    }

    async fn destroy(&self, request: Request<DestroyBuildRequest>) -> Answer<DestroyBuildResponse> {
        let name = request.into_inner().build;
        Ok(Response::new(DestroyBuildResponse {
            name,
            ..Default::default()
        }))
    }
}
