//! What every part of the control process shares.

use std::{sync::Arc, time::Duration};

use fleet_model::{
    Command, Detail, Outcome, Rejection, State,
    ids::{NodeId, RequestId},
    report::Waiting,
};
use tokio::sync::watch;

use super::{board::Board, codec};
use crate::{
    blobs, clock, config,
    consensus::{self, ProposeError, ReadError},
};

/// How long a proposal may take before its outcome is called unknown.
const PROPOSAL_TIMEOUT: Duration = Duration::from_secs(10);

/// Handles to everything, cheap to share.
pub(crate) struct Context {
    pub(crate) node: config::Node,
    pub(crate) consensus: consensus::Handle,
    /// The state as applied on this node; a clone costs O(1).
    pub(crate) state: watch::Receiver<State>,
    /// What the leader hears; empty elsewhere.
    pub(crate) board: Board,
    /// What the leader's last plan waits for; empty elsewhere.
    pub(crate) waiting: watch::Sender<Arc<Vec<Waiting>>>,
    pub(crate) blobs: blobs::Store,
    pub(crate) clock: clock::Steady,
}

/// A command that took effect.
#[derive(Debug)]
pub(crate) struct Done {
    /// Log index at which it did.
    pub(crate) index: u64,
    pub(crate) detail: Detail,
    /// The request was known: this is what the first one was answered.
    pub(crate) repeated: bool,
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The domain said no.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// It did not get that far, or nobody knows whether it did.
    #[error(transparent)]
    NotProposed(#[from] ProposeError),
    #[error("failed reading the answer to a command")]
    Answer(#[from] codec::DecodeError),
}

impl Context {
    pub(crate) fn new(
        node: config::Node,
        consensus: consensus::Handle,
        state: watch::Receiver<State>,
        blobs: blobs::Store,
        clock: clock::Steady,
    ) -> Self {
        let (waiting, _) = watch::channel(Arc::default());
        Self {
            node,
            consensus,
            state,
            board: Board::default(),
            waiting,
            blobs,
            clock,
        }
    }

    pub(crate) fn id(&self) -> NodeId {
        NodeId(self.node.identity.node_id)
    }

    /// Whether `state` is that of this node's cluster: not empty, as right after a start, and not that
    /// of the cluster a backup was taken of, which a restored log begins with.
    pub(crate) fn knows_its_cluster(&self, state: &State) -> bool {
        let identity = &self.node.identity;
        state.cluster.id == identity.cluster_id
            && state.cluster.generation == identity.generation
            && state.trust.operator.is_some()
    }

    /// The state as applied here.
    pub(crate) fn snapshot(&self) -> State {
        self.state.borrow().clone()
    }

    /// The state no older than the moment of the call, wherever the leader is; with `stale`, the
    /// state as applied here.
    pub(crate) async fn read(&self, stale: bool) -> Result<State, ReadError> {
        if !stale {
            self.consensus.read_barrier().await?;
        }
        Ok(self.snapshot())
    }

    /// Commits a command of a user; a retry with the same `request` gets the first answer.
    pub(crate) async fn ask(
        &self,
        request: &RequestId,
        actor: &str,
        command: &Command,
    ) -> Result<Done, Refused> {
        self.propose(Some(request), actor, command).await
    }

    /// Commits a command of the cluster itself.
    pub(crate) async fn act(&self, command: &Command) -> Result<Done, Refused> {
        self.propose(None, "fleet", command).await
    }

    async fn propose(
        &self,
        request: Option<&RequestId>,
        actor: &str,
        command: &Command,
    ) -> Result<Done, Refused> {
        let payload = codec::encode_command(request, actor, command);
        let applied = self.consensus.propose(payload, PROPOSAL_TIMEOUT).await?;
        let Outcome { index, detail } = codec::decode_answer(&applied.answer)??;
        Ok(Done {
            index,
            detail,
            repeated: index != applied.index,
        })
    }

    /// Now, for decisions of the leader.
    pub(crate) fn now(&self) -> fleet_model::Time {
        self.clock.now()
    }

    /// The fence of an order derived from `state`.
    pub(crate) fn fence(&self, state: &State) -> fleet_proto::internal::Fence {
        let term = self.consensus.leadership().borrow().term;
        fleet_proto::internal::Fence {
            term,
            index: state.index,
        }
    }
}

/// Addresses of all control nodes, for those who must find the leader.
pub(crate) fn control_addresses(state: &State) -> Vec<String> {
    state
        .nodes_with(fleet_model::node::Role::Control)
        .map(|node| node.address.clone())
        .collect()
}
