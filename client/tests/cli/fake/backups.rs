//! A cluster that is backed up, and a daemon that restores.

use std::pin::Pin;

use fleet_proto::v1::backup_response::Part;
use fleet_proto::v1::{restore_request, *};
use futures::Stream;
use sha2::{Digest as _, Sha256};
use tonic::{Request, Response, Status, Streaming};

use super::Fake;

type Answer<T> = Result<Response<T>, Status>;

/// What every backup holds: two chunks.
pub(crate) const CHUNKS: [&[u8]; 2] = [b"FLEETBAK and ", b"the rest"];

#[tonic::async_trait]
impl cluster_server::Cluster for Fake {
    type BackupStream = Pin<Box<dyn Stream<Item = Result<BackupResponse, Status>> + Send>>;

    async fn get_config(&self, _: Request<GetConfigRequest>) -> Answer<GetConfigResponse> {
        Err(Status::unimplemented("not here"))
    }

    async fn set_config(&self, _: Request<SetConfigRequest>) -> Answer<SetConfigResponse> {
        Err(Status::unimplemented("not here"))
    }

    async fn status(&self, _: Request<ClusterStatusRequest>) -> Answer<ClusterStatusResponse> {
        Err(Status::unimplemented("not here"))
    }

    async fn backup(&self, request: Request<BackupRequest>) -> Answer<Self::BackupStream> {
        let artefacts = u64::from(request.into_inner().with_artefacts);
        let breaks = self.script.lock().unwrap().backup_breaks.pop_front();
        let mut parts = vec![Ok(Part::Head(BackupHead {
            cluster_id: "c0ffee".to_owned(),
            index: 42,
            taken: Some(Instant {
                unix_ms: 1_433_814_925_000,
            }),
            state_hash: "abc123".to_owned(),
            artefacts,
            artefact_bytes: artefacts * 7,
        }))];
        parts.extend(CHUNKS.map(|chunk| Ok(Part::Chunk(chunk.into()))));
        match breaks {
            Some(chunks) => {
                parts.truncate(1 + chunks);
                parts.push(Err(Status::unavailable("this node stops")));
            }
            None => parts.push(Ok(Part::Tail(BackupTail {
                bytes: CHUNKS.concat().len() as u64,
                sha256: format!("{:x}", Sha256::digest(CHUNKS.concat())),
            }))),
        }
        let parts = parts
            .into_iter()
            .map(|part| part.map(|part| BackupResponse { part: Some(part) }));
        let parts: Vec<_> = parts.collect();
        Ok(Response::new(Box::pin(futures::stream::iter(parts))))
    }

    async fn set_backup_schedule(
        &self,
        request: Request<SetBackupScheduleRequest>,
    ) -> Answer<SetBackupScheduleResponse> {
        self.script.lock().unwrap().schedule = request.into_inner().schedule;
        Ok(Response::new(SetBackupScheduleResponse {}))
    }

    async fn list_backups(&self, _: Request<ListBackupsRequest>) -> Answer<ListBackupsResponse> {
        let schedule = self.script.lock().unwrap().schedule.clone();
        let at = |unix_ms| Some(Instant { unix_ms });
        let next = schedule.as_ref().and(at(1_433_818_525_000));
        Ok(Response::new(ListBackupsResponse {
            schedule,
            next,
            failure: String::new(),
            backups: vec![TakenBackup {
                index: 42,
                taken: at(1_433_814_925_000),
                node_id: 1,
                node: "one".to_owned(),
                path: "/var/lib/fleet/backups/fleet-1.backup".to_owned(),
                bytes: 1234,
                state_hash: "abc123".to_owned(),
            }],
        }))
    }
}

pub(super) async fn restore(mut parts: Streaming<RestoreRequest>) -> Answer<RestoreResponse> {
    let mut name = String::new();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(restore_request::Part::Head(head)) => name = head.name,
            Some(restore_request::Part::Chunk(chunk)) => bytes.extend_from_slice(&chunk),
            None => {}
        }
    }
    if bytes != CHUNKS.concat() {
        return Err(Status::failed_precondition("this is not a backup file"));
    }
    Ok(Response::new(RestoreResponse {
        founded: Some(InitResponse {
            cluster_id: "beef".to_owned(),
            node_id: 43,
            name,
            address: "127.0.0.1:7400".to_owned(),
            operator_token: "hush".to_owned(),
            authority: super::fingerprint(),
            domain: "localhost".to_owned(),
        }),
        restored_from: "c0ffee".to_owned(),
        index: 42,
        taken_ms: 1_433_814_925_000,
        state_hash: "abc123".to_owned(),
        artefacts: 0,
        lost: vec!["shop/8ef9d2f".to_owned()],
    }))
}

pub(super) fn recover() -> Answer<RecoverResponse> {
    Ok(Response::new(RecoverResponse {
        cluster_id: "c0ffee".to_owned(),
        node_id: 3,
        name: "three".to_owned(),
        last_index: 99,
        index: 98,
        state_hash: "abc123".to_owned(),
        generation: 1,
        removed: vec!["1 at a:7400".to_owned(), "2 at b:7400".to_owned()],
        set_aside: vec!["/var/lib/fleet/raft".to_owned()],
    }))
}
