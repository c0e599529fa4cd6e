//! Becoming a member of a cluster that exists.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::node::Role;
use fleet_proto::internal as wire;
use fleet_proto::internal::membership_client::MembershipClient;
use fleet_trust::{CertificateDer, JoinToken, Whom, connector, pinned};
use tonic::transport::{Channel, Endpoint as Transport};
use tonic::{Code, Request, Status};

use super::Agent;
use super::change::{ChangeError, become_member};
use super::found::taken;
use crate::config::{Endpoint, FirstStart, Identity, Node, Roles, write_atomic};
use crate::trust::{self, Certified};

const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// What the operator said.
#[derive(Clone, Debug)]
pub(super) struct Invitation {
    pub(super) request_id: String,
    pub(super) addresses: Vec<String>,
    pub(super) token: String,
    /// Empty: as the settings say; so for the roles.
    pub(super) name: String,
    pub(super) roles: Vec<Role>,
    pub(super) labels: BTreeMap<String, String>,
}

/// Registers this node with the cluster and takes the identity it is given.
pub(super) async fn join(agent: &Agent, invitation: Invitation) -> Result<Arc<Node>, ChangeError> {
    let _changing = agent.changing.lock().await;
    if let Some(node) = agent.node.borrow().clone() {
        return Err(taken(&node));
    }
    let settings = &agent.settings;
    let token: JoinToken = invitation.token.parse()?;
    let addresses: Vec<Endpoint> = invitation
        .addresses
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect();
    let roles = match invitation.roles.is_empty() {
        true => settings.roles.clone(),
        false => Roles::new(invitation.roles)?,
    };
    let name = match invitation.name.is_empty() {
        true => settings.name.clone(),
        false => invitation.name,
    };
    let mut labels = settings.labels.clone();
    labels.extend(invitation.labels);
    let request_id = attempt(agent, &invitation.request_id).map_err(ChangeError::FirstStart)?;
    let key = trust::read_joining_key(&agent.paths)?;
    let proof = key
        .prove(&request_id)
        .map_err(fleet_trust::AuthorityError::from)?;
    let request = wire::RegisterRequest {
        request_id,
        name: name.clone(),
        advertise: settings.advertise.to_string(),
        roles: roles
            .iter()
            .map(|role| i32::from(wire_role(role)))
            .collect(),
        labels,
        architecture: std::env::consts::ARCH.to_owned(),
        http_advertise: settings
            .advertise
            .with_port(settings.http_listen.port())
            .to_string(),
        token_id: token.id.clone(),
        token_secret: token.secret().to_vec().into(),
        public_key: key.public().as_bytes().to_vec().into(),
        proof: proof.0.into(),
    };
    let given = register(&addresses, &token, request).await;
    if let Err(ChangeError::Refused(_)) = given {
        // It was not done, and the refusal is remembered: the next attempt is another one.
        let _ = std::fs::remove_file(agent.paths.join_attempt());
    }
    let given = given?;
    let certificate = given.certificate.clone();
    let certificate = certificate.ok_or(ChangeError::NoCertificate)?;
    keep_secrets(agent, &given)?;
    let authorities: Vec<_> = given
        .authorities
        .iter()
        .map(|der| CertificateDer::from(der.to_vec()))
        .collect();
    let identity = Identity {
        version: Identity::VERSION,
        cluster_id: given.cluster_id,
        cluster_name: given.cluster_name,
        node_id: given.node_id,
        name,
        domain: given.domain,
        roles: roles.iter().map(|role| role.as_str().to_owned()).collect(),
        generation: given.generation,
    };
    let mut control: Vec<Endpoint> = given
        .control_addresses
        .iter()
        .filter_map(|address| address.parse().ok())
        .collect();
    if control.is_empty() {
        control = addresses;
    }
    let certified = Certified::from_wire(certificate, key);
    let node = become_member(
        agent,
        identity,
        &certified,
        &authorities,
        control,
        FirstStart::Join,
    )?;
    // The identity is there; a later join begins a new attempt.
    let _ = std::fs::remove_file(agent.paths.join_attempt());
    let _ = std::fs::remove_file(agent.paths.joining_key());
    Ok(node)
}

/// What control nodes alone are given.
fn keep_secrets(agent: &Agent, given: &wire::RegisterResponse) -> Result<(), ChangeError> {
    if !given.cluster_key.is_empty() {
        let damaged = |_| ChangeError::NoCertificate;
        let seal = fleet_trust::Seal::parse(&given.cluster_key).map_err(damaged)?;
        trust::write_cluster_key(&agent.paths, &seal)?;
    }
    if !given.operator_token.is_empty() {
        trust::write_operator_token(&agent.paths, &given.operator_token)?;
    }
    Ok(())
}

/// The request id of an attempt that may have got through unheard, or else this one: a node that
/// asks again must not be registered twice.
fn attempt(agent: &Agent, request_id: &str) -> io::Result<String> {
    let path = agent.paths.join_attempt();
    match std::fs::read_to_string(&path) {
        Ok(before) if !before.trim().is_empty() => Ok(before.trim().to_owned()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => {
            let id = match request_id {
                "" => format!("join-{:016x}", rand::random::<u64>()),
                id => id.to_owned(),
            };
            write_atomic(&path, id.as_bytes(), 0o600)?;
            Ok(id)
        }
    }
}

/// Asks one control node after the other. Refusals are final, silence is not.
async fn register(
    addresses: &[Endpoint],
    token: &JoinToken,
    request: wire::RegisterRequest,
) -> Result<wire::RegisterResponse, ChangeError> {
    let mut silent = Vec::new();
    for address in addresses {
        match ask(address, token, request.clone()).await {
            Ok(response) => return Ok(response),
            Err(status) if is_silence(status.code()) => {
                silent.push(format!("{address}: {}", status.message()));
            }
            Err(status) => return Err(ChangeError::Refused(Box::new(status))),
        }
    }
    match silent.is_empty() {
        true => Err(ChangeError::NoAddress),
        false => Err(ChangeError::Unreachable(silent.join("; "))),
    }
}

/// Nobody was there, or nobody could say; also when the node was asked too often.
fn is_silence(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted
    )
}

async fn ask(
    address: &Endpoint,
    token: &JoinToken,
    request: wire::RegisterRequest,
) -> Result<wire::RegisterResponse, Status> {
    let mut request = Request::new(request);
    request.set_timeout(ANSWER_WITHIN);
    let channel = connect(address, token).await?;
    let mut client = MembershipClient::new(channel);
    Ok(client.register(request).await?.into_inner())
}

/// Nothing is said to anybody whose authority is not the one of the token.
async fn connect(address: &Endpoint, token: &JoinToken) -> Result<Channel, Status> {
    let config = pinned(&[token.authority]).map_err(|error| Status::internal(error.to_string()))?;
    let transport = Transport::from_shared(address.uri())
        .map_err(|error| Status::unavailable(error.to_string()))?
        .connect_timeout(CONNECT_WITHIN);
    let connector = connector(Whom::Control, move || config.clone());
    let connected = transport.connect_with_connector(connector).await;
    connected.map_err(|error| Status::unavailable(format!("{:#}", anyhow::Error::from(error))))
}

fn wire_role(role: Role) -> wire::NodeRole {
    match role {
        Role::Control => wire::NodeRole::Control,
        Role::Worker => wire::NodeRole::Worker,
        Role::Ingress => wire::NodeRole::Ingress,
    }
}
