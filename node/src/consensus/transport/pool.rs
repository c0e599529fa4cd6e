//! Lazy connections to the peers, shared by everything that talks to them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fleet_proto::internal::raft_client::RaftClient;
use tonic::transport::{Channel, Endpoint};

use super::MAX_MESSAGE_BYTES;
use crate::consensus::options::{Connect, Options, Timers};

/// What a connection is for. Each purpose has its own, so that a snapshot or a full append window
/// never delays a heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    Log,
    Control,
    Snapshot,
    Forward,
}

type Key = (u64, String, Lane);

/// The connections. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool {
    connect: Connect,
    timers: Timers,
    channels: Arc<Mutex<HashMap<Key, Channel>>>,
}

impl Pool {
    pub(crate) fn new(options: &Options) -> Self {
        let plain: Connect = Arc::new(|_, endpoint| endpoint.connect_lazy());
        Self {
            connect: options.connect.clone().unwrap_or(plain),
            timers: options.timers.clone(),
            channels: Arc::default(),
        }
    }

    /// A client on the connection to `node` for `lane`; connects when it is first used, and again
    /// whenever the connection was lost.
    ///
    /// # Errors
    /// If the address is no address.
    pub(crate) fn client(
        &self,
        node: u64,
        address: &str,
        lane: Lane,
    ) -> Result<RaftClient<Channel>, String> {
        let mut channels = self
            .channels
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let key = (node, address.to_owned(), lane);
        let channel = match channels.get(&key) {
            Some(channel) => channel.clone(),
            None => {
                let endpoint = endpoint(address, &self.timers)?;
                let channel = (self.connect)(node, &endpoint);
                channels.insert(key, channel.clone());
                channel
            }
        };
        Ok(RaftClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES))
    }
}

fn endpoint(address: &str, timers: &Timers) -> Result<Endpoint, String> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| format!("address {address}: {error}"))?
        .connect_timeout(timers.connect)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(timers.keepalive)
        .keep_alive_timeout(timers.keepalive)
        .keep_alive_while_idle(true);
    Ok(endpoint)
}
