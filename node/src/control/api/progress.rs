//! `fleet.v1.Progress`: waiting for what a command began, with every line of what happens meanwhile.

mod routed;
mod story;
mod wanted;

use std::{pin::Pin, sync::Arc};

use fleet_model::{State, event::Event, goal::Progress, report::Waiting};
use fleet_proto::v1::{
    self, ProgressLine, ProgressOutcome, progress_client::ProgressClient, progress_server,
};
use futures::{Stream, StreamExt as _};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use self::{story::Story, wanted::Wanted};
use super::{describe, events, instant, message};
use crate::{
    consensus::Leadership,
    control::{
        Context,
        builds::log::Reader,
        forward,
        refusal::{unavailable, unread},
    },
};

/// Lines that may wait for a slow reader.
const QUEUE: usize = 64;

pub(crate) struct Api(pub(super) Arc<Context>);

type Lines = Pin<Box<dyn Stream<Item = Result<ProgressLine, Status>> + Send>>;

#[tonic::async_trait]
impl progress_server::Progress for Api {
    type WaitStream = Lines;

    async fn wait(
        &self,
        request: Request<v1::WaitRequest>,
    ) -> Result<Response<Self::WaitStream>, Status> {
        let asked = message(request);
        // What is waited for is in the leader's last plan.
        if let Some(peer) = forward::leader(&self.0).await? {
            let lines = ProgressClient::new(peer).wait(asked).await;
            let lines = lines.map_err(forward::relayed)?.into_inner();
            let lines = lines.map(|line| line.map_err(forward::relayed));
            return Ok(Response::new(Box::pin(lines)));
        }
        let state = self.0.read(false).await.map_err(unread)?;
        let target = asked.target.unwrap_or_default();
        if target.goal() == v1::WaitGoal::Routed {
            let (lines, following) = mpsc::channel(QUEUE);
            tokio::spawn(routed::tell(self.0.clone(), state.generation, lines));
            return Ok(Response::new(Box::pin(ReceiverStream::new(following))));
        }
        let wanted = Wanted::find(&state, &target)?;
        let log = wanted
            .build()
            .map(|build| Reader::new(self.0.clone(), build.clone(), target.log_offset));
        let since = match target.since_index {
            0 => state.index,
            since => since,
        };
        let (lines, following) = mpsc::channel(QUEUE);
        tokio::spawn(tell(self.0.clone(), wanted, log, since, lines));
        Ok(Response::new(Box::pin(ReceiverStream::new(following))))
    }
}

/// Sends lines until the goal is reached or missed, or this node no longer leads.
async fn tell(
    context: Arc<Context>,
    wanted: Wanted,
    mut log: Option<Reader>,
    mut since: u64,
    lines: mpsc::Sender<Result<ProgressLine, Status>>,
) {
    let mut states = context.state.clone();
    let mut reports = context.waiting.subscribe();
    let mut sayings = context.board.sayings();
    let mut leadership = context.consensus.leadership();
    let mut last_wait: Option<(Vec<String>, u32)> = None;
    let mut story = Story::new(&wanted, &context.snapshot(), since);
    loop {
        sayings.borrow_and_update();
        let state = states.borrow_and_update().clone();
        let waiting = reports.borrow_and_update().clone();
        let progress = wanted.progress(&state);
        let mut news: Vec<ProgressLine> = events::since(&state, since)
            .filter(|event| wanted.concerns(event))
            .map(|event| happened(event, &wanted, &progress))
            .collect();
        news.extend(story.steps(&state, &progress));
        // History and story tell of the same moments; a stable sort keeps cause before effect.
        news.sort_by_key(|line| line.at.map(|at| at.unix_ms));
        since = state.index;
        for line in news.drain(..) {
            if lines.send(Ok(line)).await.is_err() {
                return;
            }
        }
        // All that a step said comes before the sentence that it has ended.
        if let Some(log) = &mut log
            && said(log, &state, &lines).await.is_err()
        {
            return;
        }
        match end(&context, &state, &progress) {
            Some(end) => news.push(end),
            None => {
                let line = still(&context, &state, &wanted, &progress, &waiting);
                let now = (line.waiting_for.clone(), line.done);
                if last_wait.as_ref() != Some(&now) {
                    last_wait = Some(now);
                    news.push(line);
                }
            }
        }
        for line in news {
            let over = line.r#final;
            if lines.send(Ok(line)).await.is_err() || over {
                return;
            }
        }
        tokio::select! {
            changed = states.changed() => if changed.is_err() { return },
            _ = reports.changed() => {}
            _ = sayings.changed(), if log.is_some() => {}
            () = lines.closed() => return,
            () = deposed(&mut leadership) => {
                let moved = unavailable("the leader changed; ask again");
                let _ = lines.send(Err(moved)).await;
                return;
            }
        }
    }
}

