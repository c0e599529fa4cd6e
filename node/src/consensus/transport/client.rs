//! The calls a node makes: votes, transfer of leadership, and who to make them to.

use std::future::Future;
use std::time::Duration;

use fleet_proto::internal::raft_client::RaftClient;
use openraft::RaftNetworkFactory;
use openraft::errors::{RPCError, Unreachable};
use openraft::impls::BasicNode;
use openraft::network::{Backoff, NetBackoff, NetTransferLeader, NetVote, RPCOption};
use openraft::raft::{TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::message::{
    transfer_to_proto, transferred_from_proto, vote_request_to_proto, vote_response_from_proto,
};
use super::{Credentials, Lane, Pool};
use crate::consensus::types::TypeConfig;

pub(super) type RpcError = RPCError<TypeConfig>;

/// Makes the clients the consensus library asks for.
pub(crate) struct NetworkFactory {
    pub(crate) pool: Pool,
    pub(crate) credentials: Credentials,
    /// Silence after which an append stream with something in flight is given up. An fsync of the
    /// follower may take that long; the connection itself is watched by pings.
    pub(crate) append_idle: Duration,
    /// Cap on a snapshot being sent.
    pub(crate) snapshot_bytes_per_second: u64,
}

/// A client for one peer and one purpose.
pub(crate) struct Network {
    pub(super) target: u64,
    pub(super) address: String,
    pub(super) lane: Lane,
    pub(super) pool: Pool,
    pub(super) credentials: Credentials,
    pub(super) append_idle: Duration,
    pub(super) snapshot_bytes_per_second: u64,
    /// How often in a row a stream could not be opened.
    pub(super) refused: u32,
}

impl NetworkFactory {
    fn network(&self, target: u64, node: &BasicNode, lane: Lane) -> Network {
        Network {
            target,
            address: node.addr.clone(),
            lane,
            pool: self.pool.clone(),
            credentials: self.credentials.clone(),
            append_idle: self.append_idle,
            snapshot_bytes_per_second: self.snapshot_bytes_per_second,
            refused: 0,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Network;

    async fn new_client(&mut self, target: u64, node: &BasicNode) -> Network {
        self.network(target, node, Lane::Log)
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &BasicNode) -> Network {
        self.network(target, node, Lane::Control)
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &BasicNode) -> Network {
        self.network(target, node, Lane::Snapshot)
    }
}

impl Network {
    pub(super) fn client(&self, lane: Lane) -> Result<RaftClient<Channel>, RpcError> {
        self.pool
            .client(self.target, &self.address, lane)
            .map_err(|error| self.unreachable(error))
    }

    /// A call with a deadline. A call that fails for whatever reason makes the peer unreachable:
    /// the library then backs off, where it would retry a "network error" at once.
    async fn call<M>(
        &self,
        within: Duration,
        call: impl Future<Output = Result<Response<M>, Status>>,
    ) -> Result<M, RpcError> {
        match tokio::time::timeout(within, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.unreachable(describe(&status))),
            Err(_) => Err(self.unreachable(format!("no answer within {within:?}"))),
        }
    }

    pub(super) fn unreachable(&self, what: impl std::fmt::Display) -> RpcError {
        let text = format!("node {} at {}: {what}", self.target, self.address);
        RPCError::Unreachable(Unreachable::from_string(text))
    }
}

impl NetVote<TypeConfig> for Network {
    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let mut client = self.client(Lane::Control)?;
        let request = self
            .credentials
            .request(self.target, vote_request_to_proto(&request));
        let response = self.call(option.soft_ttl(), client.vote(request)).await?;
        vote_response_from_proto(&response).map_err(|error| self.unreachable(error))
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RpcError> {
        let mut client = self.client(Lane::Control)?;
        let request = self
            .credentials
            .request(self.target, vote_request_to_proto(&request));
        let response = self
            .call(option.soft_ttl(), client.pre_vote(request))
            .await?;
        vote_response_from_proto(&response).map_err(|error| self.unreachable(error))
    }
}

impl NetTransferLeader<TypeConfig> for Network {
    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RpcError> {
        let mut client = self.client(Lane::Control)?;
        let request = self
            .credentials
            .request(self.target, transfer_to_proto(&request));
        let response = self
            .call(option.soft_ttl(), client.transfer_leader(request))
            .await?;
        transferred_from_proto(response).map_err(|error| self.unreachable(error))
    }
}

impl NetBackoff<TypeConfig> for Network {
    fn backoff(&self) -> Option<Backoff> {
        // The library's default: 200 ms, doubling up to one second.
        None
    }
}

pub(super) fn describe(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
