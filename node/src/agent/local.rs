//! The local socket: what an operator on this machine tells this node.
//!
//! Whoever may open the socket may do everything here; its directory is 0700 and itself 0600.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use anyhow::Context as _;
use fleet_model::node::Role;
use fleet_proto::v1;
use fleet_proto::v1::local_server::{Local, LocalServer};
use fleet_trust::Fingerprint;
use prost::Message as _;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status};

use super::change::ChangeError;
use super::join::{Invitation, join};
use super::leave::leave;
use super::progress::Progress;
use super::recover::recover;
use super::restore::restore;
use super::{Agent, found, ready};
use crate::config::{IdentityError, Node, Peers};
use crate::holder::{Phase, ProcessInfo};
use crate::trust::read_operator_token;

/// Binds the socket and serves it until the agent ends.
pub(super) fn serve(agent: Arc<Agent>) -> anyhow::Result<JoinHandle<anyhow::Result<()>>> {
    let path = agent.paths.agent_socket();
    let failed = || format!("failed listening on {}", path.display());
    // Left by an agent that was killed; the lock says that none lives.
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(failed);
        }
        _ => {}
    }
    let listener = UnixListener::bind(&path).with_context(failed)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).with_context(failed)?;
    let server = Server::builder().add_service(LocalServer::new(Service(agent)));
    let served = server.serve_with_incoming(UnixListenerStream::new(listener));
    Ok(tokio::spawn(async move {
        served.await.context("the local socket is gone")
    }))
}

struct Service(Arc<Agent>);

type Lines = ReceiverStream<Result<v1::LocalProgress, Status>>;

#[tonic::async_trait]
impl Local for Service {
    async fn init(
        &self,
        request: Request<v1::InitRequest>,
    ) -> Result<Response<v1::InitResponse>, Status> {
        let asked = request.into_inner();
        check_name(&asked.name)?;
        let node = found::found(&self.0, &asked.name, &asked.domain)
            .await
            .map_err(status)?;
        wait_ready(&node).await;
        Ok(Response::new(founded_by(&node)))
    }

    async fn join(
        &self,
        request: Request<v1::JoinRequest>,
    ) -> Result<Response<v1::JoinResponse>, Status> {
        let asked = request.into_inner();
        check_name(&asked.name)?;
        let invitation = Invitation {
            roles: asked.roles().filter_map(role).collect(),
            request_id: asked.request_id,
            addresses: asked.addresses,
            token: asked.token,
            name: asked.name,
            labels: asked.labels,
        };
        let node = join(&self.0, invitation).await.map_err(status)?;
        wait_ready(&node).await;
        let address = match node.settings.roles.has(Role::Control) {
            true => node.settings.advertise.to_string(),
            false => String::new(),
        };
        Ok(Response::new(v1::JoinResponse {
            cluster_id: node.identity.cluster_id.clone(),
            node_id: node.identity.node_id,
            name: node.identity.name.clone(),
            address,
        }))
    }

    type LeaveStream = Lines;

    async fn leave(
        &self,
        request: Request<v1::LeaveRequest>,
    ) -> Result<Response<Self::LeaveStream>, Status> {
        let asked = request.into_inner();
        let agent = self.0.clone();
        Ok(told(async move |progress| {
            leave(&agent, asked.request_id, asked.force, &progress)
                .await
                .map_err(status)
        }))
    }

