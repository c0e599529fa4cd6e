//! `cluster`: its state as a whole, in sight, in a file, and out of one.

mod anew;
mod backup;

use fleet_proto::v1::cluster_client::ClusterClient;
use fleet_proto::v1::trust_client::TrustClient;
use fleet_proto::v1::{ClusterStatusRequest, RotateAuthorityRequest};

use crate::args::{BackupArgs, BackupVerb, CaVerb, ClusterVerb};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::output::escape;
use crate::session::Session;
use crate::view::ClusterView;

pub(super) async fn run(session: &mut Session, verb: ClusterVerb) -> Result<(), Failure> {
    match verb {
        ClusterVerb::Status => status(session).await,
        ClusterVerb::Ca(CaVerb::Rotate) => rotate(session).await,
        ClusterVerb::Backup(BackupArgs {
            verb: Some(BackupVerb::Schedule { every, keep, dir }),
            ..
        }) => backup::schedule(session, every, keep, dir).await,
        ClusterVerb::Backup(BackupArgs {
            verb: Some(BackupVerb::List),
            ..
        }) => backup::list(session).await,
        ClusterVerb::Backup(BackupArgs {
            file,
            with_artefacts,
            ..
        }) => backup::take(session, &file.unwrap_or_default(), with_artefacts).await,
        ClusterVerb::Restore { file, name } => anew::restore(session, &file, name).await,
        ClusterVerb::Recover { no_confirm, .. } => anew::recover(session, no_confirm).await,
    }
}

async fn rotate(session: &mut Session) -> Result<(), Failure> {
    let command = RotateAuthorityRequest {
        request_id: Connection::request_id(),
    };
    let answer = session
        .write(command, |c, r| async move {
            TrustClient::new(c).rotate_authority(r).await
        })
        .await?;
    let view = serde_json::json!({ "ca_fingerprint": answer.authority });
    session.console.result(&view, |_| {
        format!(
            "A new authority, fingerprint {}\n\
             Nodes learn to believe it, then get new certificates: fleet cluster status\n",
            escape(&answer.authority)
        )
    })
}

async fn status(session: &mut Session) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let answer = connection
        .read(ClusterStatusRequest {}, |c, r| async move {
            ClusterClient::new(c).status(r).await
        })
        .await?;
    session
        .console
        .result(&ClusterView::from(&answer), ClusterView::text)
}
