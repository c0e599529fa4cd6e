//! How far it is with a certificate that an authority gives.

use fleet_proto::v1::{Acme, AcmeMethod, AcmeState};
use serde::Serialize;

use crate::output::{escape, rfc3339, stamp};

#[derive(Debug, Serialize)]
pub(super) struct AcmeView {
    directory: String,
    email: String,
    challenge: &'static str,
    domains: Vec<String>,
    domains_of_environments: bool,
    state: &'static str,
    next_order: Option<String>,
    failures: u32,
    last_error: String,
    #[serde(skip)]
    next: String,
}

impl AcmeView {
    pub(super) fn new(acme: &Acme) -> Self {
        let state = match acme.state() {
            AcmeState::Unspecified => "unknown",
            AcmeState::Unasked => "unasked",
            AcmeState::Due => "due",
            AcmeState::Placing => "placing",
            AcmeState::Telling => "telling",
            AcmeState::Looked => "looked",
        };
        Self {
            directory: acme.directory.clone(),
            email: acme.email.clone(),
            challenge: match acme.method() {
                AcmeMethod::TlsAlpn => "tls-alpn-01",
                AcmeMethod::Http | AcmeMethod::Unspecified => "http-01",
            },
            domains: acme.domains.clone(),
            domains_of_environments: acme.domains_of_environments,
            state,
            next_order: rfc3339(acme.next_order.as_ref()),
            failures: acme.failures,
            last_error: acme.last_error.clone(),
            next: stamp(acme.next_order.as_ref()),
        }
    }

    /// What is done or waited for, and what went wrong last.
    pub(super) fn line(&self) -> String {
        let state = match self.state {
            "unasked" => "waits for an environment with a domain".to_owned(),
            "due" if self.failures > 0 => format!("tried again {}", self.next),
            "due" => format!("ordered {}", self.next),
            "placing" => "being ordered".to_owned(),
            "telling" => "ingresses learn what to answer".to_owned(),
            "looked" => "the authority looks".to_owned(),
            other => other.to_owned(),
        };
        match self.last_error.as_str() {
            "" => state,
            error => format!("{state}; last error: {}", escape(error)),
        }
    }
}
