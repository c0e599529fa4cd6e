//! Runs the planner on the leader: whenever the state or what was heard changed, or the last plan
//! asked to be woken. Nothing is decided here.
//!
//! Measures come all the time and change little: what they alone may ask for is planned once a second
//! at most, and without the rest of the plan. A cluster in which no count follows the load has none.

use std::{sync::Arc, time::Duration};

use fleet_model::{Command, State, command::Code, plan, report::Waiting};
use futures::future::join_all;
use tokio::{sync::watch, time::Instant};

use super::{Context, context::Refused};

/// Rest after a plan none of whose commands had an effect, so that a disagreement between planner
/// and domain costs a line in the log and not a core.
const REST: Duration = Duration::from_millis(250);

/// Between two looks at what was measured. Agents and ingresses speak each second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Between two times that what was measured of what is gone is forgotten.
const FORGET_EVERY: Duration = Duration::from_secs(30);

pub(super) async fn run(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let mut leadership = context.consensus.leadership();
    loop {
        let term = tokio::select! {
            _ = stopped.changed() => return,
            leads = leadership.wait_for(|leadership| leadership.is_self) => match leads {
                Ok(leadership) => leadership.term,
                Err(_) => return,
            },
        };
        tracing::info!(term, "this node leads");
        context.board.reset(context.now());
        tokio::select! {
            _ = stopped.changed() => return,
            _ = leadership.wait_for(|l| !l.is_self || l.term != term) => {}
            () = lead(&context) => {}
        }
        context.waiting.send_replace(Arc::default());
        tracing::info!(term, "this node no longer leads");
    }
}

async fn lead(context: &Context) {
    // Everything earlier leaders committed must be applied before it is planned on.
    while let Err(error) = context.consensus.read_barrier().await {
        tracing::debug!(%error, "waiting for a quorum before planning");
        tokio::time::sleep(REST).await;
    }
    let mut state = context.state.clone();
    let mut forgot = Instant::now();
    loop {
        let snapshot = state.borrow_and_update().clone();
        if forgot.elapsed() >= FORGET_EVERY {
            forgot = Instant::now();
            context.board.forget_measures(&snapshot);
        }
        let now = context.now();
        let plan = plan::plan(&snapshot, &context.board.look(now), now);
        publish(context, plan.waiting);
        if !plan.commands.is_empty() {
            if carry_out(context, &plan.commands).await == 0 {
                tokio::time::sleep(REST).await;
            }
            continue;
        }
        let wake = plan.next_wake.map_or(Duration::from_secs(3600), |at| {
            Duration::from_millis(at.since(context.now()).0)
        });
        let commands = tokio::select! {
            changed = state.changed() => match changed {
                Ok(()) => Vec::new(),
                Err(_) => return,
            },
            () = context.board.news() => Vec::new(),
            () = tokio::time::sleep(wake) => Vec::new(),
            commands = followed(context, &snapshot) => commands,
        };
        carry_out(context, &commands).await;
    }
}

/// Looks at what was measured until counts shall follow it. `state` is the newest.
async fn followed(context: &Context, state: &State) -> Vec<Command> {
    loop {
        // The rest first: the plan before this has just looked.
        tokio::time::sleep(LOOK_EVERY).await;
        context.board.measured().await;
        let now = context.now();
        let commands = plan::rescale(state, &context.board.look(now), now);
        if !commands.is_empty() {
            return commands;
        }
    }
}

/// Commits what was planned; answers how many commands had an effect.
async fn carry_out(context: &Context, commands: &[Command]) -> usize {
    let answers = join_all(commands.iter().map(|command| context.act(command))).await;
    let mut effective = 0;
    for (command, answer) in commands.iter().zip(answers) {
        match answer {
            Ok(_) => effective += 1,
            Err(Refused::Rejected(rejection)) if rejection.code == Code::Stale => {
                tracing::debug!(%rejection, "a planned step was overtaken");
            }
            Err(error) => tracing::warn!(%error, ?command, "a planned step was not taken"),
        }
    }
    effective
}

fn publish(context: &Context, waiting: Vec<Waiting>) {
    context.waiting.send_if_modified(|before| {
        let news = **before != waiting;
        if news {
            *before = Arc::new(waiting);
        }
        news
    });
}
