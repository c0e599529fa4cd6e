//! The conversation with control: orders down, reports up.
//!
//! Routing never waits for it. Without control the last table goes on serving; with it, a new
//! table is in use first, then durable, then acknowledged: what was acknowledged is not forgotten
//! by a crash.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fleet_proto::internal as wire;
use fleet_proto::internal::ingress_order::Routes as Ordered;
use fleet_proto::internal::ingress_report::Report;
use fleet_proto::internal::ingress_sessions_client::IngressSessionsClient;
use fleet_trust::Whom;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::transport::Endpoint;

use super::contact::Contacts;
use super::convert;
use super::durable::Store;
use super::lifecycle::{Lifecycle, Phase};
use super::proxy::now_ms;
use super::routes::Routes;
use super::spec::Spec;
use super::upstream::Pool;
use crate::trust::Trust;

/// Renewal of the lease (docs/architecture.md).
const HEARTBEAT: Duration = Duration::from_secs(1);
/// For a connection, and for control to take a report or begin to answer.
const PATIENCE: Duration = Duration::from_secs(3);
/// The largest order: a full table of some hundred thousand frontends.
const LARGEST_ORDER: usize = 64 << 20;
/// Metadata in which a control node that does not lead names the one that does.
const LEADER: &str = "fleet-leader";

/// What is known of control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contact {
    /// Nobody has answered or refused yet.
    Unknown,
    /// Everybody known was asked in vain.
    Nobody,
    /// Orders come, and the first table of this contact is in use.
    Held,
}

/// Who this ingress is, and what the session works on.
pub(super) struct Session {
    pub(super) cluster_id: String,
    pub(super) node_id: u64,
    pub(super) trust: Trust,
    pub(super) contacts: Contacts,
    pub(super) routes: Arc<Routes<Pool>>,
    pub(super) store: Store,
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) connections: TaskTracker,
    pub(super) contact: watch::Sender<Contact>,
    pub(super) started: Instant,
    /// The highest fence obeyed.
    pub(super) obeyed: wire::Fence,
    pub(super) memory: Memory,
}

/// What reports carry from one to the next.
#[derive(Debug)]
pub(super) struct Memory {
    nonce: u64,
    sequence: u64,
    wants_full: bool,
    reason: String,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            nonce: rand::random(),
            sequence: 0,
            wants_full: false,
            reason: String::new(),
        }
    }
}

