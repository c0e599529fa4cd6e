//! What making a build said, followed until it is made.

use std::{pin::Pin, sync::Arc};

use fleet_model::{State, build::Build, event::Kind, ids::BuildId, reference};
use fleet_proto::v1::{self, builds_client::BuildsClient};
use futures::Stream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::super::{instant, progress::deposed, resolve};
use crate::control::{
    Context,
    builds::log::{Line, Reader, is_logged},
    forward,
    refusal::{rejected, unavailable, unread},
};

/// Messages that may wait for a slow reader.
const QUEUE: usize = 16;

pub(super) type Lines = Pin<Box<dyn Stream<Item = Result<v1::BuildLogsResponse, Status>> + Send>>;

pub(super) async fn follow(
    context: &Arc<Context>,
    asked: v1::BuildLogsRequest,
) -> Result<Lines, Status> {
    let state = context.read(asked.stale).await.map_err(unread)?;
    let app = resolve::app(&state, &asked.app)?;
    let found = reference::build(&state, &app, &asked.build).map_err(|r| rejected(&r))?;
    if !is_logged(found) {
        let all = history(&state, found);
        return Ok(Box::pin(futures::stream::iter([Ok(all)])));
    }
    // What a step says while it runs, the leader hears.
    if found.due().is_some()
        && let Some(peer) = forward::leader(context).await?
    {
        let lines = BuildsClient::new(peer).logs(asked).await?.into_inner();
        return Ok(Box::pin(lines));
    }
    let (tell, following) = mpsc::channel(QUEUE);
    let reader = Reader::new(context.clone(), found.id.clone(), asked.offset);
    tokio::spawn(read(context.clone(), found.id.clone(), reader, tell));
    Ok(Box::pin(ReceiverStream::new(following)))
}

/// Of a build without a step, its history says all there is.
fn history(state: &State, build: &Build) -> v1::BuildLogsResponse {
    let lines = state
        .events
        .values()
        .filter(|event| event.kind == Kind::Build && event.subject == build.name)
        .filter(|event| event.at >= build.created)
        .map(|event| v1::BuildLogLine {
            at: Some(instant(event.at)),
            text: event.message.clone(),
        });
    v1::BuildLogsResponse {
        lines: lines.collect(),
        offset: 0,
        r#final: true,
    }
}

async fn read(
    context: Arc<Context>,
    build: BuildId,
    mut reader: Reader,
    tell: mpsc::Sender<Result<v1::BuildLogsResponse, Status>>,
) {
    let mut states = context.state.clone();
    let mut sayings = context.board.sayings();
    let mut leadership = context.consensus.leadership();
    loop {
        sayings.borrow_and_update();
        let state = states.borrow_and_update().clone();
        let runs = state.builds.get(&build).is_some_and(|b| b.due().is_some());
        let lines = reader.next(&state).await;
        let message = match lines.last() {
            Some(last) => Some(response(&lines, last.end)),
            None if !runs => Some(v1::BuildLogsResponse {
                r#final: true,
                ..v1::BuildLogsResponse::default()
            }),
            None => None,
        };
        if let Some(message) = message {
            let over = message.r#final;
            if tell.send(Ok(message)).await.is_err() || over {
                return;
            }
            continue;
        }
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            _ = sayings.changed() => {}
            () = tell.closed() => return,
            () = deposed(&mut leadership) => {
                let _ = tell.send(Err(unavailable("the leader changed; ask again"))).await;
                return;
            }
        }
    }
}

fn response(lines: &[Line], offset: u64) -> v1::BuildLogsResponse {
    let line = |line: &Line| v1::BuildLogLine {
        at: (line.at > 0).then_some(v1::Instant { unix_ms: line.at }),
        text: line.text.clone(),
    };
    v1::BuildLogsResponse {
        lines: lines.iter().map(line).collect(),
        offset,
        r#final: false,
    }
}