    async fn status(
        &self,
        _: Request<v1::LocalStatusRequest>,
    ) -> Result<Response<v1::LocalStatusResponse>, Status> {
        let agent = &self.0;
        let mut answer = v1::LocalStatusResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_dir: agent.paths.root().display().to_string(),
            processes: processes(agent).await,
            ..v1::LocalStatusResponse::default()
        };
        let node = agent.node.borrow().clone();
        if let Some(node) = node {
            answer.initialised = true;
            answer.cluster_id.clone_from(&node.identity.cluster_id);
            answer.node_id = node.identity.node_id;
            answer.name.clone_from(&node.identity.name);
            answer.domain.clone_from(&node.identity.domain);
            answer.addresses = addresses(&node);
            answer.operator_token = read_operator_token(&agent.paths).unwrap_or_default();
            answer.authorities = authorities(&node);
            answer.certificate_expires = expires(&node);
            answer.refused = agent.refused.borrow().clone().unwrap_or_default();
        }
        Ok(Response::new(answer))
    }

    async fn restore(
        &self,
        request: Request<tonic::Streaming<v1::RestoreRequest>>,
    ) -> Result<Response<v1::RestoreResponse>, Status> {
        let restored = restore(&self.0, request.into_inner()).await;
        let founded = restored.map_err(status)?;
        wait_ready(&founded.node).await;
        Ok(Response::new(v1::RestoreResponse {
            founded: Some(founded_by(&founded.node)),
            restored_from: founded.restored_from,
            index: founded.restored.begun.index,
            taken_ms: founded.taken_ms,
            state_hash: founded.restored.begun.state_hash,
            artefacts: founded.restored.artefacts,
            lost: founded.restored.lost,
        }))
    }

    async fn recover(
        &self,
        _: Request<v1::RecoverRequest>,
    ) -> Result<Response<v1::RecoverResponse>, Status> {
        let agent = self.0.clone();
        // To its end, whether or not somebody still waits for it.
        let recovered = tokio::spawn(async move { recover(&agent).await }).await;
        let alone = recovered
            .map_err(|error| Status::internal(error.to_string()))?
            .map_err(status)?;
        wait_ready(&alone.node).await;
        let identity = &alone.node.identity;
        Ok(Response::new(v1::RecoverResponse {
            cluster_id: identity.cluster_id.clone(),
            node_id: identity.node_id,
            name: identity.name.clone(),
            last_index: alone.last_index,
            index: alone.begun.index,
            state_hash: alone.begun.state_hash,
            generation: identity.generation,
            removed: alone
                .removed
                .iter()
                .map(|(id, address)| format!("{id} at {address}"))
                .collect(),
            set_aside: alone
                .set_aside
                .iter()
                .map(|path| path.display().to_string())
                .collect(),
        }))
    }

    type ReplaceIngressStream = Lines;

    async fn replace_ingress(
        &self,
        _: Request<v1::ReplaceIngressRequest>,
    ) -> Result<Response<Self::ReplaceIngressStream>, Status> {
        let node = self.0.node.borrow().clone();
        let node = node.ok_or_else(|| status(ChangeError::NoMember))?;
        if !node.settings.roles.has(Role::Ingress) {
            return Err(Status::failed_precondition("this node has no ingress"));
        }
        let agent = self.0.clone();
        Ok(told(async move |progress| {
            progress
                .say("starting a new ingress on the same sockets")
                .await;
            let replaced = agent.tenants.replace_ingress(&node).await;
            let started = replaced.map_err(|error| Status::aborted(format!("{error:#}")))?;
            let pid = started.pid.unwrap_or_default();
            progress
                .say(&format!(
                    "the new ingress serves (pid {pid}); the old one ends its requests"
                ))
                .await;
            Ok(())
        }))
    }
}

/// Runs `work` to its end whether or not somebody listens to its lines.
fn told<F>(work: impl FnOnce(Progress) -> F) -> Response<Lines>
where
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (lines, stream) = mpsc::channel(16);
    let progress = Progress::new(lines);
    let work = work(progress.clone());
    tokio::spawn(async move {
        if let Err(status) = work.await {
            progress.fail(status).await;
        }
    });
    Response::new(ReceiverStream::new(stream))
}

fn founded_by(node: &Node) -> v1::InitResponse {
    v1::InitResponse {
        cluster_id: node.identity.cluster_id.clone(),
        node_id: node.identity.node_id,
        name: node.identity.name.clone(),
        address: node.settings.advertise.to_string(),
        operator_token: read_operator_token(&node.paths()).unwrap_or_default(),
        domain: node.identity.domain.clone(),
        authority: authorities(node).pop().unwrap_or_default(),
    }
}

async fn wait_ready(node: &Node) {
    if node.settings.roles.has(Role::Control) && !ready::control(node).await {
        tracing::warn!("control does not answer yet; see its log in the data directory");
    }
}

/// Fingerprints of those it believes.
fn authorities(node: &Node) -> Vec<String> {
    let credentials = node.trust.credentials();
    let prints = credentials.authorities().iter().map(Fingerprint::of);
    prints.map(|print| print.to_string()).collect()
}

fn expires(node: &Node) -> Option<v1::Instant> {
    let (_, expires) = node.trust.validity();
    let since = expires.duration_since(std::time::UNIX_EPOCH).ok()?;
    let unix_ms = u64::try_from(since.as_millis()).ok()?;
    Some(v1::Instant { unix_ms })
}

fn addresses(node: &Node) -> Vec<String> {
    let own = node.settings.advertise.clone();
    let mut addresses = Peers::read(&node.paths()).control;
    if node.settings.roles.has(Role::Control) {
        addresses.retain(|address| *address != own);
        addresses.insert(0, own);
    }
    addresses.iter().map(ToString::to_string).collect()
}

