//! Who calls whom: the metadata of every call.
//!
//! The cluster id and the id of the node that is *meant* travel with each call, and a node answers
//! only what is meant for it. Without that, an address that passed from one node to another would
//! let a single process vote under two ids.

use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

const VERSION_KEY: &str = "fleet-raft-version";
const CLUSTER: &str = "fleet-cluster-id";
/// Checked against the certificate of the caller in `control/guard.rs`.
pub const FROM: &str = "fleet-from-node";
const TO: &str = "fleet-to-node";
const INSTANCE: &str = "fleet-raft-instance";

/// Version of the messages. Nodes of different versions do not talk to each other.
const VERSION: u64 = 1;

/// What this node says about itself, and demands of others. That the sender is who it says is not
/// checked here: the port that takes the call has seen its certificate.
#[derive(Clone)]
pub(crate) struct Credentials {
    cluster: MetadataValue<Ascii>,
    cluster_id: Arc<str>,
    node_id: u64,
    /// Of this process: two with one node id are told apart by it.
    instance: u64,
}

/// Who makes a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) node: u64,
    /// Random, chosen at the start of its process.
    pub(super) instance: u64,
}

impl Credentials {
    /// # Errors
    /// If the cluster id cannot travel in a header.
    pub(crate) fn new(cluster_id: &str, node_id: u64) -> Result<Self, String> {
        let cluster = cluster_id
            .parse()
            .map_err(|_| "the cluster id is not printable ASCII".to_owned())?;
        Ok(Self {
            cluster,
            cluster_id: cluster_id.into(),
            node_id,
            instance: rand::random(),
        })
    }

    /// Addresses a message to a node.
    pub(crate) fn request<M>(&self, to: u64, message: M) -> Request<M> {
        let mut request = Request::new(message);
        self.attach(to, request.metadata_mut());
        request
    }

    fn attach(&self, to: u64, metadata: &mut MetadataMap) {
        metadata.insert(CLUSTER, self.cluster.clone());
        metadata.insert(VERSION_KEY, VERSION.into());
        metadata.insert(FROM, self.node_id.into());
        metadata.insert(TO, to.into());
        metadata.insert(INSTANCE, self.instance.into());
    }

    /// Checks that a call comes from this cluster and is meant for this node. Returns the sender.
    pub(super) fn check(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let cluster = metadata
            .get(CLUSTER)
            .map(MetadataValue::as_bytes)
            .unwrap_or_default();
        if cluster != self.cluster_id.as_bytes() {
            return Err(Status::failed_precondition(
                "this node belongs to another cluster",
            ));
        }
        let version = number(metadata, VERSION_KEY)?;
        if version != VERSION {
            let text = format!("raft messages of version {version}, this node speaks {VERSION}");
            return Err(Status::failed_precondition(text));
        }
        let to = number(metadata, TO)?;
        if to != self.node_id {
            let text = format!("meant for node {to}, this is node {}", self.node_id);
            return Err(Status::failed_precondition(text));
        }
        Ok(Caller {
            node: number(metadata, FROM)?,
            instance: number(metadata, INSTANCE)?,
        })
    }
}

fn number(metadata: &MetadataMap, key: &'static str) -> Result<u64, Status> {
    let value = metadata.get(key).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Status::invalid_argument(format!("metadata {key} is missing or no number")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tonic::Code;

    fn node(cluster: &str, id: u64) -> Credentials {
        Credentials::new(cluster, id).unwrap()
    }

    #[test]
    fn a_node_answers_only_what_is_meant_for_it() {
        let here = node("c", 2);
        let check = |from: &Credentials, to: u64| here.check(from.request(to, ()).metadata());
        let one = node("c", 1);
        assert_eq!(check(&one, 2).unwrap().node, 1);
        let again = check(&node("c", 1), 2).unwrap();
        assert_ne!(check(&one, 2).unwrap(), again, "another process");
        let refused = [
            (node("d", 1), 2, Code::FailedPrecondition),
            (node("c", 1), 3, Code::FailedPrecondition),
        ];
        for (from, to, code) in refused {
            assert_eq!(check(&from, to).unwrap_err().code(), code);
        }
        let mut bare = MetadataMap::new();
        assert_eq!(
            here.check(&bare).unwrap_err().code(),
            Code::FailedPrecondition
        );
        bare = node("c", 1).request(2, ()).metadata().clone();
        bare.insert(VERSION_KEY, 2u64.into());
        assert_eq!(
            here.check(&bare).unwrap_err().code(),
            Code::FailedPrecondition
        );
    }
}
