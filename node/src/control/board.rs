//! What the leader hears from workers and ingresses: never committed, forgotten with leadership.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use fleet_model::{
    Time,
    ids::{BuildId, LoadedKey, NodeId},
    node::SUSPECT_AFTER,
    plan::{Answers, IngressFacts, Load},
};
use tokio::sync::{Notify, watch};

use super::builds::output::{Output, Outputs};

/// The leader's memory of sessions.
#[derive(Clone, Default)]
pub(crate) struct Board {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    heard: Mutex<Heard>,
    /// Something was heard that a plan may depend on.
    news: Notify,
    /// Moves whenever a build step has said something.
    said: watch::Sender<()>,
}

#[derive(Default)]
struct Heard {
    load: Load,
    /// Ingress processes whose stream is open.
    connected: BTreeSet<(NodeId, u64)>,
    /// What build steps that run have said.
    output: Outputs,
}

impl Board {
    /// Forgets everything: a new leader begins to listen.
    pub(crate) fn reset(&self, now: Time) {
        let mut heard = self.lock();
        heard.load = Load {
            since: now,
            ..Load::default()
        };
        heard.connected.clear();
        heard.output = Outputs::default();
    }

    pub(crate) fn load(&self) -> Load {
        self.lock().load.clone()
    }

    /// Resolves when something was heard since the last call returned.
    pub(crate) async fn news(&self) {
        self.inner.news.notified().await;
    }

    /// A worker spoke. A heartbeat alone is no news, unless it ends a silence.
    pub(crate) fn worker(&self, node: NodeId, now: Time) {
        let before = self.lock().load.workers.insert(node, now);
        if before.is_none_or(|before| now.since(before) >= SUSPECT_AFTER) {
            self.inner.news.notify_one();
        }
    }

    /// When a worker was last heard by this leader.
    pub(crate) fn worker_heard(&self, node: NodeId) -> Option<Time> {
        self.lock().load.workers.get(&node).copied()
    }

    /// An ingress process opened its session. Processes of the same node whose session ended are
    /// forgotten: the holder starts another only when one died, or beside one that still speaks.
    pub(crate) fn ingress_opened(&self, node: NodeId, process: u64, facts: IngressFacts) {
        let mut heard = self.lock();
        let Heard {
            load, connected, ..
        } = &mut *heard;
        let processes = load.ingresses.entry(node).or_default();
        processes.retain(|other, _| connected.contains(&(node, *other)));
        processes.insert(process, facts);
        connected.insert((node, process));
        drop(heard);
        self.inner.news.notify_one();
    }

    /// An ingress process spoke.
    pub(crate) fn ingress(&self, node: NodeId, process: u64, facts: IngressFacts) {
        let mut heard = self.lock();
        let processes = heard.load.ingresses.entry(node).or_default();
        let before = processes.insert(process, facts.clone());
        drop(heard);
        let heartbeat_only = before.is_some_and(|before| {
            let unchanged = IngressFacts {
                heard: facts.heard,
                ..before
            };
            unchanged == facts
        });
        if !heartbeat_only {
            self.inner.news.notify_one();
        }
    }

    /// Adds what an ingress counted of the answers of loaded releases.
    pub(crate) fn answers(&self, counted: impl Iterator<Item = (LoadedKey, Answers)>) {
        let mut heard = self.lock();
        for (key, counted) in counted {
            let answers = heard.load.answers.entry(key).or_default();
            answers.all += counted.all;
            answers.failed += counted.failed;
        }
    }

    /// A build step said something.
    pub(crate) fn output(&self, said: Output) {
        self.lock().output.take(said);
        self.inner.said.send_replace(());
    }

    /// What a build step that runs has said from `offset` on, and where that begins.
    pub(crate) fn said(&self, build: &BuildId, offset: u64) -> (u64, Bytes) {
        self.lock().output.read(build, offset)
    }

    /// Changes whenever a build step has said something.
    pub(crate) fn sayings(&self) -> watch::Receiver<()> {
        self.inner.said.subscribe()
    }

    /// Forgets what was said by builds that do not run any more.
    pub(crate) fn forget_output(&self, runs: impl Fn(&BuildId) -> bool) {
        self.lock().output.retain(runs);
    }

    /// Forgets the answers of releases that are not loaded any more.
    pub(crate) fn forget_answers(&self, loaded: impl Fn(&LoadedKey) -> bool) {
        self.lock().load.answers.retain(|key, _| loaded(key));
    }

    /// The session of an ingress process ended. If it said goodbye with nothing in flight it is
    /// gone; otherwise nobody knows, and what it last said stands until its lease runs out or
    /// another process of the node takes its place.
    pub(crate) fn ingress_closed(&self, node: NodeId, process: u64, goodbye: bool) {
        let mut heard = self.lock();
        heard.connected.remove(&(node, process));
        let Heard {
            load, connected, ..
        } = &mut *heard;
        if let Some(processes) = load.ingresses.get_mut(&node) {
            let successor = processes
                .keys()
                .any(|other| *other != process && connected.contains(&(node, *other)));
            if successor || goodbye {
                processes.remove(&process);
            }
        }
        drop(heard);
        self.inner.news.notify_one();
    }

    /// What a node's ingress last said and whether it is connected, for `node describe`.
    pub(crate) fn ingress_facts(&self, node: NodeId) -> Option<(IngressFacts, bool)> {
        let heard = self.lock();
        let processes = heard.load.ingresses.get(&node)?;
        let (process, facts) = processes.iter().max_by_key(|(_, facts)| facts.heard)?;
        let connected = heard.connected.contains(&(node, *process));
        Some((facts.clone(), connected))
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // Every write under the lock is a whole step, so what a panicked holder left is usable.
        self.inner
            .heard
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(applied: u64) -> IngressFacts {
        IngressFacts {
            applied,
            ..IngressFacts::default()
        }
    }

    #[test]
    fn a_dead_process_is_forgotten_when_its_successor_speaks() {
        let board = Board::default();
        let node = NodeId(1);
        board.ingress_opened(node, 7, facts(3));
        board.ingress_closed(node, 7, false);
        assert_eq!(board.load().ingresses[&node].len(), 1, "nobody knows yet");
        board.ingress_opened(node, 8, facts(0));
        let processes: Vec<u64> = board.load().ingresses[&node].keys().copied().collect();
        assert_eq!(processes, [8]);
    }

    #[test]
    fn both_processes_of_a_replacement_are_waited_for() {
        let board = Board::default();
        let node = NodeId(1);
        board.ingress_opened(node, 7, facts(3));
        board.ingress_opened(node, 8, facts(3));
        assert_eq!(board.load().ingresses[&node].len(), 2);
        board.ingress_closed(node, 7, true);
        assert_eq!(board.load().ingresses[&node].len(), 1);
    }
}
