//! A build step has ended on a worker: that is committed, once what it made is here.

use std::time::Duration;

use fleet_model::{
    Command,
    build::BuildStep,
    command::{BuildReport, Built},
    ids::{BuildId, Digest, NodeId},
};
use fleet_proto::internal::{BuildEnded, Object, build_ended::End};
use tonic::Status;

use crate::{
    blobs::{receive::blocking, store},
    control::{Context, context::Refused},
};

/// Rest before what found no quorum is proposed again.
const RETRY: Duration = Duration::from_millis(200);

/// Commits what `node` reports.
///
/// # Errors
/// The refusal that ends its session, so that it sends everything anew.
pub(in crate::control) async fn settle(
    context: &Context,
    node: NodeId,
    ended: BuildEnded,
) -> Result<(), Status> {
    let report = understood(context, node, ended)
        .ok_or_else(|| Status::invalid_argument("the end of a build step is unreadable"))?;
    while is_news(context, &report) {
        let made = match &report.end {
            Built::Artefact { digest, .. } => Some(digest),
            Built::Failed { .. } => None,
        };
        for digest in made
            .into_iter()
            .chain(report.log.as_ref().map(|log| &log.0))
        {
            if !is_here(context, digest).await? {
                let text =
                    format!("{digest}, which a build step is said to have made, is not here");
                return Err(Status::failed_precondition(text));
            }
        }
        match context.act(&Command::ReportBuild(report.clone())).await {
            Ok(_) | Err(Refused::Rejected(_)) => break,
            Err(error) => {
                tracing::debug!(%error, %node, "the end of a build step waits for a quorum");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
    Ok(())
}

/// Whether anybody still waits for this very attempt.
fn is_news(context: &Context, report: &BuildReport) -> bool {
    let state = context.snapshot();
    let due = state
        .builds
        .get(&report.build)
        .and_then(|build| build.due());
    let of = |step: &BuildStep| (step.node, step.attempt);
    due.is_some_and(|step| of(step) == (Some(report.node), report.attempt))
}

/// Looking starts its grace before collection anew.
async fn is_here(context: &Context, digest: &Digest) -> Result<bool, Status> {
    let (blobs, digest) = (context.blobs.clone(), digest.clone());
    let here = blocking(move || blobs.confirm(&digest)).await;
    here.map_err(|error: store::Error| Status::internal(error.to_string()))
}

fn understood(context: &Context, node: NodeId, ended: BuildEnded) -> Option<BuildReport> {
    let kept = |object: Object| Some((Digest::parse(&object.digest)?, object.size));
    let end = match ended.end? {
        End::Artefact(object) => {
            let (digest, size) = kept(object)?;
            Built::Artefact { digest, size }
        }
        End::Failed(failure) => Built::Failed {
            reason: failure.reason,
            output: failure.last_lines,
        },
    };
    Some(BuildReport {
        build: BuildId::parse(&ended.build_id)?,
        node,
        attempt: ended.attempt,
        holder: context.id(),
        log: ended.log.and_then(kept),
        end,
    })
}
