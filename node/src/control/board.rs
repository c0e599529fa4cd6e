//! What the leader hears from workers and ingresses: never committed, forgotten with leadership.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use fleet_model::{
    State, Time,
    ids::{BuildId, LoadedKey, NodeId},
    node::SUSPECT_AFTER,
    plan::{Answers, IngressFacts, Load},
    scaling::{FrontendTraffic, FrontendUsage, Signals},
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
    /// Something was measured that counts may follow.
    measures: Notify,
    /// Moves whenever a build step has said something.
    said: watch::Sender<()>,
}

#[derive(Default)]
struct Heard {
    load: Load,
    /// Worker sessions that are open, by node.
    workers: BTreeMap<NodeId, Incarnation>,
    /// Copies of a node that were refused, so that each is named once.
    twins: BTreeSet<(NodeId, Incarnation)>,
    /// Ingress processes whose stream is open.
    connected: BTreeSet<(NodeId, u64)>,
    /// What build steps that run have said.
    output: Outputs,
}

/// Which life of which machine speaks for a node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Incarnation {
    pub(crate) boot: String,
    /// Of the agent's process.
    pub(crate) nonce: u64,
}

/// Two machines speak as one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Twin {
    /// Nobody has been told of this one yet.
    pub(crate) new: bool,
}

impl Board {
    /// Forgets everything: a new leader begins to listen.
    pub(crate) fn reset(&self, now: Time) {
        let mut heard = self.lock();
        heard.load = Load {
            since: now,
            signals: Signals::new(now),
            ..Load::default()
        };
        heard.connected.clear();
        heard.workers.clear();
        heard.twins.clear();
        heard.output = Outputs::default();
    }

    pub(crate) fn load(&self) -> Load {
        self.lock().load.clone()
    }

    /// The load for a plan to be made at `now`: what was measured since the last such look is due
    /// in this one, and in no other.
    pub(crate) fn look(&self, now: Time) -> Load {
        let mut heard = self.lock();
        let signals = heard.load.signals.look(now);
        Load {
            signals,
            ..heard.load.clone()
        }
    }

    /// Resolves when something was heard since the last call returned.
    pub(crate) async fn news(&self) {
        self.inner.news.notified().await;
    }

    /// Resolves when something was measured that no plan has looked at.
    pub(crate) async fn measured(&self) {
        while !self.lock().load.signals.has_news() {
            self.inner.measures.notified().await;
        }
    }

    /// A worker read what its frontends use.
    pub(crate) fn usage(&self, state: &State, node: NodeId, at: Time, read: &[FrontendUsage]) {
        self.measure(|signals| signals.usage(state, node, at, read));
    }

    /// An ingress process told what it sent to whom.
    pub(crate) fn traffic(
        &self,
        state: &State,
        (node, process): (NodeId, u64),
        at: Time,
        counted: &[FrontendTraffic],
    ) {
        self.measure(|signals| signals.traffic(state, node, process, at, counted));
    }

    fn measure(&self, take: impl FnOnce(&mut Signals)) {
        let mut heard = self.lock();
        take(&mut heard.load.signals);
        let news = heard.load.signals.has_news();
        drop(heard);
        if news {
            self.inner.measures.notify_one();
        }
    }

    /// Forgets what was measured of frontends and services that are gone.
    pub(crate) fn forget_measures(&self, state: &State) {
        self.lock().load.signals.forget(state);
    }

    /// A worker spoke. A heartbeat alone is no news, unless it ends a silence.
    pub(crate) fn worker(&self, node: NodeId, now: Time) {
        let before = self.lock().load.workers.insert(node, now);
        if before.is_none_or(|before| now.since(before) >= SUSPECT_AFTER) {
            self.inner.news.notify_one();
        }
    }

    /// A worker opens its session. Whoever else speaks for the node on a session that is open and
    /// alive was there first: this one is a copy of it. One that is silent has lost its connection,
    /// and one that has ended was restarted.
    pub(crate) fn worker_opened(
        &self,
        node: NodeId,
        incarnation: &Incarnation,
        now: Time,
    ) -> Result<(), Twin> {
        let mut heard = self.lock();
        let last = heard.load.workers.get(&node).copied();
        let alive = last.is_some_and(|last| now.since(last) < SUSPECT_AFTER);
        let other = heard.workers.get(&node);
        if alive && other.is_some_and(|other| other != incarnation) {
            let new = heard.twins.insert((node, incarnation.clone()));
            return Err(Twin { new });
        }
        heard.workers.insert(node, incarnation.clone());
        Ok(())
    }

