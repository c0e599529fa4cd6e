//! What `releases promote`, `releases rollback`, `deploy` and `env set --promote` have in common:
//! a rollout begins, and its story is told until it has ended.

use fleet_proto::v1::releases_client::ReleasesClient;
use fleet_proto::v1::{PromoteRequest, Receipt};

use super::receipt::notices;
use crate::args::PromoteOptions;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::progress;
use crate::session::Session;
use crate::view::PromotionView;

/// Promotes a release (empty: the newest) and sees it through.
pub(super) async fn promote(
    session: &mut Session,
    release: String,
    options: PromoteOptions,
) -> Result<PromotionView, Failure> {
    let command = PromoteRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment: session.environment(),
        release,
        force: options.force,
    };
    let answer = session
        .write(command, |c, r| async move {
            ReleasesClient::new(c).promote(r).await
        })
        .await?;
    let receipt = answer.receipt.unwrap_or_default();
    session
        .console
        .line(&format!("Promoting {}...", receipt.release_id))?;
    let view = PromotionView::begun(&receipt, answer.attached);
    see_through(session, receipt, view, options).await
}

/// Tells the story of the rollout that a receipt names, down to its `OK`.
pub(super) async fn see_through(
    session: &mut Session,
    receipt: Receipt,
    mut view: PromotionView,
    options: PromoteOptions,
) -> Result<PromotionView, Failure> {
    if !session.console.is_json() {
        notices(session, &receipt);
    }
    let wait = session.globals.wait || !options.no_wait;
    if let Some(target) = receipt.wait.clone().filter(|_| wait) {
        let rest = format!(
            "fleet releases promote {} --wait -e {} -a {}",
            receipt.release_id, receipt.environment, receipt.app
        );
        let last = progress::story(session, target, &rest).await?;
        view.outcome = Some(last.text);
    }
    session.console.line("OK")?;
    Ok(view)
}

/// As [`promote`], for commands whose whole result it is.
pub(super) async fn promote_and_show(
    session: &mut Session,
    release: String,
    options: PromoteOptions,
) -> Result<(), Failure> {
    let view = promote(session, release, options).await?;
    session.console.document(&view)
}