/// How a session ended.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("reaching control")]
    Unreachable(#[from] tonic::transport::Error),
    #[error("control ended the session")]
    Refused(#[from] Box<tonic::Status>),
    #[error("control ended the session without a word")]
    Closed,
    #[error("control did not answer in time")]
    TimedOut(#[from] tokio::time::error::Elapsed),
    #[error("an order came from a leader that has been replaced")]
    Superseded,
    #[error("this process has said goodbye")]
    Left,
}

impl Session {
    /// Holds a session with whoever leads, until it has said goodbye.
    pub(super) async fn run(mut self) {
        loop {
            let Some(address) = self.contacts.next() else {
                self.contact.send_replace(Contact::Nobody);
                tokio::time::sleep(HEARTBEAT).await;
                continue;
            };
            let Err(end) = self.hold(&address).await;
            if matches!(end, End::Left) {
                return;
            }
            let leader = end.leader();
            tracing::info!(%address, error = %chain(&end), ?leader, "no session with control");
            let wait = self.contacts.failed(leader);
            if self.contacts.exhausted() {
                self.contact.send_replace(Contact::Nobody);
            }
            tokio::time::sleep(wait.mul_f64(rand::random_range(0.75..1.25))).await;
        }
    }

    /// One session, from hello to its end.
    async fn hold(&mut self, address: &str) -> Result<std::convert::Infallible, End> {
        let endpoint = Endpoint::from_shared(format!("https://{address}"))?
            .connect_timeout(PATIENCE)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(HEARTBEAT)
            .keep_alive_timeout(PATIENCE)
            .keep_alive_while_idle(true);
        let channel = self.trust.connect(&endpoint, Whom::Control).await?;
        let mut client =
            IngressSessionsClient::new(channel).max_decoding_message_size(LARGEST_ORDER);
        let (up, reports) = mpsc::channel(4);
        let hello = Report::Hello(self.hello());
        // The channel is empty and its reader at hand, so this cannot fail.
        let _ = up.try_send(wire::IngressReport {
            report: Some(hello),
        });
        let session = client.session(ReceiverStream::new(reports));
        let session = tokio::time::timeout(PATIENCE, session)
            .await?
            .map_err(Box::new)?;
        let mut orders = session.into_inner();
        let mut phase = self.lifecycle.watch();
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let routes = Arc::clone(&self.routes);
        loop {
            tokio::select! {
                order = orders.message() => {
                    let order = order.map_err(Box::new)?.ok_or(End::Closed)?;
                    self.contacts.found(address);
                    let everything = matches!(order.routes, Some(Ordered::Full(_)));
                    self.obey(order).await?;
                    // Asked for at once, a table that makes no sense would come back at once.
                    if everything && self.memory.wants_full {
                        continue;
                    }
                }
                _ = heartbeat.tick() => {}
                () = routes.something_ended() => {}
                Ok(()) = phase.changed() => {}
            }
            let status = Report::Status(self.status());
            let sent = up.send(wire::IngressReport {
                report: Some(status),
            });
            tokio::time::timeout(PATIENCE, sent)
                .await?
                .map_err(|_| End::Closed)?;
            if *phase.borrow() == Phase::Gone {
                drop(up);
                // Control ends its side once it has read ours to the end.
                let rest = async { while let Ok(Some(_)) = orders.message().await {} };
                tokio::time::timeout(PATIENCE, rest).await?;
                return Err(End::Left);
            }
        }
    }

    /// Does what an order says. An order that makes no sense is answered by asking for a full
    /// table; only one from the past ends the session.
    async fn obey(&mut self, order: wire::IngressOrder) -> Result<(), End> {
        let fence = order.fence.unwrap_or_default();
        if (fence.term, fence.index) < (self.obeyed.term, self.obeyed.index) {
            return Err(End::Superseded);
        }
        let moved = self.contacts.learn(order.control_addresses);
        let new_term = fence.term != self.obeyed.term;
        self.obeyed = fence;
        let changed = match order.routes.map(|ordered| self.spec(ordered)) {
            None => false,
            Some(Ok(spec)) => {
                self.memory.wants_full = false;
                self.memory.reason.clear();
                self.routes.apply(Arc::new(spec));
                true
            }
            Some(Err(reason)) => {
                tracing::warn!(reason, "asking control for a full table");
                self.memory.wants_full = true;
                self.memory.reason = reason;
                false
            }
        };
        if changed || moved || new_term {
            self.save().await;
        }
        if self.routes.known() {
            self.contact.send_replace(Contact::Held);
        }
        Ok(())
    }

    /// What an order wants routed, or why it cannot be told.
    fn spec(&self, ordered: Ordered) -> Result<Spec, String> {
        match ordered {
            Ordered::Full(table) => {
                convert::spec_from_wire(table).map_err(|nonsense| nonsense.to_string())
            }
            Ordered::Delta(delta) => {
                let delta = convert::delta_from_wire(delta).map_err(|e| e.to_string())?;
                self.routes
                    .spec()
                    .changed(delta)
                    .map_err(|wrong| wrong.to_string())
            }
        }
    }

    /// A table that cannot be stored is still the right one to route by: said, not refused.
    ///
    /// A process that stops leaves the file to the one that replaces it.
    async fn save(&mut self) {
        if self.lifecycle.is_closing() {
            return;
        }
        let table = wire::DurableTable {
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            obeyed: Some(self.obeyed),
            control_addresses: self.contacts.known().to_vec(),
            table: self
                .routes
                .known()
                .then(|| convert::spec_to_wire(&self.routes.spec())),
        };
        let store = self.store.clone();
        let saved = tokio::task::spawn_blocking(move || store.save(&table)).await;
        let problem = match saved {
            Ok(Ok(())) => return,
            Ok(Err(error)) => chain(&error),
            Err(panicked) => chain(&panicked),
        };
        tracing::error!(error = problem, "the route table is in use but not durable");
        self.memory.reason = format!("the table is not durable: {problem}");
    }

    fn hello(&self) -> wire::IngressHello {
        let snapshot = self.routes.peek();
        let digest = || convert::digest(&convert::spec_to_wire(&self.routes.spec()));
        wire::IngressHello {
            cluster_id: self.cluster_id.clone(),
            node_id: self.node_id,
            process_nonce: self.memory.nonce,
            applied_generation: snapshot.generation,
            table_digest: if self.routes.known() {
                digest().into()
            } else {
                Default::default()
            },
            obeyed: Some(self.obeyed),
            outdated: convert::outdated_to_wire(&snapshot),
            busy: snapshot.busy,
        }
    }

    fn status(&mut self) -> wire::IngressStatus {
        let snapshot = self.routes.snapshot(now_ms(self.started));
        self.memory.sequence += 1;
        wire::IngressStatus {
            sequence: self.memory.sequence,
            applied_generation: snapshot.generation,
            outdated: convert::outdated_to_wire(&snapshot),
            busy: snapshot.busy,
            load: snapshot
                .load
                .into_iter()
                .map(convert::load_to_wire)
                .collect(),
            connections: self.connections.len() as u64,
            wants_full: self.memory.wants_full,
            reason: self.memory.reason.clone(),
            stopping: self.lifecycle.is_closing(),
        }
    }
}

impl End {
    /// The node that leads, as one that does not says.
    fn leader(&self) -> Option<String> {
        let Self::Refused(status) = self else {
            return None;
        };
        let leader = status.metadata().get(LEADER)?.to_str().ok()?;
        (status.code() == tonic::Code::FailedPrecondition).then(|| leader.to_owned())
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
