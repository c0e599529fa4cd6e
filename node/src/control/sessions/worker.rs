//! The session of a worker: what it sees goes into the log, what it shall do comes out of the state.

use std::{sync::Arc, time::Duration};

use fleet_model::{
    Command, State, Time,
    command::{NodeChange, Report},
    frontend::{Exit, Phase},
    ids::{BuildId, FrontendId, NodeId},
    node::{Capability, Facts, Lease, Role},
    scaling::FrontendUsage,
};
use fleet_proto::internal::{
    BuildEnded, BuildOutput, FrontendObserved, WorkerHello, WorkerOrder, WorkerReport, WorkerUsage,
    capability::Verdict, frontend_observed, worker_report, worker_sessions_server::WorkerSessions,
};
use tokio::sync::{mpsc, watch};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{QUEUE, admit, deposed, leading, removed, shown};
use crate::control::{
    Context,
    assignments::Said,
    board::{Incarnation, Twin},
    builds::{ended, orders::Told, output::Output},
    context::{Refused, control_addresses},
};

/// Rest before an observation that found no quorum is proposed again.
const RETRY: Duration = Duration::from_millis(200);

pub(crate) struct Sessions(pub(super) Arc<Context>);

#[tonic::async_trait]
impl WorkerSessions for Sessions {
    type SessionStream = ReceiverStream<Result<WorkerOrder, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<WorkerReport>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let context = self.0.clone();
        let term = leading(&context)?;
        let shown = shown(&request)?;
        let mut reports = request.into_inner();
        let hello = match reports.message().await?.and_then(|report| report.report) {
            Some(worker_report::Report::Hello(hello)) => hello,
            _ => return Err(Status::invalid_argument("a session begins with hello")),
        };
        let state = context.snapshot();
        let node = admit(
            &context,
            &state,
            shown,
            &hello.cluster_id,
            hello.node_id,
            Role::Worker,
        )?;
        let incarnation = Incarnation {
            boot: hello.boot_id.clone(),
            nonce: hello.session_nonce,
        };
        let opened = context
            .board
            .worker_opened(node, &incarnation, context.now());
        if let Err(twin) = opened {
            return Err(refuse_twin(&context, &state, node, &incarnation, twin).await);
        }
        tracing::info!(%node, known = hello.known.len(), "a worker opens its session");
        let (orders, outgoing) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let (observations, incoming) = mpsc::unbounded_channel();
            let _ = observations.send(hello.known.clone());
            let (endings, ended) = mpsc::unbounded_channel();
            let (beats, heartbeats) = watch::channel(0);
            let (confirmations, confirmed) = watch::channel(0);
            let news = News {
                observations,
                endings,
                beats,
            };
            let end = tokio::select! {
                status = deposed(&context, term) => Some(status),
                status = removed(&context, node) => Some(status),
                status = listen(&context, node, &hello, reports, news) => status,
                () = record(&context, node, incoming) => None,
                status = settle(&context, node, ended) => status,
                () = confirm(&context, term, heartbeats, confirmations) => None,
                () = order(&context, node, confirmed, orders.clone()) => None,
            };
            tracing::info!(%node, "the session of a worker ended");
            context.board.worker_closed(node, &incarnation);
            if let Some(status) = end {
                let _ = orders.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// The answer to a copy of a node; the history names it once.
async fn refuse_twin(
    context: &Context,
    state: &State,
    node: NodeId,
    incarnation: &Incarnation,
    twin: Twin,
) -> Status {
    if twin.new {
        let change = NodeChange::Twin {
            boot: incarnation.boot.clone(),
        };
        let command = Command::ChangeNode { node, change };
        if let Err(error) = context.act(&command).await {
            tracing::warn!(%error, %node, "the copy of a node was not recorded");
        }
    }
    let name = state.nodes.get(&node).map(|node| node.name.as_str());
    Status::already_exists(format!(
        "another machine speaks as node {} ({node}) now: if this disk is a copy of that one's, wipe \
         it and let it join as a new node: fleet node leave --force, then fleet node join",
        name.unwrap_or_default()
    ))
}

/// What is heard and must be committed.
struct News {
    observations: mpsc::UnboundedSender<Vec<FrontendObserved>>,
    endings: mpsc::UnboundedSender<BuildEnded>,
    /// The sequence of the latest heartbeat.
    beats: watch::Sender<u64>,
}

/// Hears the worker until its stream ends.
async fn listen(
    context: &Context,
    node: NodeId,
    hello: &WorkerHello,
    mut reports: Streaming<WorkerReport>,
    news: News,
) -> Option<Status> {
    context.board.worker(node, context.now());
    let facts = facts(hello);
    let known = context
        .snapshot()
        .nodes
        .get(&node)
        .and_then(|node| node.facts.clone());
    if known.as_ref() != Some(&facts) {
        let command = Command::RecordFacts { node, facts };
        if let Err(error) = context.act(&command).await {
            tracing::warn!(%error, %node, "what a worker says of itself was not recorded");
        }
    }
    while let Some(report) = reports.next().await {
        let report = match report {
            Ok(report) => report.report,
            Err(status) => {
                tracing::debug!(%status, %node, "the stream of a worker broke");
                return None;
            }
        };
        context.board.worker(node, context.now());
        match report {
            Some(worker_report::Report::Observed(seen)) => {
                news.observations.send(seen.frontends).ok()?;
            }
            Some(worker_report::Report::BuildOutput(said)) => hear(context, node, said),
            Some(worker_report::Report::BuildEnded(ended)) => {
                news.endings.send(ended).ok()?;
            }
            Some(worker_report::Report::Hello(_)) => {
                return Some(Status::invalid_argument("hello is said once"));
            }
            // After the board has heard of it: what is confirmed counts from then on.
            Some(worker_report::Report::Heartbeat(beat)) => {
                news.beats.send_replace(beat.sequence);
            }
            Some(worker_report::Report::Usage(usage)) => {
                let (state, now) = (context.snapshot(), context.now());
                context.board.usage(&state, node, now, &read(&usage));
            }
            None => {}
        }
    }
    None
}

fn read(usage: &WorkerUsage) -> Vec<FrontendUsage> {
    let of = |frontend: &fleet_proto::internal::FrontendUsage| FrontendUsage {
        frontend: FrontendId(frontend.frontend_id),
        sampled: Time(usage.sampled_boot_ms),
        cpu_usec: frontend.cpu_usec,
        memory_bytes: frontend.memory_bytes,
        processes: frontend.processes,
    };
    usage.frontends.iter().map(of).collect()
}

/// Keeps what a build step says, if it is the one that this worker shall run.
fn hear(context: &Context, node: NodeId, said: BuildOutput) {
    let state = context.snapshot();
    let Some(build) = BuildId::parse(&said.build_id) else {
        return;
    };
    let step = state.builds.get(&build).and_then(|build| build.due());
    if step.is_some_and(|step| (step.node, step.attempt) == (Some(node), said.attempt)) {
        context.board.output(Output {
            build,
            attempt: said.attempt,
            offset: said.offset,
            data: said.data,
            first: said.first,
        });
    }
    let runs = |build: &BuildId| state.builds.get(build).is_some_and(|b| b.due().is_some());
    context.board.forget_output(runs);
}

/// Commits how build steps end, until one cannot be believed.
async fn settle(
    context: &Context,
    node: NodeId,
    mut endings: mpsc::UnboundedReceiver<BuildEnded>,
) -> Option<Status> {
    while let Some(ended) = endings.recv().await {
        if let Err(status) = ended::settle(context, node, ended).await {
            return Some(status);
        }
    }
    None
}

/// Commits what the worker sees, in order; an observation is not lost while the session lives.
async fn record(
    context: &Context,
    node: NodeId,
    mut observations: mpsc::UnboundedReceiver<Vec<FrontendObserved>>,
) {
    while let Some(mut seen) = observations.recv().await {
        // Whatever else has arrived meanwhile shares the log entry.
        while let Ok(more) = observations.try_recv() {
            seen.extend(more);
        }
        let mut reports: Vec<Report> = seen.into_iter().filter_map(report).collect();
        while !reports.is_empty() {
            // The state is read anew each time: what was news may have been committed.
            let state = context.snapshot();
            reports.retain(|report| is_news(&state, node, report));
            if reports.is_empty() {
                break;
            }
            let command = Command::Observe {
                node,
                reports: reports.clone(),
            };
            match context.act(&command).await {
                Ok(_) | Err(Refused::Rejected(_)) => break,
                Err(error) => {
                    tracing::debug!(%error, %node, "an observation waits for a quorum");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

/// Two reports of one frontend in one batch are news together even if the second alone is not yet.
fn is_news(state: &State, node: NodeId, report: &Report) -> bool {
    report.is_news(state, node)
        || state
            .frontends
            .get(&report.frontend)
            .is_some_and(|frontend| frontend.observed.phase < report.phase)
}

/// Makes sure, after each heartbeat, that this node leads: a leader that was deposed unknowingly
/// must not keep a worker from believing that it is lost.
async fn confirm(
    context: &Context,
    term: u64,
    mut heartbeats: watch::Receiver<u64>,
    confirmed: watch::Sender<u64>,
) {
    while heartbeats.changed().await.is_ok() {
        let heard = *heartbeats.borrow_and_update();
        match context.consensus.leads_still(term).await {
            Ok(()) => drop(confirmed.send_replace(heard)),
            Err(error) => tracing::debug!(%error, "a heartbeat is not confirmed"),
        }
    }
    // The worker ended its stream; `listen` sees that, too.
    std::future::pending().await
}

/// Sends what the worker shall run: everything first, then what changes. A heartbeat is confirmed
/// together with whatever was committed before, and only to a worker that is ready in the log: one
/// that is not may be declared lost by a command that is on its way.
async fn order(
    context: &Context,
    node: NodeId,
    mut confirmed: watch::Receiver<u64>,
    orders: mpsc::Sender<Result<WorkerOrder, Status>>,
) {
    let mut states = context.state.clone();
    let state = states.borrow_and_update().clone();
    let (mut said, full) = Said::full(&state, node);
    let mut told = Told::default();
    let mut addresses = control_addresses(&state);
    let first = WorkerOrder {
        fence: Some(context.fence(&state)),
        control_addresses: addresses.clone(),
        order: Some(full),
        builds: told.news(&state, node),
        confirmed: None,
    };
    if orders.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        let confirms = tokio::select! {
            changed = states.changed() => match changed {
                Ok(()) => None,
                Err(_) => return,
            },
            Ok(()) = confirmed.changed() => Some(*confirmed.borrow_and_update()),
        };
        let state = states.borrow_and_update().clone();
        let Some(registered) = state.nodes.get(&node) else {
            // It was removed, and is told so where its session ends.
            return;
        };
        let confirms = confirms.filter(|_| registered.lease == Lease::Ready);
        let order = said.delta(&state, node);
        let builds = told.news(&state, node);
        let now = control_addresses(&state);
        if order.is_none() && builds.is_none() && confirms.is_none() && now == addresses {
            continue;
        }
        addresses = now;
        let next = WorkerOrder {
            fence: Some(context.fence(&state)),
            control_addresses: addresses.clone(),
            order,
            builds,
            confirmed: confirms,
        };
        if orders.send(Ok(next)).await.is_err() {
            return;
        }
    }
}

fn facts(hello: &WorkerHello) -> Facts {
    let capability = |rung: &fleet_proto::internal::Capability| Capability {
        name: rung.name.clone(),
        enforced: rung.verdict() == Verdict::Enforced,
        detail: rung.sentence.clone(),
    };
    Facts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        boot: hello.boot_id.clone(),
        cpu_millicores: hello.cpu_millicores.into(),
        memory_bytes: hello.memory_bytes,
        capabilities: hello.capabilities.iter().map(capability).collect(),
    }
}

fn report(seen: FrontendObserved) -> Option<Report> {
    let phase = match seen.phase() {
        frontend_observed::Phase::Unspecified => return None,
        frontend_observed::Phase::Assigned => Phase::Assigned,
        frontend_observed::Phase::Fetching => Phase::Fetching,
        frontend_observed::Phase::Starting => Phase::Starting,
        frontend_observed::Phase::Healthy => Phase::Healthy,
        frontend_observed::Phase::Unhealthy => Phase::Unhealthy,
        frontend_observed::Phase::Stopping => Phase::Stopping,
        frontend_observed::Phase::Stopped => Phase::Stopped,
        frontend_observed::Phase::Failed => Phase::Failed,
    };
    Some(Report {
        frontend: FrontendId(seen.frontend_id),
        phase,
        address: Some(seen.address).filter(|address| !address.is_empty()),
        pid: Some(seen.pid).filter(|pid| *pid != 0),
        reason: seen.reason,
        exit: seen.exit.map(|exit| Exit {
            code: exit.code,
            signal: exit.signal,
            out_of_memory: exit.out_of_memory,
            output: exit.last_lines,
        }),
    })
}
