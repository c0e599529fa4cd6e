//! `cluster restore` and `cluster recover`: asked of the daemon of this machine.

use std::path::Path;

use fleet_proto::v1::restore_request::Part;
use fleet_proto::v1::{LocalStatusRequest, RecoverRequest, RestoreHead, RestoreRequest};
use tokio::io::AsyncReadExt as _;

use crate::commands::node::local::{answered, daemon};
use crate::commands::source::bytes_meter;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{RecoveredView, RestoredView};

/// Bytes in one message.
const CHUNK: usize = 256 * 1024;

pub(super) async fn restore(
    session: &mut Session,
    file: &Path,
    name: Option<String>,
) -> Result<(), Failure> {
    let path = session.surroundings.directory.join(file);
    let unreadable = |error: &std::io::Error| {
        Failure::new(
            Exit::NotFound,
            "UNREADABLE",
            format!("cannot read {}: {error}", path.display()),
        )
    };
    let file = tokio::fs::File::open(&path).await;
    let file = file.map_err(|error| unreadable(&error))?;
    let size = file
        .metadata()
        .await
        .map_err(|error| unreadable(&error))?
        .len();
    let meter = (session.console.errors_are_terminal && !session.console.is_json())
        .then(|| bytes_meter(Some(size)));
    let head = Part::Head(RestoreHead {
        name: name.unwrap_or_default(),
    });
    let head = futures::stream::once(async move { request(head) });
    let sent = meter.clone();
    // A file that cannot be read further ends early, and is refused for what it lacks.
    let chunks = futures::stream::unfold(file, move |mut file| {
        let sent = sent.clone();
        async move {
            let mut chunk = Vec::with_capacity(CHUNK);
            let mut limited = (&mut file).take(CHUNK as u64);
            let read = limited.read_to_end(&mut chunk).await.ok()?;
            if let Some(sent) = sent {
                sent.inc(read as u64);
            }
            (read > 0).then(|| (request(Part::Chunk(chunk.into())), file))
        }
    });
    let mut daemon = daemon(session).await?;
    let parts = futures::StreamExt::chain(head, chunks);
    let answer = answered(session, daemon.restore(parts)).await;
    if let Some(meter) = meter {
        meter.finish_and_clear();
    }
    session
        .console
        .result(&RestoredView::from(&answer?), RestoredView::text)
}

fn request(part: Part) -> RestoreRequest {
    RestoreRequest { part: Some(part) }
}

pub(super) async fn recover(session: &mut Session, no_confirm: bool) -> Result<(), Failure> {
    let mut daemon = daemon(session).await?;
    if !no_confirm {
        let about = answered(session, daemon.status(LocalStatusRequest {})).await?;
        let question = format!(
            "Every other control node is given up. Type the name of this node ({}) to go on alone",
            about.name
        );
        session.confirm(&about.name, &question)?;
    }
    let answer = answered(session, daemon.recover(RecoverRequest {})).await?;
    session
        .console
        .result(&RecoveredView::from(&answer), RecoveredView::text)
}
