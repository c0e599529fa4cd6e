//! Who calls whom: the metadata of every call.
//!
//! The cluster id and the id of the node that is *meant* travel with each call, and a node answers
//! only what is meant for it. Without that, an address that passed from one node to another would
//! let a single process vote under two ids.

use std::sync::Arc;

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

const AUTHORIZATION: &str = "authorization";
const VERSION_KEY: &str = "fleet-raft-version";
const CLUSTER: &str = "fleet-cluster-id";
const FROM: &str = "fleet-from-node";
const TO: &str = "fleet-to-node";

/// Version of the messages. Nodes of different versions do not talk to each other.
const VERSION: u64 = 1;

/// What this node says about itself, and demands of others.
#[derive(Clone)]
pub(crate) struct Credentials {
    bearer: MetadataValue<Ascii>,
    cluster: MetadataValue<Ascii>,
    secret: Arc<str>,
    cluster_id: Arc<str>,
    node_id: u64,
}

impl Credentials {
    /// # Errors
    /// If the secret or the cluster id cannot travel in a header.
    pub(crate) fn new(cluster_id: &str, node_id: u64, secret: &Arc<str>) -> Result<Self, String> {
        let mut bearer: MetadataValue<Ascii> = format!("Bearer {secret}")
            .parse()
            .map_err(|_| "the secret is not printable ASCII".to_owned())?;
        bearer.set_sensitive(true);
        let cluster = cluster_id
            .parse()
            .map_err(|_| "the cluster id is not printable ASCII".to_owned())?;
        Ok(Self {
            bearer,
            cluster,
            secret: secret.clone(),
            cluster_id: cluster_id.into(),
            node_id,
        })
    }

    /// Addresses a message to a node.
    pub(crate) fn request<M>(&self, to: u64, message: M) -> Request<M> {
        let mut request = Request::new(message);
        self.attach(to, request.metadata_mut());
        request
    }

    fn attach(&self, to: u64, metadata: &mut MetadataMap) {
        metadata.insert(AUTHORIZATION, self.bearer.clone());
        metadata.insert(CLUSTER, self.cluster.clone());
        metadata.insert(VERSION_KEY, VERSION.into());
        metadata.insert(FROM, self.node_id.into());
        metadata.insert(TO, to.into());
    }

    /// Checks that a call comes from this cluster and is meant for this node. Returns the sender.
    pub(super) fn check(&self, metadata: &MetadataMap) -> Result<u64, Status> {
        let bearer = metadata
            .get(AUTHORIZATION)
            .map(MetadataValue::as_bytes)
            .unwrap_or_default();
        let secret = bearer.strip_prefix(b"Bearer ").unwrap_or_default();
        if !same(secret, self.secret.as_bytes()) {
            return Err(Status::unauthenticated("wrong or missing secret"));
        }
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
        number(metadata, FROM)
    }
}

fn number(metadata: &MetadataMap, key: &'static str) -> Result<u64, Status> {
    let value = metadata.get(key).and_then(|value| value.to_str().ok());
    value
        .and_then(|value| value.parse().ok())
        .ok_or_else(|| Status::invalid_argument(format!("metadata {key} is missing or no number")))
}

/// Compares in a time that depends on the lengths alone.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differences = a.iter().zip(b).fold(0, |seen, (a, b)| seen | (a ^ b));
    a.len() == b.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tonic::Code;

    fn node(cluster: &str, id: u64, secret: &str) -> Credentials {
        Credentials::new(cluster, id, &secret.into()).unwrap()
    }

    #[test]
    fn a_node_answers_only_what_is_meant_for_it() {
        let here = node("c", 2, "s");
        let check = |from: &Credentials, to: u64| here.check(from.request(to, ()).metadata());
        assert_eq!(check(&node("c", 1, "s"), 2).unwrap(), 1);
        let refused = [
            (node("c", 1, "t"), 2, Code::Unauthenticated),
            (node("c", 1, ""), 2, Code::Unauthenticated),
            (node("c", 1, "ss"), 2, Code::Unauthenticated),
            (node("d", 1, "s"), 2, Code::FailedPrecondition),
            (node("c", 1, "s"), 3, Code::FailedPrecondition),
        ];
        for (from, to, code) in refused {
            assert_eq!(check(&from, to).unwrap_err().code(), code);
        }
        let mut bare = MetadataMap::new();
        assert_eq!(here.check(&bare).unwrap_err().code(), Code::Unauthenticated);
        bare = node("c", 1, "s").request(2, ()).metadata().clone();
        bare.insert(VERSION_KEY, 2u64.into());
        assert_eq!(
            here.check(&bare).unwrap_err().code(),
            Code::FailedPrecondition
        );
    }
}
