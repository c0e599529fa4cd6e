//! From what lies on this machine to an artefact that the cluster holds, step by step.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::connection::Artefact;
use crate::failure::Failure;
use crate::package::{Package, Source, pack};
use crate::session::Session;

/// How often the count of bytes sent is drawn.
const REDRAW: Duration = Duration::from_millis(100);

/// Where steps are told: the two predecessors differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// As the result, in fixed words (`fleet build`).
    Result,
    /// Beside the result, with sizes (`fleet release create`).
    Beside,
}

impl Steps {
    fn begin(self, session: &mut Session, text: &str) -> Result<(), Failure> {
        match self {
            Self::Result => session.console.step(text),
            Self::Beside => {
                if !session.console.is_json() {
                    session.console.remark_part(text);
                }
                Ok(())
            }
        }
    }

    fn end<T>(
        self,
        session: &mut Session,
        ended: &Result<T, Failure>,
        detail: &str,
    ) -> Result<(), Failure> {
        match self {
            Self::Result => session.console.end_step(ended),
            Self::Beside => {
                if !session.console.is_json() {
                    let done = format!("OK{detail}");
                    session
                        .console
                        .remark(if ended.is_ok() { &done } else { "" });
                }
                Ok(())
            }
        }
    }
}

/// Makes the artefact.
pub(super) async fn packed(
    session: &mut Session,
    source: Source,
    steps: Steps,
) -> Result<Package, Failure> {
    steps.begin(session, "Packaging source... ")?;
    let packing = tokio::task::spawn_blocking(move || pack(&source)).await;
    let packing = packing.unwrap_or_else(|error| Err(Failure::failed(error.to_string())));
    steps.end(session, &packing, "")?;
    packing
}

/// Sends the artefact unless the cluster holds it.
pub(super) async fn uploaded(
    session: &mut Session,
    package: &Package,
    steps: Steps,
) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let artefact = Artefact {
        sha256: package.sha256.clone(),
        size: package.size,
    };
    let sent = Arc::new(AtomicU64::new(0));
    let bar = (session.console.errors_are_terminal && !session.console.is_json())
        .then(|| bytes_meter(Some(package.size)));
    steps.begin(session, "Uploading source... ")?;
    let sending = connection.upload(&artefact, package.path(), sent.clone());
    let drawing = async {
        let mut ticks = tokio::time::interval(REDRAW);
        loop {
            ticks.tick().await;
            if let Some(bar) = &bar {
                bar.set_position(sent.load(Ordering::Relaxed));
            }
        }
    };
    let uploaded = tokio::select! {
        uploaded = sending => uploaded,
        () = drawing => Ok(false),
    };
    if let Some(bar) = &bar {
        bar.finish_and_clear();
    }
    let detail = match uploaded {
        Ok(true) => format!(", {}", HumanBytes(package.size)),
        _ => ", already there".to_owned(),
    };
    steps.end(session, &uploaded, &detail)?;
    uploaded.map(|_| ())
}

/// Of bytes on their way: `None` where nobody knows how many there will be.
pub(super) fn bytes_meter(size: Option<u64>) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
    let template = match size {
        Some(_) => "{bar:30} {bytes}/{total_bytes} {eta}",
        None => "{bytes} {bytes_per_sec}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}
