//! The authority of the cluster, as this node can use it: opened out of the replicated state with
//! the key file that every control node has.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use fleet_model::{State, Time, command::NewAuthority, ids::Digest, node::Role};
use fleet_proto::internal::NodeCertificate;
use fleet_trust::{
    Authority, AuthorityError, CertificateDer, Fingerprint, PublicKey, SealError, sha256,
};

use super::Context;
use crate::trust::{AUTHORITY_KEY, FilesError, read_cluster_key};

/// Why nothing could be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    #[error("this cluster has no authority yet")]
    None,
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("the key of the authority cannot be opened")]
    Sealed(#[from] SealError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

impl From<SignError> for tonic::Status {
    fn from(error: SignError) -> Self {
        tracing::error!(%error, "nothing can be signed");
        Self::internal("this node cannot sign certificates: see its log")
    }
}

/// Signs a certificate for a node with the authority that signs at the moment.
pub(super) fn sign(
    context: &Context,
    state: &State,
    node: u64,
    roles: &BTreeSet<Role>,
    key: &PublicKey,
    now: SystemTime,
) -> Result<NodeCertificate, SignError> {
    let (_, authority) = state.trust.signing().ok_or(SignError::None)?;
    let seal = read_cluster_key(&context.node.paths())?;
    let pkcs8 = seal.open(AUTHORITY_KEY, &authority.sealed_key)?;
    let certificate = CertificateDer::from(authority.certificate.to_vec());
    let authority = Authority::restore(&state.cluster.id, certificate, &pkcs8)?;
    let roles = roles.iter().map(|role| role.as_str());
    let signed = authority.sign(node, roles, key, now)?;
    Ok(NodeCertificate {
        certificate: signed.certificate.to_vec().into(),
        begins_unix_ms: instant(signed.begins).0,
        expires_unix_ms: instant(signed.expires).0,
    })
}

/// A new authority, its key sealed.
pub(super) fn another(
    context: &Context,
    state: &State,
) -> Result<(NewAuthority, Fingerprint), SignError> {
    let seal = read_cluster_key(&context.node.paths())?;
    let authority = Authority::found(&state.cluster.id, SystemTime::now())?;
    let new = NewAuthority {
        certificate: authority.certificate().as_ref().into(),
        sealed_key: seal.seal(AUTHORITY_KEY, &authority.to_pkcs8()).into(),
    };
    Ok((new, authority.fingerprint()))
}

/// Fingerprints of the authorities that are believed, with their numbers.
pub(super) fn fingerprints(state: &State) -> impl Iterator<Item = (u64, Fingerprint)> {
    state.trust.authorities.iter().map(|(number, authority)| {
        let certificate = CertificateDer::from(&*authority.certificate);
        (*number, Fingerprint::of(&certificate))
    })
}

/// By which the cluster knows the operator's token.
pub(super) fn operator_digest(token: &[u8]) -> Digest {
    digest(&sha256(token))
}

/// By which the cluster knows a node's key.
pub(super) fn key_digest(key: &PublicKey) -> Digest {
    digest(&sha256(key.as_bytes()))
}

/// By which the cluster knows the secret of a join token.
pub(super) fn secret_digest(secret: &[u8]) -> Digest {
    digest(&sha256(secret))
}

fn digest(bytes: &[u8; 32]) -> Digest {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // 64 lowercase digits are a digest.
    Digest::parse(&hex).unwrap_or_else(|| unreachable!("{hex} is a digest"))
}

pub(super) fn instant(at: SystemTime) -> Time {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