/// Sends what a build step has said by now; an error when nobody listens any more.
async fn said(
    log: &mut Reader,
    state: &State,
    lines: &mpsc::Sender<Result<ProgressLine, Status>>,
) -> Result<(), ()> {
    loop {
        let said = log.next(state).await;
        if said.is_empty() {
            return Ok(());
        }
        for line in said {
            let line = ProgressLine {
                at: (line.at > 0).then_some(v1::Instant { unix_ms: line.at }),
                text: line.text,
                source: "build".to_owned(),
                phase: "building".to_owned(),
                log_offset: line.end,
                ..ProgressLine::default()
            };
            lines.send(Ok(line)).await.map_err(drop)?;
        }
    }
}

/// Resolves once this node no longer leads.
pub(super) async fn deposed(leadership: &mut watch::Receiver<Leadership>) {
    // The guard of the answer must not live across an await of the caller.
    let _ = leadership
        .wait_for(|leadership| !leadership.is_self)
        .await
        .is_ok();
}

fn happened(event: &Event, wanted: &Wanted, progress: &Progress) -> ProgressLine {
    let (source, text) = if wanted.tells_steps() {
        (story::source(event), story::sentence(event))
    } else {
        (String::new(), event.message.clone())
    };
    ProgressLine {
        at: Some(instant(event.at)),
        text,
        source,
        phase: phase(progress).to_owned(),
        log_index: event.index,
        ..ProgressLine::default()
    }
}

fn still(
    context: &Context,
    state: &State,
    wanted: &Wanted,
    progress: &Progress,
    waiting: &[Waiting],
) -> ProgressLine {
    let relevant = waiting
        .iter()
        .filter(|waiting| waiting.environment.as_ref() == wanted.environment());
    let waiting_for: Vec<String> = match wanted.left(state) {
        Some(left) => left,
        None => relevant.map(|w| describe::sentence(w).text).collect(),
    };
    let (done, total) = match progress {
        Progress::Pending { done, total, .. } => (*done, *total),
        Progress::Reached(_) | Progress::Missed(_) => (0, 0),
    };
    ProgressLine {
        at: Some(instant(context.now())),
        text: waiting_for.first().cloned().unwrap_or_default(),
        phase: phase(progress).to_owned(),
        waiting_for,
        log_index: state.index,
        done,
        total,
        ..ProgressLine::default()
    }
}

fn end(context: &Context, state: &State, progress: &Progress) -> Option<ProgressLine> {
    let (outcome, text) = match progress {
        Progress::Pending { .. } => return None,
        Progress::Reached(text) => (ProgressOutcome::Ok, text),
        Progress::Missed(reason) => (ProgressOutcome::Failed, reason),
    };
    Some(ProgressLine {
        at: Some(instant(context.now())),
        text: text.clone(),
        r#final: true,
        outcome: outcome.into(),
        log_index: state.index,
        ..ProgressLine::default()
    })
}

fn phase(progress: &Progress) -> &'static str {
    match progress {
        Progress::Pending { phase, .. } => phase,
        Progress::Reached(_) | Progress::Missed(_) => "",
    }
}
