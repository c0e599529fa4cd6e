//! One session, from the first message to its end.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_proto::internal as wire;
use fleet_proto::internal::worker_report::Report;
use fleet_proto::internal::worker_sessions_client::WorkerSessionsClient;
use fleet_trust::Whom;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint as Transport};
use tonic::{Code, Status, Streaming};

use super::backoff::Backoff;
use super::heartbeats::Heartbeats;
use super::{Session, changes, report};
use crate::clock::Boot;
use crate::config::{Endpoint, Peers};
use crate::worker::builds::{self, BuildOrder};
use crate::worker::machine::chain;
use crate::worker::order::Order;
use crate::worker::supervisor::{ObeyError, View};

/// Each second (design, section 6); the lease is lost after 15.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// For a leader to accept the connection, and to answer the hello.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A leader that takes nothing for this long is as good as gone: it would call us suspect.
const TAKE_WITHIN: Duration = Duration::from_secs(3);

/// Largest order: full assignments of a node with thousands of frontends.
const ORDER_LIMIT: usize = 16 << 20;

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// Another node leads.
    Redirected(Endpoint),
    /// There was none.
    Failed(String),
    /// The cluster wants none with this node: it was removed, or is a copy of another.
    Refused(String),
    /// There was one, and it broke.
    Broken(String),
}

pub(crate) async fn converse(session: &Session, target: &Endpoint, backoff: &mut Backoff) -> End {
    let mut views = session.supervisor.view();
    let known = views.borrow_and_update().clone();
    let (reports, stream) = mpsc::channel(16);
    // The channel is empty and has room.
    let _ = reports.try_send(session.hello(&known));
    let orders = match open(session, target, ReceiverStream::new(stream)).await {
        Ok(orders) => orders,
        Err(end) => return end,
    };
    tracing::info!(control = %target, "session with control");
    session.refused.send_replace(None);
    let mut took_over = false;
    let beats = Mutex::new(Heartbeats::default());
    let address = target.to_string();
    let broken = tokio::select! {
        reason = listen(session, orders, &beats, &mut took_over) => reason,
        reason = tell(session, reports.clone(), &beats, (views, known)) => reason,
        reason = builds::tell(session.builds.clone(), &address, &session.trust, reports) => reason,
    };
    if took_over {
        backoff.reset();
    }
    End::Broken(broken)
}

async fn open(
    session: &Session,
    target: &Endpoint,
    reports: ReceiverStream<wire::WorkerReport>,
) -> Result<Streaming<wire::WorkerOrder>, End> {
    let channel = connect(session, target)
        .await
        .map_err(|error| End::Failed(chain(&error)))?;
    let mut client = WorkerSessionsClient::new(channel).max_decoding_message_size(ORDER_LIMIT);
    match timeout(ANSWER_WITHIN, client.session(reports)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(refused(&status)),
        Err(_) => Err(End::Failed("connected, but no answer".to_owned())),
    }
}

/// Pings once a second notice a leader that was stopped or cut off without a word.
async fn connect(session: &Session, target: &Endpoint) -> Result<Channel, tonic::transport::Error> {
    let transport = Transport::from_shared(target.uri())?
        .connect_timeout(CONNECT_WITHIN)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(HEARTBEAT)
        .keep_alive_timeout(TAKE_WITHIN)
        .keep_alive_while_idle(true);
    session.trust.connect(&transport, Whom::Control).await
}

fn refused(status: &Status) -> End {
    let leader = status
        .metadata()
        .get("fleet-leader")
        .and_then(|leader| leader.to_str().ok());
    match (status.code(), leader.map(str::parse)) {
        (Code::FailedPrecondition, Some(Ok(leader))) => End::Redirected(leader),
        (Code::PermissionDenied | Code::AlreadyExists, _) => {
            End::Refused(status.message().to_owned())
        }
        _ => End::Failed(status.message().to_owned()),
    }
}

/// Takes orders over until there are no more; returns why.
async fn listen(
    session: &Session,
    mut orders: Streaming<wire::WorkerOrder>,
    beats: &Mutex<Heartbeats>,
    took_over: &mut bool,
) -> String {
    loop {
        let mut order = match orders.message().await {
            Ok(Some(order)) => order,
            Ok(None) => return "control ended the session".to_owned(),
            Err(status) => return status.message().to_owned(),
        };
        let builds = order.builds.take();
        let confirmed = order.confirmed;
        let order = Order::from(order);
        remember(session, &order.control);
        match session.supervisor.obey(order).await {
            Ok(()) => *took_over = true,
            Err(error @ (ObeyError::Refused(_) | ObeyError::Ended)) => return error.to_string(),
        }
        // Last: what this order ended must not be started because of it.
        let tenure = confirmed.and_then(|sequence| locked(beats).confirmed(sequence));
        if let Some(until) = tenure {
            session.supervisor.confirm(until);
        }
        if let Some(orders) = builds {
            let orders = orders.builds.into_iter().filter_map(BuildOrder::read);
            session.builds.obey(orders.collect());
        }
    }
}

fn locked(beats: &Mutex<Heartbeats>) -> MutexGuard<'_, Heartbeats> {
    beats.lock().unwrap_or_else(PoisonError::into_inner)
}

fn remember(session: &Session, control: &[String]) {
    let peers = Peers::parse(control);
    if peers.control.is_empty() || peers == Peers::read(&session.paths) {
        return;
    }
    if let Err(error) = peers.write(&session.paths) {
        tracing::warn!(%error, "could not write down the addresses of the control nodes");
    }
}

/// Reports changes as they happen, usage as it is read and a heartbeat each second, until control
/// takes no more; returns why.
async fn tell(
    session: &Session,
    reports: mpsc::Sender<wire::WorkerReport>,
    beats: &Mutex<Heartbeats>,
    (mut views, mut sent): (watch::Receiver<View>, View),
) -> String {
    let mut usage = session.usage.clone();
    // What was read before this session is as old as the silence before it.
    usage.mark_unchanged();
    let mut heartbeat = interval(HEARTBEAT);
    // After a pause of the whole process one beat says all that several would.
    heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let next = tokio::select! {
            changed = views.changed() => match changed {
                Ok(()) => {
                    let view = views.borrow_and_update().clone();
                    let frontends = changes(&sent, &view);
                    sent = view;
                    if frontends.is_empty() {
                        continue;
                    }
                    Report::Observed(wire::FrontendsObserved { frontends })
                }
                Err(_) => return "the supervisor has ended".to_owned(),
            },
            Ok(()) = usage.changed() => {
                let latest = usage.borrow_and_update().clone();
                // Counters: a reading for which there is no room is made up for by the next one.
                if let Ok(room) = reports.try_reserve() {
                    room.send(report(Report::Usage(latest)));
                }
                continue;
            }
            _ = heartbeat.tick() => {
                let sequence = locked(beats).next(Boot::now());
                Report::Heartbeat(wire::WorkerHeartbeat { sequence })
            }
        };
        match timeout(TAKE_WITHIN, reports.send(report(next))).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return "the connection is closed".to_owned(),
            Err(_) => return "control takes no reports".to_owned(),
        }
    }
}
