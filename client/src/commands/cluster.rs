//! `cluster`: its state as a whole, in sight, in a file, and out of one.

mod anew;
mod backup;

use fleet_proto::v1::ClusterStatusRequest;
use fleet_proto::v1::cluster_client::ClusterClient;

use crate::args::{BackupArgs, BackupVerb, ClusterVerb};
use crate::failure::Failure;
use crate::session::Session;
use crate::view::ClusterView;

pub(super) async fn run(session: &mut Session, verb: ClusterVerb) -> Result<(), Failure> {
    match verb {
        ClusterVerb::Status => status(session).await,
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
