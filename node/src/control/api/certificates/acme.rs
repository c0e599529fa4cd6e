//! Certificates that an authority gives, as they are asked for and shown.

use std::sync::Arc;

use fleet_model::{
    State,
    acme::{Method, PUBLIC_DIRECTORY, Progress},
    certificate::Certificate,
    command::NewManaged,
};
use fleet_proto::v1;
use fleet_trust::certificates_from_pem;
use tonic::Status;

use super::instant;
use crate::control::refusal::invalid;

/// What was asked for; whether it is taken is decided when it is applied.
pub(super) fn managed(asked: &v1::AddCertificateRequest) -> Result<NewManaged, Status> {
    let ordered = asked.acme.clone().unwrap_or_default();
    let blocks = [&asked.certificate, &asked.chain, &asked.private_key];
    if asked.force || blocks.iter().any(|block| !block.is_empty()) {
        return Err(invalid(
            "a certificate is either brought or ordered",
            "leave out the blocks, or the order",
        ));
    }
    let method = match ordered.method() {
        v1::AcmeMethod::TlsAlpn => Method::TlsAlpn,
        v1::AcmeMethod::Http | v1::AcmeMethod::Unspecified => Method::Http,
    };
    let domains = ordered.domains.iter();
    let directory = match ordered.directory.as_str() {
        "" => PUBLIC_DIRECTORY,
        directory => directory,
    };
    Ok(NewManaged {
        name: asked.name.as_str().into(),
        directory: directory.into(),
        email: ordered.email,
        roots: roots(&ordered.directory_ca)?,
        domains: domains.map(|host| host.to_ascii_lowercase()).collect(),
        method,
        replace: asked.replace,
    })
}

fn roots(pem: &[u8]) -> Result<Option<Vec<Arc<[u8]>>>, Status> {
    if pem.is_empty() {
        return Ok(None);
    }
    let unread = || {
        invalid(
            "the directory's authority is no certificate",
            "it is PEM: -----BEGIN CERTIFICATE-----",
        )
    };
    let text = std::str::from_utf8(pem).map_err(|_| unread())?;
    let roots = certificates_from_pem(text).map_err(|_| unread())?;
    match roots.is_empty() {
        true => Err(unread()),
        false => Ok(Some(roots.iter().map(|der| Arc::from(&**der)).collect())),
    }
}

/// What is known of it; `None` for one that somebody brought.
pub(super) fn shown(state: &State, certificate: &Certificate) -> Option<v1::Acme> {
    let managed = certificate.managed.as_deref()?;
    let account = state.accounts.get(&managed.directory);
    let (progress, next_order) = match state.progress(certificate)? {
        Progress::Unasked => (v1::AcmeState::Unasked, None),
        Progress::Due(at) => (v1::AcmeState::Due, Some(instant(at.max(state.now)))),
        Progress::Placing => (v1::AcmeState::Placing, None),
        Progress::Telling => (v1::AcmeState::Telling, None),
        Progress::Looked => (v1::AcmeState::Looked, None),
    };
    let method = match managed.method {
        Method::Http => v1::AcmeMethod::Http,
        Method::TlsAlpn => v1::AcmeMethod::TlsAlpn,
    };
    let wanted = state.wanted_names(managed, state.served_by(&certificate.name));
    Some(v1::Acme {
        directory: managed.directory.to_string(),
        email: account.map(|a| a.email.clone()).unwrap_or_default(),
        method: method.into(),
        domains: wanted.into_iter().collect(),
        domains_of_environments: managed.domains.is_empty(),
        state: progress.into(),
        next_order,
        failures: managed.failures,
        last_error: managed.problem.clone(),
    })
}
