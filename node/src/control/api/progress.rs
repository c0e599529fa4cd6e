//! `fleet.v1.Progress`: waiting for what a command began, with every line of what happens meanwhile.

use std::{pin::Pin, sync::Arc};

use fleet_model::{
    State,
    event::{Event, Kind},
    goal::{Goal, Progress},
    ids::{BuildId, RolloutId},
    reference,
    report::Waiting,
};
use fleet_proto::v1::{
    self, ProgressLine, ProgressOutcome, WaitGoal, progress_client::ProgressClient, progress_server,
};
use futures::Stream;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{describe, events, instant, message, resolve};
use crate::{
    consensus::Leadership,
    control::{
        Context, forward,
        refusal::{invalid, rejected, unavailable, unread},
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
            let lines = ProgressClient::new(peer).wait(asked).await?.into_inner();
            return Ok(Response::new(Box::pin(lines)));
        }
        let state = self.0.read(false).await.map_err(unread)?;
        let target = asked.target.unwrap_or_default();
        let goal = goal(&state, &target)?;
        let since = match target.since_index {
            0 => state.index,
            since => since,
        };
        let (lines, following) = mpsc::channel(QUEUE);
        tokio::spawn(tell(self.0.clone(), goal, since, lines));
        Ok(Response::new(Box::pin(ReceiverStream::new(following))))
    }
}

/// Sends lines until the goal is reached or missed, or this node no longer leads.
async fn tell(
    context: Arc<Context>,
    goal: Goal,
    mut since: u64,
    lines: mpsc::Sender<Result<ProgressLine, Status>>,
) {
    let mut states = context.state.clone();
    let mut reports = context.waiting.subscribe();
    let mut leadership = context.consensus.leadership();
    let mut last_wait: Option<(Vec<String>, u32)> = None;
    loop {
        let state = states.borrow_and_update().clone();
        let waiting = reports.borrow_and_update().clone();
        let progress = goal.progress(&state);
        let mut news: Vec<ProgressLine> = events::since(&state, since)
            .filter(|event| concerns(&goal, event))
            .map(|event| happened(event, &progress))
            .collect();
        since = state.index;
        match end(&context, &state, &progress) {
            Some(end) => news.push(end),
            None => {
                let line = still(&context, &state, &goal, &progress, &waiting);
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
            () = lines.closed() => return,
            () = deposed(&mut leadership) => {
                let moved = unavailable("the leader changed; ask again");
                let _ = lines.send(Err(moved)).await;
                return;
            }
        }
    }
}

/// Resolves once this node no longer leads.
async fn deposed(leadership: &mut watch::Receiver<Leadership>) {
    // The guard of the answer must not live across an await of the caller.
    let _ = leadership
        .wait_for(|leadership| !leadership.is_self)
        .await
        .is_ok();
}

fn goal(state: &State, target: &v1::WaitTarget) -> Result<Goal, Status> {
    let app = resolve::app(state, &target.app)?;
    if target.goal() == WaitGoal::BuildAvailable {
        let id = match BuildId::parse(&target.release) {
            Some(id) => id,
            None => {
                let build = reference::build(state, &app, &target.release);
                build.map_err(|rejection| rejected(&rejection))?.id.clone()
            }
        };
        return Ok(Goal::BuildAvailable(id));
    }
    let key = resolve::environment_or_default(state, app.as_str(), &target.environment)?;
    let loaded = || resolve::loaded(state, &key, &target.release);
    let rollout = || match (target.rollout, state.rollouts.get(&key)) {
        (0, Some(rollout)) => rollout.id,
        (id, _) => RolloutId(id),
    };
    Ok(match target.goal() {
        WaitGoal::Loaded => Goal::Loaded(loaded()?),
        WaitGoal::Unloaded => Goal::Unloaded(loaded()?),
        WaitGoal::CountReached => Goal::CountReached(loaded()?),
        WaitGoal::Active | WaitGoal::Inactive => Goal::RolloutComplete(key.clone(), rollout()),
        WaitGoal::EnvironmentGone => Goal::Gone(key),
        WaitGoal::Unspecified | WaitGoal::EnvironmentRunning | WaitGoal::BuildAvailable => {
            return Err(invalid(
                "nothing that can be waited for is named",
                "take the wait target from the receipt of the command",
            ));
        }
    })
}

fn concerns(goal: &Goal, event: &Event) -> bool {
    match goal {
        Goal::BuildAvailable(_) => event.kind == Kind::Build,
        _ => event.environment.is_some() && event.environment.as_ref() == goal.environment(),
    }
}

fn happened(event: &Event, progress: &Progress) -> ProgressLine {
    ProgressLine {
        at: Some(instant(event.at)),
        text: event.message.clone(),
        phase: phase(progress).to_owned(),
        log_index: event.index,
        ..ProgressLine::default()
    }
}

fn still(
    context: &Context,
    state: &State,
    goal: &Goal,
    progress: &Progress,
    waiting: &[Waiting],
) -> ProgressLine {
    let environment = goal.environment();
    let relevant = waiting.iter().filter(|waiting| match goal {
        Goal::BuildAvailable(_) => waiting.environment.is_none(),
        _ => waiting.environment.as_ref() == environment,
    });
    let waiting_for: Vec<String> = relevant.map(|w| describe::sentence(w).text).collect();
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
