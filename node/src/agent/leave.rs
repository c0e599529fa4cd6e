//! Ceasing to be a member: the cluster lets go of the node first, then the node forgets.

use std::io;
use std::path::Path;
use std::time::Duration;

use fleet_proto::internal as wire;
use fleet_proto::internal::membership_client::MembershipClient;
use fleet_trust::Whom;
use tonic::transport::{Channel, Endpoint as Transport};
use tonic::{Code, Request, Status};

use super::Agent;
use super::change::ChangeError;
use super::progress::Progress;
use crate::config::{Endpoint, Node, Paths, Peers};

/// The cluster moves the frontends elsewhere first, within 300 s.
const LEAVE_WITHIN: Duration = Duration::from_secs(330);

const CONNECT_WITHIN: Duration = Duration::from_secs(3);

/// Given to frontends that are still here, which only happens when leaving is forced.
const FRONTEND_GRACE: Duration = Duration::from_secs(30);

pub(super) async fn leave(
    agent: &Agent,
    request_id: String,
    force: bool,
    progress: &Progress,
) -> Result<(), ChangeError> {
    let _changing = agent.changing.lock().await;
    let node = agent.node.borrow().clone().ok_or(ChangeError::NoMember)?;
    progress
        .say("waiting until the frontends of this node run elsewhere")
        .await;
    match let_go(&node, request_id).await {
        Ok(()) => {}
        Err(error) if force => {
            tracing::warn!(%error, "leaving without the consent of the cluster");
            progress
                .say(&format!("{error}; leaving all the same"))
                .await;
        }
        Err(error) => return Err(error),
    }
    progress.say("stopping the processes of this node").await;
    // Ends worker and tenants' keeper, which would start again what is stopped now.
    agent.node.send_replace(None);
    agent.tenants.end().await?;
    end_frontends(agent).await?;
    forget(&agent.paths, node.identity.generation)?;
    progress
        .say("this node belongs to no cluster any more")
        .await;
    Ok(())
}

async fn let_go(node: &Node, request_id: String) -> Result<(), ChangeError> {
    let request = wire::LeaveRequest {
        request_id,
        node_id: node.identity.node_id,
    };
    let mut silent = Vec::new();
    for address in Peers::read(&node.paths()).control {
        let mut request = Request::new(request.clone());
        request.set_timeout(LEAVE_WITHIN);
        let answered = match membership(node, &address).await {
            Ok(mut client) => client.leave(request).await.map(drop),
            Err(status) => Err(status),
        };
        match answered {
            Ok(()) => return Ok(()),
            Err(status) if status.code() == Code::Unavailable => {
                silent.push(format!("{address}: {}", status.message()));
            }
            Err(status) => return Err(ChangeError::Refused(Box::new(status))),
        }
    }
    Err(ChangeError::Unreachable(silent.join("; ")))
}

async fn membership(node: &Node, address: &Endpoint) -> Result<MembershipClient<Channel>, Status> {
    let failed = |error: tonic::transport::Error| Status::unavailable(error.to_string());
    let transport = Transport::from_shared(address.uri()).map_err(failed)?;
    let transport = transport.connect_timeout(CONNECT_WITHIN);
    let channel = node.trust.connect(&transport, Whom::Control).await;
    channel.map(MembershipClient::new).map_err(failed)
}

async fn end_frontends(agent: &Agent) -> Result<(), ChangeError> {
    for process in agent.holder.list().await? {
        agent.holder.stop(&process.id, FRONTEND_GRACE).await?;
        agent.holder.forget(&process.id).await?;
    }
    Ok(())
}

/// The identity goes last: until then, leaving can be repeated.
fn forget(paths: &Paths, generation: u64) -> Result<(), ChangeError> {
    // Those of every generation: a log that began anew left the one before it behind.
    let logs = (0..=generation).flat_map(|g| [paths.raft_of(g), paths.snapshots_of(g)]);
    for directory in logs.chain([paths.blobs(), paths.worker(), paths.trust()]) {
        remove(&directory, |path| std::fs::remove_dir_all(path))?;
    }
    let files = [
        paths.route_table(),
        paths.first_start(),
        paths.peers(),
        paths.identity(),
        paths.seat(),
    ];
    for file in files {
        remove(&file, |path| std::fs::remove_file(path))?;
    }
    Ok(())
}

fn remove(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<(), ChangeError> {
    match remove(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(ChangeError::Remove {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}
