//! The worker's connection to whoever leads: orders down, observed state up.
//!
//! It looks for the leader among the control nodes it knows, says everything it knows, takes the
//! full order and from then on deltas. A session that breaks is replaced by a new one; nothing
//! that runs depends on there being one. Heartbeats go out whatever else is slow: taking an order
//! over may wait for a disk, and a worker that waits for its disk is not lost.

mod backoff;
mod conversation;
mod heartbeats;
mod route;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_proto::internal as wire;
use tokio::sync::watch;

use self::backoff::Backoff;
use self::conversation::{End, converse};
use self::route::Route;
use super::builds::Builds;
use super::supervisor::{Supervisor, View};
use crate::config::{Endpoint, Paths, Peers};
use crate::trust::Trust;

/// What a worker says of itself when it opens a session.
#[derive(Clone, Debug)]
pub(crate) struct Introduction {
    pub(crate) cluster_id: String,
    pub(crate) node_id: u64,
    pub(crate) boot_id: String,
    /// Chosen when the agent starts.
    pub(crate) nonce: u64,
    pub(crate) capabilities: Vec<wire::Capability>,
    pub(crate) cpu_millicores: u32,
    pub(crate) memory_bytes: u64,
    pub(crate) host: String,
}

/// Everything a session needs.
#[derive(Clone)]
pub(crate) struct Session {
    pub(crate) introduction: Introduction,
    pub(crate) supervisor: Supervisor,
    pub(crate) builds: Builds,
    /// The latest readings.
    pub(crate) usage: watch::Receiver<wire::WorkerUsage>,
    pub(crate) trust: Trust,
    /// Where the addresses of control nodes are kept.
    pub(crate) paths: Paths,
    /// Why the cluster wants no session with this node, while that is so.
    pub(crate) refused: watch::Sender<Option<String>>,
    /// Asked first when nothing else is known: this node itself, if it may lead.
    pub(crate) own: Option<Endpoint>,
}

impl Session {
    /// Holds a session with the leader, whoever it is, until dropped.
    pub(crate) async fn run(self) {
        let mut route = Route::new(self.known());
        let mut backoff = Backoff::default();
        loop {
            let target = route.next();
            let end = match &target {
                Some(target) => converse(&self, target, &mut backoff).await,
                None => End::Failed("no control node is known".to_owned()),
            };
            route.know(self.known());
            match (end, target) {
                (End::Redirected(leader), Some(target)) => {
                    tracing::debug!(asked = %target, %leader, "led elsewhere");
                    if route.led_to(leader) {
                        continue;
                    }
                }
                (End::Redirected(_), None) => {}
                (End::Refused(reason), target) => {
                    self.refused.send_replace(Some(reason.clone()));
                    failed(&mut route, target, &reason);
                }
                (End::Failed(reason) | End::Broken(reason), target) => {
                    failed(&mut route, target, &reason);
                }
            }
            tokio::time::sleep(backoff.pause(rand::random())).await;
        }
    }

    fn known(&self) -> Vec<Endpoint> {
        let mut known = Peers::read(&self.paths).control;
        known.extend(self.own.clone().filter(|own| !known.contains(own)));
        known
    }

    fn hello(&self, view: &View) -> wire::WorkerReport {
        let Introduction { capabilities, .. } = &self.introduction;
        report(wire::worker_report::Report::Hello(wire::WorkerHello {
            cluster_id: self.introduction.cluster_id.clone(),
            node_id: self.introduction.node_id,
            boot_id: self.introduction.boot_id.clone(),
            session_nonce: self.introduction.nonce,
            capabilities: capabilities.clone(),
            architecture: std::env::consts::ARCH.to_owned(),
            cpu_millicores: self.introduction.cpu_millicores,
            memory_bytes: self.introduction.memory_bytes,
            known: view
                .census
                .values()
                .map(|observed| observed.as_ref().into())
                .collect(),
            obeyed: Some(view.obeyed.into()),
            advertise_host: self.introduction.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }))
    }
}

fn failed(route: &mut Route, target: Option<Endpoint>, reason: &str) {
    let control = target.map(|target| target.to_string());
    tracing::warn!(control, reason, "no session with control; frontends go on");
    route.failed();
}

fn report(report: wire::worker_report::Report) -> wire::WorkerReport {
    wire::WorkerReport {
        report: Some(report),
    }
}

/// What changed between two views, as it is reported. What is gone is not: control forgot it first.
fn changes(sent: &View, now: &View) -> Vec<wire::FrontendObserved> {
    let sent: &BTreeMap<_, _> = &sent.census;
    let differs = |(id, observed): &(&_, &Arc<_>)| sent.get(id) != Some(observed);
    now.census
        .iter()
        .filter(differs)
        .map(|(_, observed)| observed.as_ref().into())
        .collect()
}
