//! What a certificate says of a node.
//!
//! The URI is what is believed of a caller. The host names are for the other direction: a caller
//! says whom it means, one node or any control node, and TLS ends the connection if somebody else
//! answers. They lie below `.internal`, which is never resolved by anybody.

use std::collections::BTreeSet;

use rustls::pki_types::CertificateDer;

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeName {
    pub cluster: String,
    pub node: u64,
    /// "control", "worker", "ingress".
    pub roles: BTreeSet<String>,
}

/// The host name that every control node answers to.
pub(crate) const CONTROL_HOST: &str = "control.fleet.internal";

impl NodeName {
    #[must_use]
    pub fn has(&self, role: &str) -> bool {
        self.roles.contains(role)
    }

    /// `fleet://<cluster>/node/<id>?role=control+worker`
    #[must_use]
    pub fn uri(&self) -> String {
        let roles: Vec<_> = self.roles.iter().map(String::as_str).collect();
        let Self { cluster, node, .. } = self;
        format!("fleet://{cluster}/node/{node}?role={}", roles.join("+"))
    }

    pub(crate) fn parse(uri: &str) -> Option<Self> {
        let (cluster, rest) = uri.strip_prefix("fleet://")?.split_once("/node/")?;
        let (node, roles) = rest.split_once("?role=")?;
        let name = Self {
            cluster: cluster.to_owned(),
            node: node.parse().ok()?,
            roles: roles.split('+').map(str::to_owned).collect(),
        };
        // Only what this very code writes: no second spelling of a name.
        (name.uri() == uri).then_some(name)
    }

    /// What a certificate says; `None` if it was not made by an [`crate::Authority`].
    #[must_use]
    pub fn in_certificate(certificate: &CertificateDer<'_>) -> Option<Self> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut names = certificate.valid_uri_names();
        match (names.next(), names.next()) {
            (Some(name), None) => Self::parse(name),
            _ => None,
        }
    }

    pub(crate) fn hosts(&self) -> Vec<String> {
        let mut hosts = vec![node_host(self.node)];
        if self.has("control") {
            hosts.push(CONTROL_HOST.to_owned());
        }
        hosts
    }
}

pub(crate) fn node_host(node: u64) -> String {
    format!("node-{node}.fleet.internal")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_name_has_one_spelling() {
        let uri = "fleet://c1/node/7?role=control+worker";
        let name = NodeName::parse(uri).unwrap();
        assert_eq!((name.node, name.uri().as_str()), (7, uri));
        assert!(name.has("worker") && !name.has("ingress"));
        for other in [
            "fleet://c1/node/07?role=control+worker",
            "fleet://c1/node/7?role=worker+control",
            "fleet://c1/node/7?role=control+worker+worker",
            "fleet://c1/node/-7?role=control",
            "http://c1/node/7?role=control",
            "fleet://c1/node/7",
        ] {
            assert_eq!(NodeName::parse(other), None, "{other}");
        }
    }
}
