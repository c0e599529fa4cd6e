//! The session of an ingress process: it is told the routes and says by which it routes.

use std::sync::Arc;

use fleet_model::{
    State,
    ids::{AppName, EnvironmentKey, EnvironmentName, FrontendId, LoadedKey, NodeId},
    node::Role,
    plan::{Answers, IngressFacts},
    scaling::FrontendTraffic,
};
use fleet_proto::internal::{
    FrontendLoad, IngressHello, IngressOrder, IngressReport, IngressStatus, OldestRoutes,
    ingress_order::Routes, ingress_report, ingress_sessions_server::IngressSessions,
};
use tokio::sync::{Notify, mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{QUEUE, admit, deposed, leading, removed, shown};
use crate::control::{Context, certificates::Opener, context::control_addresses, routes};

pub(crate) struct Sessions(pub(super) Arc<Context>);

#[tonic::async_trait]
impl IngressSessions for Sessions {
    type SessionStream = ReceiverStream<Result<IngressOrder, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<IngressReport>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let context = self.0.clone();
        let term = leading(&context)?;
        let shown = shown(&request)?;
        let mut reports = request.into_inner();
        let hello = match reports.message().await?.and_then(|report| report.report) {
            Some(ingress_report::Report::Hello(hello)) => hello,
            _ => return Err(Status::invalid_argument("a session begins with hello")),
        };
        let state = context.snapshot();
        let node = admit(
            &context,
            &state,
            shown,
            &hello.cluster_id,
            hello.node_id,
            Role::Ingress,
        )?;
        let process = hello.process_nonce;
        tracing::info!(%node, process, generation = hello.applied_generation, "an ingress opens its session");
        let (orders, outgoing) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            context
                .board
                .ingress_opened(node, process, said(&context, &hello));
            let asked = Notify::new();
            let mut goodbye = false;
            let end = tokio::select! {
                status = deposed(&context, term) => Some(status),
                status = removed(&context, node) => Some(status),
                status = listen(&context, node, process, reports, &asked, &mut goodbye) => status,
                () = order(&context, &hello, &asked, orders.clone()) => None,
            };
            context.board.ingress_closed(node, process, goodbye);
            tracing::info!(%node, process, goodbye, "the session of an ingress ended");
            if let Some(status) = end {
                let _ = orders.send(Err(status)).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(outgoing)))
    }
}

/// Hears the ingress until its stream ends.
async fn listen(
    context: &Context,
    node: NodeId,
    process: u64,
    mut reports: Streaming<IngressReport>,
    asked: &Notify,
    goodbye: &mut bool,
) -> Option<Status> {
    while let Some(report) = reports.next().await {
        let status = match report {
            Ok(report) => match report.report {
                Some(ingress_report::Report::Status(status)) => status,
                Some(ingress_report::Report::Hello(_)) => {
                    return Some(Status::invalid_argument("hello is said once"));
                }
                None => continue,
            },
            Err(status) => {
                tracing::debug!(%status, %node, "the stream of an ingress broke");
                return None;
            }
        };
        // One that stops and has nothing left will never send a request anywhere again.
        *goodbye = status.stopping && status.busy.is_empty() && status.connections == 0;
        if status.wants_full {
            tracing::info!(%node, reason = status.reason, "an ingress asks for all routes");
            asked.notify_one();
        }
        let state = context.snapshot();
        context.board.answers(counted(&state, &status));
        context
            .board
            .forget_answers(|key| state.loaded.contains_key(key));
        let facts = heard(context, &status);
        let who = (node, process);
        context
            .board
            .traffic(&state, who, facts.heard, &traffic(&status));
        context.board.ingress(node, process, facts);
    }
    None
}

/// Sends the routes: everything first, unless the ingress proved that it holds it, then changes.
async fn order(
    context: &Context,
    hello: &IngressHello,
    asked: &Notify,
    orders: mpsc::Sender<Result<IngressOrder, Status>>,
) {
    let mut states = context.state.clone();
    let state = states.borrow_and_update().clone();
    let mut addresses = control_addresses(&state);
    let opener = Opener::new(context);
    let table = routes::full(&state, &opener);
    let mut sent = table.generation;
    let held = routes::is_held(&table, hello.applied_generation, &hello.table_digest);
    let first = IngressOrder {
        fence: Some(context.fence(&state)),
        control_addresses: addresses.clone(),
        routes: (!held).then_some(Routes::Full(table)),
    };
    if orders.send(Ok(first)).await.is_err() {
        return;
    }
    loop {
        let full = tokio::select! {
            changed = states.changed() => if changed.is_err() { return } else { false },
            () = asked.notified() => true,
        };
        let state = states.borrow_and_update().clone();
        let routes = if full {
            Some(Routes::Full(routes::full(&state, &opener)))
        } else {
            routes::delta(&state, sent, &opener)
        };
        let now = control_addresses(&state);
        if routes.is_none() && now == addresses {
            continue;
        }
        sent = state.generation;
        addresses = now;
        let next = IngressOrder {
            fence: Some(context.fence(&state)),
            control_addresses: addresses.clone(),
            routes,
        };
        if orders.send(Ok(next)).await.is_err() {
            return;
        }
    }
}

fn said(context: &Context, hello: &IngressHello) -> IngressFacts {
    IngressFacts {
        heard: context.now(),
        applied: hello.applied_generation,
        busy: hello.busy.iter().copied().map(FrontendId).collect(),
        outdated: outdated(&hello.outdated),
    }
}

fn heard(context: &Context, status: &IngressStatus) -> IngressFacts {
    IngressFacts {
        heard: context.now(),
        applied: status.applied_generation,
        busy: status.busy.iter().copied().map(FrontendId).collect(),
        outdated: outdated(&status.outdated),
    }
}

/// What the frontends of each loaded release answered since the last status.
fn counted<'a>(
    state: &'a State,
    status: &'a IngressStatus,
) -> impl Iterator<Item = (LoadedKey, Answers)> + 'a {
    status.load.iter().filter_map(|load| {
        let frontend = state.frontends.get(&FrontendId(load.frontend_id))?;
        let answers = Answers {
            all: load.requests + load.connection_errors,
            failed: load.server_errors + load.connection_errors,
        };
        Some((frontend.loaded.clone(), answers))
    })
}

/// What each frontend was asked since the last status: of those that are not named, nothing.
fn traffic(status: &IngressStatus) -> Vec<FrontendTraffic> {
    let of = |load: &FrontendLoad| {
        let latency = load.latency_bucket.iter().zip(&load.latency_count);
        FrontendTraffic {
            frontend: FrontendId(load.frontend_id),
            requests: load.sent,
            server_errors: load.server_errors,
            connection_errors: load.connection_errors,
            in_flight: load.in_flight,
            latency: latency.map(|(bucket, count)| (*bucket, *count)).collect(),
        }
    };
    status.load.iter().map(of).collect()
}

fn outdated(routes: &[OldestRoutes]) -> std::collections::BTreeMap<EnvironmentKey, u64> {
    routes
        .iter()
        .filter_map(|routes| {
            let key = EnvironmentKey {
                app: AppName::parse(&routes.app).ok()?,
                name: EnvironmentName::parse(&routes.environment).ok()?,
            };
            Some((key, routes.oldest_generation))
        })
        .collect()
}
