//! A worker: processes, and a ledger that survives the machine.

use std::collections::BTreeMap;

use fleet_model::{
    Time,
    command::Report,
    frontend::{Desired, Exit, Phase},
    ids::{FrontendId, NodeId},
    time::Millis,
};

use super::{
    life::Climate,
    mail::{Order, Session},
};
use crate::common::Random;

#[derive(Debug)]
pub struct Worker {
    pub node: NodeId,
    pub session: Option<Session>,
    /// What was ordered and became of it; on disk.
    ledger: BTreeMap<FrontendId, Process>,
    /// Frontends whose report has not been sent.
    news: Vec<FrontendId>,
}

#[derive(Clone, Debug)]
struct Process {
    phase: Phase,
    /// When it will be what it is becoming.
    turns_at: Time,
    doomed: bool,
}

impl Worker {
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            session: None,
            ledger: BTreeMap::new(),
            news: Vec::new(),
        }
    }

    pub fn obey(&mut self, orders: &BTreeMap<FrontendId, Order>, now: Time, random: &mut Random) {
        // What is no longer named is forgotten, and with it what may be left of it.
        self.ledger.retain(|id, _| orders.contains_key(id));
        for (id, order) in orders {
            let process = self.ledger.get_mut(id);
            match (order.desired, process) {
                (Desired::Run, None) => self.start(*id, order.doomed, now, random),
                (Desired::Run | Desired::Withdrawn { .. }, Some(_)) => {}
                (_, None) => {
                    let never = Process {
                        phase: Phase::Stopped,
                        turns_at: now,
                        doomed: false,
                    };
                    self.ledger.insert(*id, never);
                    self.news.push(*id);
                }
                (Desired::Stop, Some(process)) => {
                    if !process.phase.over() && process.phase != Phase::Stopping {
                        process.phase = Phase::Stopping;
                        process.turns_at = now.plus(Millis(random.between(10, 2_000)));
                        self.news.push(*id);
                    }
                }
            }
        }
    }

    fn start(&mut self, id: FrontendId, doomed: bool, now: Time, random: &mut Random) {
        let process = Process {
            phase: Phase::Starting,
            turns_at: now.plus(Millis(random.between(100, 4_000))),
            doomed,
        };
        self.ledger.insert(id, process);
        self.news.push(id);
    }

    /// Time passes for the processes; in rough weather some of them fail.
    pub fn tick(&mut self, now: Time, climate: Climate, random: &mut Random) {
        for (id, process) in &mut self.ledger {
            let rough = climate == Climate::Rough;
            let next = match process.phase {
                Phase::Starting if process.turns_at <= now && process.doomed => Phase::Failed,
                Phase::Starting if process.turns_at <= now => Phase::Healthy,
                Phase::Stopping if process.turns_at <= now => Phase::Stopped,
                Phase::Starting if rough && random.one_in(2_000) => Phase::Failed,
                Phase::Healthy if rough && random.one_in(4_000) => Phase::Unhealthy,
                Phase::Healthy if rough && random.one_in(8_000) => Phase::Failed,
                Phase::Unhealthy if !rough || random.one_in(100) => Phase::Healthy,
                _ => continue,
            };
            process.phase = next;
            self.news.push(*id);
        }
    }

    /// The machine goes down until `back`: nothing runs any more, and then what the ledger holds is
    /// started again, unless that is impossible.
    pub fn restart(&mut self, back: Time, random: &mut Random) {
        for process in self.ledger.values_mut() {
            process.phase = match process.phase {
                Phase::Stopping => Phase::Stopped,
                phase if phase.over() => phase,
                _ if random.one_in(4) => Phase::Failed,
                _ => Phase::Starting,
            };
            process.turns_at = back.plus(Millis(random.between(3_000, 6_000)));
        }
    }

    /// Everything, for a new session.
    pub fn all(&mut self) -> Vec<Report> {
        self.news = self.ledger.keys().copied().collect();
        self.news()
    }

    /// What changed since the last report.
    pub fn news(&mut self) -> Vec<Report> {
        let changed = std::mem::take(&mut self.news);
        let node = self.node;
        let report = |id: FrontendId| {
            let process = self.ledger.get(&id)?;
            let failed = process.phase == Phase::Failed;
            Some(Report {
                frontend: id,
                phase: process.phase,
                address: Some(format!("10.0.0.{node}:{}", 20_000 + id.0)),
                pid: None,
                reason: if failed { "it ended" } else { "" }.to_owned(),
                exit: failed.then(|| Exit {
                    code: Some(1),
                    signal: None,
                    out_of_memory: false,
                    output: vec!["last words".to_owned()],
                }),
            })
        };
        changed.into_iter().filter_map(report).collect()
    }

    /// Whether it would answer a request.
    pub fn answers(&self, id: FrontendId) -> bool {
        let phase = self.ledger.get(&id).map(|process| process.phase);
        matches!(phase, Some(Phase::Healthy | Phase::Unhealthy))
    }

    pub fn processes(&self) -> impl Iterator<Item = (FrontendId, Phase)> + '_ {
        self.ledger.iter().map(|(id, process)| (*id, process.phase))
    }
}
