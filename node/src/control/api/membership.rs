//! `fleet.internal.Membership`: nodes that join and leave, and their certificates.

mod leave;

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Instant, SystemTime},
};

use bytes::Bytes;
use fleet_model::{
    Command, Detail, State, Time,
    command::{Presented, Registration, TrustChange},
    ids::{Digest, NodeId, RequestId},
    node::Role,
};
use fleet_proto::internal::{
    LeaveRequest, LeaveResponse, NodeRole, RegisterRequest, RegisterResponse, RenewRequest,
    RenewResponse, TrustRequest, TrustResponse, membership_server::Membership,
};
use fleet_trust::{Caller, Fingerprint, LIFETIME, Peer, Proof, PublicKey};
use tonic::{Request, Response, Status};

use super::{message, request_id};
use crate::{
    control::{
        Context,
        authority::{SignError, fingerprints, instant, key_digest, secret_digest, sign},
        context::control_addresses,
        guard::{impostor, stranger},
        guesses::Guesses,
        refusal::{invalid, refused, rejected, unread},
    },
    trust::{read_cluster_key, read_operator_token},
};

pub(crate) struct Api {
    context: Arc<Context>,
    guesses: Guesses,
}

#[tonic::async_trait]
impl Membership for Api {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let caller = request.extensions().get::<Caller>();
        let address = caller.map(|caller| caller.address.ip());
        if !address.is_some_and(|address| self.guesses.allow(address, Instant::now())) {
            return Err(Status::resource_exhausted("too many requests to join"));
        }
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let key = proven(&asked.public_key, &asked.proof, &asked.request_id)?;
        let (joining, actor) = joining(&asked, &key)?;
        self.check_token(&id, &joining.token).await?;
        let command = Command::Trust(Box::new(joining.into()));
        let context = &self.context;
        let outcome = context.ask(&id, &actor, &command).await.map_err(refused)?;
        let Detail::Node(node) = outcome.detail else {
            return Err(Status::internal("a node was answered with something else"));
        };
        self.admitted(node, &key).await
    }

    async fn leave(
        &self,
        request: Request<LeaveRequest>,
    ) -> Result<Response<LeaveResponse>, Status> {
        let caller = peer(&request)?;
        let asked = message(request);
        // A control node passes on what it was asked.
        if caller.name.node != asked.node_id && !self.relays(&caller) {
            return Err(impostor(caller.name.node));
        }
        self.let_go(asked).await.map(Response::new)
    }

    async fn trust(
        &self,
        request: Request<TrustRequest>,
    ) -> Result<Response<TrustResponse>, Status> {
        let peer = peer(&request)?;
        let asked = message(request);
        let state = self.context.snapshot();
        let node = NodeId(peer.name.node);
        let shown = fingerprints(&state).find(|(_, print)| *print == peer.authority);
        let shown = shown.map_or(0, |(number, _)| number);
        let believed =
            |(_, print): &(u64, Fingerprint)| asked.believes.contains(&print.to_string());
        let believes = fingerprints(&state).filter(believed);
        let believes: BTreeSet<u64> = believes.map(|(number, _)| number).collect();
        let held = state.trust.held.get(&node);
        if held.is_some_and(|held| held.shown != shown || held.believes != believes) {
            let confirm = TrustChange::Confirm {
                node,
                shown,
                believes,
            };
            let command = Command::Trust(Box::new(confirm));
            self.context.act(&command).await.map_err(refused)?;
        }
        Ok(Response::new(TrustResponse {
            authorities: authorities(&state),
            renew: state
                .trust
                .signing()
                .is_some_and(|(number, _)| number != shown),
        }))
    }

    async fn renew(
        &self,
        request: Request<RenewRequest>,
    ) -> Result<Response<RenewResponse>, Status> {
        let node = NodeId(peer(&request)?.name.node);
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let key = proven(&asked.public_key, &asked.proof, &asked.request_id)?;
        let state = self.context.read(false).await.map_err(unread)?;
        let known = state
            .nodes
            .get(&node)
            .ok_or_else(|| stranger(&state, node))?;
        let now = SystemTime::now();
        let certificate = sign(&self.context, &state, node.0, &known.roles, &key, now)?;
        let issue = TrustChange::Issue {
            node,
            key: key_digest(&key),
            expires: Time(certificate.expires_unix_ms),
        };
        let command = Command::Trust(Box::new(issue));
        let done = self.context.ask(&id, "node", &command).await;
        done.map_err(refused)?;
        Ok(Response::new(RenewResponse {
            certificate: Some(certificate),
        }))
    }
}

/// A node that asks to join, checked for its form.
struct Joining {
    registration: Registration,
    token: Presented,
    key: Digest,
}