    /// The session of a worker ended.
    pub(crate) fn worker_closed(&self, node: NodeId, incarnation: &Incarnation) {
        let mut heard = self.lock();
        if heard.workers.get(&node) == Some(incarnation) {
            heard.workers.remove(&node);
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
        processes.retain(|other, _| {
            let speaks = connected.contains(&(node, *other));
            if !speaks && *other != process {
                load.signals.forget_ingress(node, *other);
            }
            speaks
        });
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
                load.signals.forget_ingress(node, process);
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
    #![allow(clippy::unwrap_used)]
    use fleet_model::{
        environment::{Environment, Previous, Settings},
        ids::{EnvironmentName, FrontendId, ServiceName},
    };
    use futures::FutureExt as _;

    use super::*;
    use crate::control::assignments::tests::state;

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
    fn the_copy_of_a_node_is_told_from_its_next_life() {
        let board = Board::default();
        let node = NodeId(1);
        let life = |boot: &str, nonce| Incarnation {
            boot: boot.to_owned(),
            nonce,
        };
        let (own, copy) = (life("a", 1), life("b", 2));
        let open = |incarnation: &Incarnation, at| {
            let opened = board.worker_opened(node, incarnation, Time(at));
            if opened.is_ok() {
                board.worker(node, Time(at));
            }
            opened
        };
        assert_eq!(open(&own, 1_000), Ok(()));
        assert_eq!(open(&own, 1_100), Ok(()), "it connected again");
        assert_eq!(open(&copy, 1_200), Err(Twin { new: true }));
        assert_eq!(open(&copy, 1_300), Err(Twin { new: false }));
        assert_eq!(open(&life("a", 3), 1_400), Err(Twin { new: true }));
        board.worker_closed(node, &own);
        let next = life("a", 4);
        assert_eq!(open(&next, 1_500), Ok(()), "the agent was restarted");
        assert_eq!(open(&copy, 4_500), Ok(()), "the first is silent");
        board.worker_closed(node, &next);
        assert_eq!(open(&next, 4_600), Err(Twin { new: true }));
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

    /// Gives the release of [`state`] bounds between which the count of `plain` may move.
    fn follow(state: &mut State) {
        let (key, mut loaded) = state
            .loaded
            .iter()
            .next()
            .map(|(k, l)| (k.clone(), l.clone()))
            .unwrap();
        loaded
            .desired
            .insert(ServiceName::parse("plain").unwrap(), 1);
        let environment = Environment {
            key: key.environment.clone(),
            created: Time(0),
            updated: Time(0),
            active: None,
            previous: Previous::Never,
            variables: imbl::OrdMap::new(),
            newest: None,
            settings: Settings::initial(&EnvironmentName::parse("prod").unwrap()),
            masked: imbl::OrdSet::new(),
            destroying: false,
            revision: 1,
        };
        state
            .environments
            .insert(key.environment.clone(), environment);
        state.loaded.insert(key, loaded);
    }

    #[test]
    fn measures_wake_whoever_follows_them_once_and_sleepers_never() {
        let board = Board::default();
        board.reset(Time(0));
        let reading = |at: u64| FrontendUsage {
            frontend: FrontendId(1),
            sampled: Time(at),
            cpu_usec: at,
            memory_bytes: 1,
            processes: 1,
        };
        let rings = || board.measured().now_or_never().is_some();
        let mut state = state("plain");
        board.usage(&state, NodeId(1), Time(1_000), &[reading(1_000)]);
        assert!(!rings(), "nothing follows any load");

        follow(&mut state);
        board.usage(&state, NodeId(2), Time(1_500), &[reading(1_500)]);
        assert!(!rings(), "it runs on another node");
        board.usage(&state, NodeId(1), Time(2_000), &[reading(2_000)]);
        assert!(rings());
        let due = |load: &Load| load.signals.due().count();
        assert_eq!(due(&board.load()), 0, "readers take nothing");
        assert_eq!(due(&board.look(Time(2_000))), 1);
        assert!(!rings(), "it was looked at");

        board.reset(Time(3_000));
        assert!(
            board.load().signals.is_empty(),
            "another leader knows nothing"
        );
    }
}