async fn processes(agent: &Agent) -> Vec<v1::LocalProcess> {
    let process = |name: &str, pid| v1::LocalProcess {
        name: name.to_owned(),
        pid,
        state: "running".to_owned(),
        restarts: 0,
    };
    let mut processes = vec![process("agent", std::process::id())];
    // What cannot be learned now is left out: the status of the rest is still worth telling.
    if let Ok(holder) = agent.holder.ping().await {
        processes.push(process("holder", holder.pid));
    }
    let tenants = agent.tenants.list().await.unwrap_or_default();
    processes.extend(tenants.iter().map(tenant));
    processes
}

fn tenant(process: &ProcessInfo) -> v1::LocalProcess {
    let name = process.id.as_str();
    let state = match process.phase {
        Phase::Starting | Phase::Running => "running",
        Phase::BackingOff => "backing off",
        Phase::Stopping | Phase::Clearing | Phase::Exited => "stopped",
    };
    v1::LocalProcess {
        name: name
            .split_once('-')
            .map_or(name, |(name, _)| name)
            .to_owned(),
        pid: process.pid.unwrap_or_default(),
        state: state.to_owned(),
        restarts: process.starts.saturating_sub(1),
    }
}

fn check_name(name: &str) -> Result<(), Status> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name.len() <= 63 && !name.starts_with('-') && name.chars().all(legal) {
        true => Ok(()),
        false => Err(status(ChangeError::Name(name.to_owned()))),
    }
}

fn role(role: v1::NodeRole) -> Option<Role> {
    match role {
        v1::NodeRole::Unspecified => None,
        v1::NodeRole::Control => Some(Role::Control),
        v1::NodeRole::Worker => Some(Role::Worker),
        v1::NodeRole::Ingress => Some(Role::Ingress),
    }
}

/// A refusal as the command line expects it: a code, a sentence, a reason and a hint.
fn status(error: ChangeError) -> Status {
    let (code, reason, hint) = match &error {
        ChangeError::Identity(IdentityError::Taken { .. }) => (
            Code::FailedPrecondition,
            "ALREADY_MEMBER",
            "leave first: fleet node leave",
        ),
        ChangeError::NoMember => (
            Code::FailedPrecondition,
            "NOT_A_MEMBER",
            "fleet node init, or fleet node join",
        ),
        ChangeError::NeedsControl => (
            Code::FailedPrecondition,
            "NEEDS_CONTROL",
            "add control to the roles of this node",
        ),
        ChangeError::Quorum { .. } => (
            Code::FailedPrecondition,
            "QUORUM",
            "fleet cluster status shows what is wrong; nodes that will never come back are removed \
             by fleet node remove",
        ),
        ChangeError::NoControl => (
            Code::FailedPrecondition,
            "NEEDS_CONTROL",
            "recover from a node with the control role",
        ),
        ChangeError::Backup(_) => (
            Code::FailedPrecondition,
            "BAD_BACKUP",
            "nothing was changed: take another backup file",
        ),
        ChangeError::Identity(_) => (Code::FailedPrecondition, "IDENTITY", ""),
        ChangeError::Name(_) | ChangeError::Roles(_) => (Code::InvalidArgument, "INVALID", ""),
        ChangeError::Token(_) => (
            Code::InvalidArgument,
            "INVALID_TOKEN",
            "copy it whole; or make a new one: fleet node token create",
        ),
        ChangeError::NoAddress => (
            Code::InvalidArgument,
            "NO_ADDRESS",
            "fleet node join HOST:PORT --token TOKEN",
        ),
        ChangeError::Unreachable(_) => (
            Code::Unavailable,
            "UNREACHABLE",
            "are the address and the port those of a control node of the cluster that made the token, and does it listen beyond loopback?",
        ),
        ChangeError::Refused(status) => {
            let details = status.details().to_vec().into();
            return Status::with_details(status.code(), error.to_string(), details);
        }
        ChangeError::Anew(_)
        | ChangeError::Holder(_)
        | ChangeError::Seat(_)
        | ChangeError::FirstStart(_)
        | ChangeError::Trust(_)
        | ChangeError::Keys(_)
        | ChangeError::NoCertificate
        | ChangeError::Peers(_)
        | ChangeError::Read(_)
        | ChangeError::Remove { .. } => (Code::Internal, "INTERNAL", "see the log of the agent"),
    };
    let detail = v1::ErrorDetail {
        reason: reason.to_owned(),
        hint: hint.to_owned(),
        ..v1::ErrorDetail::default()
    };
    let message = format!("{:#}", anyhow::Error::from(error));
    Status::with_details(code, message, detail.encode_to_vec().into())
}
