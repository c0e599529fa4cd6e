//! Certificates and keys for tests.

use std::time::SystemTime;

use fleet_proto::internal as wire;
use fleet_trust::OwnIssuer;
use rcgen::{CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};

/// A certificate as an operator brings it, signed by itself.
pub(super) struct Given {
    pub(super) der: Vec<u8>,
    key: Vec<u8>,
}

impl Given {
    pub(super) fn new(hosts: &[&str]) -> Self {
        let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.is_ca = IsCa::ExplicitNoCa;
        // Clients that believe many try all of one name, and not for ever.
        params.distinguished_name = DistinguishedName::new();
        let name = format!("{:032x}", rand::random::<u128>());
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self {
            der: params.self_signed(&key).unwrap().der().to_vec(),
            key: key.serialize_der(),
        }
    }

    pub(super) fn wire(&self, name: &str) -> wire::ServedCertificate {
        wire::ServedCertificate {
            name: name.to_owned(),
            chain: vec![self.der.clone().into()],
            key: self.key.clone().into(),
            own_domain: String::new(),
        }
    }
}

/// The cluster's own.
pub(super) struct Own {
    pub(super) der: Vec<u8>,
    pub(super) wire: wire::ServedCertificate,
}

pub(super) fn own() -> Own {
    let own = OwnIssuer::found("shop.test", SystemTime::now()).unwrap();
    Own {
        der: own.chain[0].clone(),
        wire: wire::ServedCertificate {
            name: "self-signed".to_owned(),
            chain: vec![own.chain[0].clone().into()],
            key: own.key.into(),
            own_domain: "shop.test".to_owned(),
        },
    }
}

pub(super) fn tickets(ids: &[u64], present: u64) -> wire::TicketKeys {
    let key = |id: &u64| wire::TicketKey {
        id: *id,
        secret: vec![*id as u8; 32].into(),
    };
    wire::TicketKeys {
        keys: ids.iter().map(key).collect(),
        present,
        lifetime_seconds: 3_600,
    }
}

fn tls(certificates: Vec<wire::ServedCertificate>) -> wire::ServedTls {
    wire::ServedTls {
        certificates,
        tickets: Some(tickets(&[1, 2], 1)),
        answers: Vec::new(),
    }
}

/// The table with certificates, of which each environment shows the one that stands at its place.
pub(super) fn secured(
    mut table: wire::RouteTable,
    shown: &[&str],
    certificates: Vec<wire::ServedCertificate>,
) -> wire::RouteTable {
    for (environment, name) in table.environments.iter_mut().zip(shown) {
        environment.certificate = (*name).to_owned();
    }
    table.tls = Some(tls(certificates));
    table
}
