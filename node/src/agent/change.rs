//! What changes when a node becomes a member of a cluster, in the order that survives a crash.

use std::io;
use std::sync::Arc;

use fleet_trust::CertificateDer;

use super::Agent;
use crate::config::{
    Endpoint, FirstStart, Identity, IdentityError, Node, NodeError, Peers, RolesError, Seat,
    SeatError,
};
use crate::control::backup::BackupError;
use crate::trust::{Certified, FilesError, write_authorities};

/// Why a node could not become, or stop being, a member.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChangeError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error(transparent)]
    Seat(#[from] SeatError),
    #[error(transparent)]
    Trust(#[from] FilesError),
    #[error("failed making keys and certificates")]
    Keys(#[from] fleet_trust::AuthorityError),
    #[error(transparent)]
    Token(#[from] fleet_trust::TokenError),
    #[error("the cluster answered without a certificate")]
    NoCertificate,
    #[error("failed writing what a first start needs")]
    FirstStart(#[source] io::Error),
    #[error("failed writing the addresses of the control nodes")]
    Peers(#[source] io::Error),
    #[error("failed reading back what was written")]
    Read(#[from] NodeError),
    #[error(transparent)]
    Roles(#[from] RolesError),
    #[error("the first node of a cluster needs the control role")]
    NeedsControl,
    #[error("{0:?} is not a node name: lowercase letters, digits and dashes, at most 63")]
    Name(String),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error("failed beginning the log anew")]
    Anew(#[source] anyhow::Error),
    #[error("this node has no control role and holds no copy of the cluster")]
    NoControl,
    #[error("{}", quorum(answering, *voters))]
    Quorum {
        answering: Vec<String>,
        voters: usize,
    },
    #[error("this node belongs to no cluster")]
    NoMember,
    #[error("no address of a control node was given that could be understood")]
    NoAddress,
    #[error("no control node could be reached: {0}")]
    Unreachable(String),
    #[error("the cluster refused: {}", .0.message())]
    Refused(Box<tonic::Status>),
    #[error("the holder could not be asked")]
    Holder(#[from] crate::holder::Error),
    #[error("failed removing {path}")]
    Remove {
        path: std::path::PathBuf,
        source: io::Error,
    },
}

fn quorum(answering: &[String], voters: usize) -> String {
    if answering.is_empty() {
        return "this node is the only voter: it has a quorum by itself".to_owned();
    }
    format!(
        "the quorum is not lost: with this node, {} of {voters} voters answer ({})",
        answering.len() + 1,
        answering.join(", ")
    )
}

/// Writes everything down, the identity last: before it is there, the node is still free, and
/// whoever asked may ask again; once it is there, everything else is.
pub(super) fn become_member(
    agent: &Agent,
    identity: Identity,
    certified: &Certified,
    authorities: &[CertificateDer<'static>],
    control: Vec<Endpoint>,
    first_start: FirstStart,
) -> Result<Arc<Node>, ChangeError> {
    let paths = &agent.paths;
    write_authorities(paths, authorities)?;
    certified.write(paths)?;
    Peers { control }.write(paths).map_err(ChangeError::Peers)?;
    first_start
        .announce(paths)
        .map_err(ChangeError::FirstStart)?;
    Seat::record(paths)?;
    identity.write(paths)?;
    let node = Arc::new(Node::load(agent.settings.clone())?);
    agent.node.send_replace(Some(node.clone()));
    Ok(node)
}