impl From<Joining> for TrustChange {
    fn from(joining: Joining) -> Self {
        let Joining {
            registration,
            token,
            key,
        } = joining;
        Self::Join {
            registration,
            token,
            key,
            expires: instant(SystemTime::now() + LIFETIME),
        }
    }
}

fn joining(asked: &RegisterRequest, key: &PublicKey) -> Result<(Joining, String), Status> {
    let roles: BTreeSet<Role> = asked.roles().filter_map(role).collect();
    if roles.is_empty() {
        return Err(invalid(
            "a node needs a role",
            "control, worker, ingress: all three by default",
        ));
    }
    let registration = Registration {
        name: asked.name.clone(),
        address: asked.advertise.clone(),
        roles,
        labels: asked.labels.clone(),
        architecture: asked.architecture.clone(),
        id: None,
    };
    let token = Presented {
        id: asked.token_id.as_str().into(),
        digest: secret_digest(&asked.token_secret),
    };
    let joining = Joining {
        registration,
        token,
        key: key_digest(key),
    };
    Ok((joining, format!("node {}", asked.name)))
}

/// The key of a request, if whoever asks has its other half.
fn proven(key: &[u8], proof: &[u8], request: &str) -> Result<PublicKey, Status> {
    let proof = Proof(proof.to_vec());
    PublicKey::proven(key.to_vec(), &proof, request)
        .ok_or_else(|| Status::invalid_argument("the proof does not fit the key and the request"))
}

/// The node that calls. The guard lets nobody else come so far.
fn peer<M>(request: &Request<M>) -> Result<Arc<Peer>, Status> {
    let caller = request.extensions().get::<Caller>();
    caller
        .and_then(|caller| caller.peer.clone())
        .ok_or_else(|| Status::unauthenticated("this call needs the certificate of a node"))
}

fn authorities(state: &State) -> Vec<Bytes> {
    let certificates = state.trust.authorities.values();
    certificates
        .map(|authority| Bytes::copy_from_slice(&authority.certificate))
        .collect()
}

impl Api {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self {
            context,
            guesses: Guesses::default(),
        }
    }

    /// Refuses a token that nobody made before it costs an entry of the log. What counts is decided
    /// when the command is applied; a request that is known gets its first answer there.
    async fn check_token(&self, request: &RequestId, token: &Presented) -> Result<(), Status> {
        let state = self.context.read(false).await.map_err(unread)?;
        let known = state.trust.tokens.get(&token.id);
        if state.requests.contains_key(request) || known.is_some_and(|known| known.is(token)) {
            return Ok(());
        }
        Err(rejected(&Presented::refused()))
    }

    /// What a new node is told. The key must be the one that came with its registration: else
    /// whoever learnt a request id could be given a certificate without a token.
    async fn admitted(
        &self,
        node: NodeId,
        key: &PublicKey,
    ) -> Result<Response<RegisterResponse>, Status> {
        let context = &self.context;
        let state = context.read(false).await.map_err(unread)?;
        let held = state.trust.held.get(&node);
        let known = state
            .nodes
            .get(&node)
            .filter(|_| held.is_some_and(|held| held.key == key_digest(key)))
            .ok_or_else(|| stranger(&state, node))?;
        let now = SystemTime::now();
        let certificate = sign(context, &state, node.0, &known.roles, key, now)?;
        let (cluster_key, operator_token) = match known.has(Role::Control) {
            true => secrets(context)?,
            false => (String::new(), String::new()),
        };
        Ok(Response::new(RegisterResponse {
            cluster_id: state.cluster.id.clone(),
            node_id: node.0,
            domain: state.cluster.domain.clone(),
            control_addresses: control_addresses(&state),
            cluster_name: state.cluster.name.clone(),
            generation: state.cluster.generation,
            certificate: Some(certificate),
            authorities: authorities(&state),
            cluster_key,
            operator_token,
        }))
    }

    /// Whether a node may speak for another that asked it: control nodes share everything.
    fn relays(&self, caller: &Peer) -> bool {
        let state = self.context.snapshot();
        let node = state.nodes.get(&NodeId(caller.name.node));
        node.is_some_and(|node| node.has(Role::Control))
    }
}

/// What control nodes share: the key that opens the authority's, and the operator's token.
fn secrets(context: &Context) -> Result<(String, String), Status> {
    let paths = context.node.paths();
    let seal = read_cluster_key(&paths).map_err(SignError::from)?;
    Ok((
        seal.reveal(),
        read_operator_token(&paths).unwrap_or_default(),
    ))
}

fn role(role: NodeRole) -> Option<Role> {
    match role {
        NodeRole::Unspecified => None,
        NodeRole::Control => Some(Role::Control),
        NodeRole::Worker => Some(Role::Worker),
        NodeRole::Ingress => Some(Role::Ingress),
    }
}
