//! What every mutation does with its receipt: remarks, the message, and waiting.

use fleet_proto::v1::Receipt;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::escape;
use crate::progress;
use crate::session::Session;

/// A mutation's answer for programs.
#[derive(Debug, Serialize)]
struct ReceiptView {
    message: String,
    app: String,
    environment: String,
    release: String,
    release_id: String,
    log_index: u64,
    repeated_request: bool,
    changed: bool,
    notices: Vec<String>,
    /// Whether `--wait` saw it through.
    waited: bool,
    /// What the wait ended with.
    outcome: Option<String>,
}

/// As [`settle`], waiting when `--wait` says so.
pub(crate) async fn tell(
    session: &mut Session,
    receipt: Option<Receipt>,
    message: impl FnOnce(&Receipt) -> String,
) -> Result<(), Failure> {
    let wait = session.globals.wait;
    settle(session, receipt, message, wait).await
}

/// As [`tell`], for a command that has told its message as a step already.
pub(crate) async fn settle_step(
    session: &mut Session,
    receipt: Option<Receipt>,
    message: &str,
) -> Result<(), Failure> {
    let receipt = receipt.unwrap_or_default();
    if !session.console.is_json() {
        notices(session, &receipt);
    }
    let wait = session.globals.wait;
    finish(session, receipt, message.to_owned(), wait).await
}

/// Prints the message at once, waits if that is wanted and something goes on.
pub(crate) async fn settle(
    session: &mut Session,
    receipt: Option<Receipt>,
    message: impl FnOnce(&Receipt) -> String,
    wait: bool,
) -> Result<(), Failure> {
    let receipt = receipt.unwrap_or_default();
    let message = if receipt.unchanged {
        "Nothing to change".to_owned()
    } else {
        message(&receipt)
    };
    if !session.console.is_json() {
        session.console.write(&format!("{}\n", escape(&message)))?;
        notices(session, &receipt);
    }
    finish(session, receipt, message, wait).await
}

async fn finish(
    session: &mut Session,
    receipt: Receipt,
    message: String,
    wait: bool,
) -> Result<(), Failure> {
    let mut outcome = None;
    if let Some(target) = receipt.wait.clone().filter(|_| wait) {
        let last = progress::wait(session, target).await?;
        outcome = Some(last.text);
    }
    let view = ReceiptView {
        message,
        app: receipt.app,
        environment: receipt.environment,
        release: receipt.release,
        release_id: receipt.release_id,
        log_index: receipt.log_index,
        repeated_request: receipt.repeated_request,
        changed: !receipt.unchanged,
        notices: receipt.notices,
        waited: outcome.is_some(),
        outcome,
    };
    session.console.document(&view)
}

/// Remarks of the cluster, beside the result.
pub(crate) fn notices(session: &mut Session, receipt: &Receipt) {
    for notice in &receipt.notices {
        session.console.remark(&format!("note: {notice}"));
    }
}
