//! Decides who may make which call, from the certificate or the token that came with it.
//!
//! Nodes show certificates, operators a token; nobody else gets further than the health check and
//! the request to join, which carries a token of its own. A certificate counts for what its node is
//! registered for now, so that a removed node, or one with fewer roles than it had, is shut out by
//! the command that did it. Ids that nodes claim are compared here where they are part of the
//! metadata, and by the sessions where they are part of a message ([`super::sessions`]).

use std::{
    sync::Arc,
    task::{Context as Task, Poll},
};

use fleet_model::{State, ids::NodeId, node::Role};
use fleet_trust::{Caller, Peer};
use futures::future::{Either, Ready, ready};
use http::{HeaderMap, Request, Response, header::AUTHORIZATION};
use tonic::{Status, body::Body};
use tower::{Layer, Service};

use super::{Context, authority::operator_digest, membership};
use crate::consensus::FROM;

/// Layer of the server.
#[derive(Clone)]
pub(super) struct Guard(pub(super) Arc<Context>);

impl<S> Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded {
            context: self.0.clone(),
            inner,
        }
    }
}

/// A service behind the guard.
#[derive(Clone)]
pub(super) struct Guarded<S> {
    context: Arc<Context>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Guarded<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, Ready<Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, task: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let caller = request.extensions().get::<Caller>();
        let peer = caller.and_then(|caller| caller.peer.as_deref());
        let state = self.context.state.borrow();
        let founded = self.context.knows_its_cluster(&state);
        match admit(
            &state,
            founded,
            request.uri().path(),
            peer,
            request.headers(),
        ) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => Either::Right(ready(Ok(refusal.into_http()))),
        }
    }
}

/// Who may make a call.
#[derive(Debug)]
struct Rule {
    /// What the path begins with.
    path: &'static str,
    admitted: Admitted,
}

#[derive(Clone, Copy, Debug)]
enum Admitted {
    Everybody,
    /// Nodes that have one of the roles.
    Nodes(&'static [Role]),
    /// Operators, and nodes that have one of the roles.
    Operators(&'static [Role]),
}

const CONTROL: &[Role] = &[Role::Control];

/// The first that fits counts. Whatever is not named is the public API, reflection included, which
/// control nodes call when they pass on what an operator asked them.
const RULES: &[Rule] = &[
    Rule {
        path: "/grpc.health.v1.Health/",
        admitted: Admitted::Everybody,
    },
    Rule {
        path: "/fleet.internal.Membership/Register",
        admitted: Admitted::Everybody,
    },
    Rule {
        path: "/fleet.internal.Membership/",
        admitted: Admitted::Nodes(&Role::ALL),
    },
    Rule {
        path: "/fleet.internal.WorkerSessions/",
        admitted: Admitted::Nodes(&[Role::Worker]),
    },
    Rule {
        path: "/fleet.internal.IngressSessions/",
        admitted: Admitted::Nodes(&[Role::Ingress]),
    },
    Rule {
        path: "/fleet.internal.Blobs/",
        admitted: Admitted::Nodes(&[Role::Control, Role::Worker]),
    },
    // Consensus, and whatever nodes will say to each other: nobody is let in by being forgotten.
    Rule {
        path: "/fleet.internal.",
        admitted: Admitted::Nodes(CONTROL),
    },
    // Workers hand over what their builds made, under its digest, as an operator does.
    Rule {
        path: "/fleet.v1.Blobs/Has",
        admitted: Admitted::Operators(&[Role::Control, Role::Worker]),
    },
    Rule {
        path: "/fleet.v1.Blobs/Upload",
        admitted: Admitted::Operators(&[Role::Control, Role::Worker]),
    },
];

fn admit(
    state: &State,
    founded: bool,
    path: &str,
    peer: Option<&Peer>,
    headers: &HeaderMap,
) -> Result<(), Status> {
    let rule = RULES.iter().find(|rule| path.starts_with(rule.path));
    let admitted = rule.map_or(Admitted::Operators(CONTROL), |rule| rule.admitted);
    match admitted {
        Admitted::Everybody => Ok(()),
        Admitted::Nodes(roles) => {
            let refused = || Status::unauthenticated("this call needs the certificate of a node");
            let peer = peer.ok_or_else(refused)?;
            node(state, peer, roles)?;
            named(peer, headers)
        }
        Admitted::Operators(roles) => {
            let offered = headers.get(AUTHORIZATION).map(http::HeaderValue::as_bytes);
            if founded && operator(state, offered.unwrap_or_default()) {
                return Ok(());
            }
            match peer {
                Some(peer) => node(state, peer, roles),
                // What the token is compared with is not here yet, or of the cluster before.
                None if !founded => Err(Status::unavailable(
                    "this node does not have its cluster's state yet; try again in a moment",
                )),
                // One sentence for a missing and for a wrong one.
                None => Err(Status::unauthenticated("missing or wrong operator token")),
            }
        }
    }
}

/// Whether a header carries the operator's token. Digests are compared, all of them, so that the time
/// taken tells nothing about how much of a guess was right.
fn operator(state: &State, header: &[u8]) -> bool {
    let Some(known) = &state.trust.operator else {
        return false;
    };
    let offered = header.strip_prefix(b"Bearer ").unwrap_or_default();
    let offered = operator_digest(offered);
    let pairs = known.as_str().bytes().zip(offered.as_str().bytes());
    let difference = pairs.fold(0, |seen, (ours, theirs)| seen | (ours ^ theirs));
    std::hint::black_box(difference) == 0
}

/// The certificate must say one of the roles, and the state must not say otherwise.
fn node(state: &State, peer: &Peer, roles: &[Role]) -> Result<(), Status> {
    let id = NodeId(peer.name.node);
    if !state.may_call(id) {
        return Err(stranger(state, id));
    }
    let registered = state.nodes.get(&id);
    let has = |role: &&Role| {
        peer.name.has(role.as_str()) && registered.is_none_or(|node| node.has(**role))
    };
    match roles.iter().find(has) {
        Some(_) => Ok(()),
        None => Err(Status::permission_denied(format!(
            "the certificate of node {id} does not open this"
        ))),
    }
}

/// Who says in a header who it is must be that.
fn named(peer: &Peer, headers: &HeaderMap) -> Result<(), Status> {
    let Some(claimed) = headers.get(FROM) else {
        return Ok(());
    };
    let claimed = claimed.to_str().ok().and_then(|id| id.parse().ok());
    if claimed == Some(peer.name.node) {
        return Ok(());
    }
    Err(impostor(peer.name.node))
}

/// What is said to a node that speaks in another's name.
pub(super) fn impostor(node: u64) -> Status {
    Status::permission_denied(format!("the certificate is that of node {node}"))
}

/// What is said to a node that is not in the cluster.
pub(super) fn stranger(state: &State, node: NodeId) -> Status {
    match membership::farewell(state, node) {
        Some(farewell) => Status::permission_denied(farewell),
        None => Status::permission_denied(format!("node {node} is not yet in this cluster")),
    }
}

#[cfg(test)]
mod tests;
