//! Clusters of tests: an authority, and as many nodes as are wanted. Compiled always, for the tests of
//! other crates need it, and a feature would have everything above compiled twice.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwap;
use fleet_trust::{Authority, Credentials, NodeKey};

use super::{Certified, Held, Trust, write_authorities};
use crate::config::Paths;

/// An authority that lives in memory.
#[derive(Clone)]
pub struct TestAuthority(Arc<Authority>);

impl TestAuthority {
    pub fn new(cluster: &str) -> Self {
        Self(Arc::new(
            Authority::found(cluster, SystemTime::now()).unwrap(),
        ))
    }

    /// Writes the files of the node `id`.
    pub fn equip(&self, paths: &Paths, id: u64, roles: &[&str]) {
        let key = NodeKey::generate().unwrap();
        let roles = roles.iter().copied();
        let signed = self.0.sign(id, roles, &key.public(), SystemTime::now());
        let signed = signed.unwrap();
        write_authorities(paths, &[self.0.certificate().clone()]).unwrap();
        let certified = Certified {
            certificate: signed.certificate,
            key,
            begins: signed.begins,
            expires: signed.expires,
        };
        certified.write(paths).unwrap();
    }

    /// The node `id`, as others with the same authority believe it.
    pub fn node(&self, id: u64, roles: &[&str]) -> Trust {
        let key = NodeKey::generate().unwrap();
        let roles = roles.iter().copied();
        let signed = self.0.sign(id, roles, &key.public(), SystemTime::now());
        let signed = signed.unwrap();
        let authorities = vec![self.0.certificate().clone()];
        let credentials =
            Credentials::new(&signed.certificate, &key, authorities, signed.begins).unwrap();
        Trust(Arc::new(ArcSwap::from_pointee(Held {
            credentials: Arc::new(credentials),
            begins: signed.begins,
            expires: signed.expires,
        })))
    }
}
