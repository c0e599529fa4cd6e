//! Waiting until every live ingress routes by what a command has changed.

use std::{sync::Arc, time::Duration};

use fleet_model::{plan::ingress::Ingresses, report::Reason};
use fleet_proto::v1::{ProgressLine, ProgressOutcome};
use tokio::sync::mpsc;
use tonic::Status;

use super::super::instant;
use crate::control::{Context, refusal::unavailable};

/// Ingresses answer within milliseconds. What they say wakes the planner alone, so it is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// Tells which ingresses are still waited for, until none is or this node no longer leads. A silent
/// one is not waited for, but named: it may go on by an older table until it is heard again.
pub(super) async fn tell(
    context: Arc<Context>,
    generation: u64,
    lines: mpsc::Sender<Result<ProgressLine, Status>>,
) {
    let mut leadership = context.consensus.leadership();
    let mut every = tokio::time::interval(LOOK);
    let mut last = String::new();
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = lines.closed() => return,
            () = super::deposed(&mut leadership) => {
                let moved = unavailable("the leader changed; ask again");
                let _ = lines.send(Err(moved)).await;
                return;
            }
        }
        let line = look(&context, generation);
        let over = line.r#final;
        if over || line.text != last {
            last.clone_from(&line.text);
            if lines.send(Ok(line)).await.is_err() || over {
                return;
            }
        }
    }
}

fn look(context: &Context, generation: u64) -> ProgressLine {
    let (state, load, now) = (context.snapshot(), context.board.load(), context.now());
    let ingresses = Ingresses::of(&state, &load, now);
    let line = ProgressLine {
        at: Some(instant(now)),
        phase: "confirming".to_owned(),
        log_index: state.index,
        ..ProgressLine::default()
    };
    let nodes = ingresses.unconfirmed(generation);
    if !nodes.is_empty() {
        let text = Reason::Unconfirmed { generation, nodes }.to_string();
        return ProgressLine {
            waiting_for: vec![text.clone()],
            text,
            ..line
        };
    }
    let silent = ingresses.holding(generation);
    let silent: Vec<&str> = silent.iter().map(|node| node.name.as_str()).collect();
    let text = match silent.is_empty() {
        true => "every ingress has confirmed it".to_owned(),
        false => format!(
            "every ingress that is heard has confirmed it; {} is silent and may go on as before",
            silent.join(", ")
        ),
    };
    ProgressLine {
        text,
        phase: String::new(),
        r#final: true,
        outcome: ProgressOutcome::Ok.into(),
        ..line
    }
}
