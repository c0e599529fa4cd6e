//! Founding a cluster from a backup, on a machine that belongs to none.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use fleet_model::node::Role;
use fleet_proto::v1::{RestoreRequest, restore_request::Part};
use fleet_trust::Seal;
use tokio::io::AsyncWriteExt as _;
use tonic::{Status, Streaming};

use super::Agent;
use super::change::{ChangeError, become_member};
use super::found::{certify, new_cluster_id, taken};
use crate::config::{FirstStart, Node};
use crate::control::anew::{self, Restored};
use crate::control::backup::Backup;
use crate::trust::read_cluster_key;

/// What came of a restore.
pub(super) struct Founded {
    pub(super) node: Arc<Node>,
    pub(super) restored_from: String,
    pub(super) taken_ms: u64,
    pub(super) restored: Restored,
}

/// Takes the file in, checks it, and makes a cluster of it with this node as its only one. Before the
/// file has come and was found good, nothing is written that could be mistaken for a node.
pub(super) async fn restore(
    agent: &Agent,
    parts: Streaming<RestoreRequest>,
) -> Result<Founded, ChangeError> {
    let _changing = agent.changing.lock().await;
    if let Some(node) = agent.node.borrow().clone() {
        return Err(taken(&node));
    }
    if !agent.settings.roles.has(Role::Control) {
        return Err(ChangeError::NeedsControl);
    }
    let file = agent.paths.restoring();
    let received = receive(&file, parts).await;
    let founded = match received {
        Ok(name) => begin(agent, &file, &name).await,
        Err(status) => Err(ChangeError::Refused(Box::new(status))),
    };
    // As large as the backup and of no more use; what cannot be removed is overwritten next time.
    let _ = std::fs::remove_file(&file);
    founded
}

/// Writes what comes to `path`; answers the name that the node shall have.
async fn receive(path: &Path, mut parts: Streaming<RestoreRequest>) -> Result<String, Status> {
    let failed = |error: std::io::Error| {
        Status::internal(format!("failed writing {}: {error}", path.display()))
    };
    let name = match parts.message().await?.and_then(|part| part.part) {
        Some(Part::Head(head)) => head.name,
        _ => return Err(Status::invalid_argument("a restore begins with its head")),
    };
    let file = std::fs::File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let mut file = tokio::fs::File::from_std(file);
    while let Some(part) = parts.message().await? {
        match part.part {
            Some(Part::Chunk(chunk)) => file.write_all(&chunk).await.map_err(failed)?,
            _ => return Err(Status::invalid_argument("after the head come chunks")),
        }
    }
    file.flush().await.map_err(failed)?;
    Ok(name)
}

async fn begin(agent: &Agent, file: &Path, name: &str) -> Result<Founded, ChangeError> {
    let settings = agent.settings.clone();
    let name = match name {
        "" => settings.name.clone(),
        name => name.to_owned(),
    };
    let file = file.to_owned();
    let made = tokio::task::spawn_blocking(move || -> Result<_, ChangeError> {
        let mut backup = Backup::open(&file)?;
        let roles = settings.roles.iter().map(|role| role.as_str().to_owned());
        let identity = anew::founder(&backup, new_cluster_id(), name, roles.collect());
        let restored = anew::restore(&settings, &identity, &mut backup);
        let restored = restored.map_err(ChangeError::Anew)?;
        Ok((identity, restored, backup.header))
    });
    let (identity, restored, header) = made
        .await
        .map_err(|error| ChangeError::Anew(error.into()))??;
    let control = vec![agent.settings.advertise.clone()];
    let generation = identity.generation;
    let first = FirstStart::Anew { generation };
    // Nobody of before is believed: the cluster has another name, and an authority of its own.
    // The key of the cluster that the backup was taken of, if somebody has put it here: it opens the
    // keys of certificates in the backup.
    let seal = read_cluster_key(&agent.paths).unwrap_or_else(|_| Seal::generate());
    let (certified, authority) = certify(agent, &identity, &seal)?;
    let authorities = [authority.certificate().clone()];
    let node = become_member(agent, identity, &certified, &authorities, control, first)?;
    Ok(Founded {
        node,
        restored_from: header.cluster_id,
        taken_ms: header.taken_ms,
        restored,
    })
}
