//! One life: a cluster from its making to its rest.

use std::collections::BTreeMap;

use fleet_model::{
    Command, Time,
    command::{Action, Advance},
    frontend::Phase,
    ids::{FrontendId, NodeId},
    report::Waiting,
    time::Millis,
};

use super::{
    ingress::Ingress,
    leader::Leader,
    mail::{Mail, Party, Post},
    weather::Machine,
    worker::Worker,
};
use crate::common::{Checked, Random, registration};

/// How finely time passes.
const TICK: Millis = Millis(50);
/// How long users and weather do what they like.
pub const RESTLESS: Millis = Millis::seconds(240);
/// After this it must be at rest: the longest deadline (loading, 10 min) behind the longest hold
/// (of a silent ingress, 15 min), and a minute.
const REST_WITHIN: Millis = Millis::seconds(26 * 60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Climate {
    /// Nothing fails but what users release.
    Mild,
    Rough,
}

#[derive(Debug)]
pub struct World {
    pub now: Time,
    pub random: Random,
    pub climate: Climate,
    pub checked: Checked,
    pub leader: Leader,
    pub workers: BTreeMap<NodeId, Worker>,
    pub ingresses: BTreeMap<NodeId, Ingress>,
    pub machines: BTreeMap<NodeId, Machine>,
    pub post: Post,
    pub sessions: u64,
    pub requests_made: u64,
    pub waiting: Vec<Waiting>,
    pub tally: Tally,
}

/// What happened, so that a test can tell a rich life from an empty one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub commands: u64,
    pub requests: u64,
    pub stops: u64,
    pub switches: u64,
    pub warm_switches: u64,
    pub promotions: u64,
    pub reversals: u64,
}

impl Tally {
    pub fn count(&mut self, command: &Command) {
        self.commands += 1;
        match command {
            Command::Step(steps) => {
                let stop =
                    |step: &&fleet_model::command::Step| matches!(step.action, Action::Stop { .. });
                self.stops += steps.iter().filter(stop).count() as u64;
            }
            Command::AdvanceRollout {
                step: Advance::Switch,
                ..
            } => self.switches += 1,
            Command::AdvanceRollout {
                step: Advance::Guarded,
                ..
            } => self.promotions += 1,
            Command::AdvanceRollout {
                step: Advance::Reverted,
                ..
            } => self.reversals += 1,
            _ => {}
        }
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.commands += other.commands;
        self.requests += other.requests;
        self.stops += other.stops;
        self.switches += other.switches;
        self.warm_switches += other.warm_switches;
        self.promotions += other.promotions;
        self.reversals += other.reversals;
    }
}

impl World {
    pub fn new(seed: u64, climate: Climate) -> Self {
        let now = Time(1_000_000);
        let mut world = Self {
            now,
            random: Random::new(seed),
            climate,
            checked: Checked::new(),
            leader: Leader::new(now),
            workers: BTreeMap::new(),
            ingresses: BTreeMap::new(),
            machines: BTreeMap::new(),
            post: Post::default(),
            sessions: 0,
            requests_made: 0,
            waiting: Vec::new(),
            tally: Tally::default(),
        };
        let init = Command::InitCluster {
            id: "c1".to_owned(),
            name: "world".to_owned(),
            domain: "localhost".to_owned(),
        };
        world.checked.commit(now, init).unwrap();
        for number in 1..=4 {
            let asked = registration(number, (number == 1).then_some(1));
            world
                .checked
                .commit(now, Command::RegisterNode(asked))
                .unwrap();
        }
        for node in world.checked.state.nodes.keys().copied() {
            world.workers.insert(node, Worker::new(node));
            world.ingresses.insert(node, Ingress::new(node));
            let machine = Machine {
                heard: now,
                ..Machine::default()
            };
            world.machines.insert(node, machine);
        }
        world.settle_down();
        world
    }

    pub fn restless(&mut self, span: Millis) {
        let until = self.now.plus(span);
        while self.now < until {
            self.users();
            self.tick();
        }
    }

    /// Users and weather have stopped. The cluster comes to rest, and stays there.
    pub fn come_to_rest(&mut self) {
        self.climate = Climate::Mild;
        self.clear_up();
        self.last_wishes();
        let until = self.now.plus(REST_WITHIN);
        loop {
            self.restful(Millis::seconds(1));
            match self.unrest() {
                None => break,
                Some(why) => assert!(self.now < until, "no rest after {REST_WITHIN}: {why}"),
            }
        }
        let at_rest = self.checked.state.clone();
        self.restful(Millis::seconds(40));
        assert_eq!(self.checked.state, at_rest, "something changed at rest");
        self.checked.replay();
    }

    fn restful(&mut self, span: Millis) {
        let until = self.now.plus(span);
        while self.now < until {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.now = self.now.plus(TICK);
        self.weather();
        self.deliver();
        self.lead();
        self.work();
        self.serve();
    }

    fn work(&mut self) {
        let (now, climate) = (self.now, self.climate);
        let nodes: Vec<NodeId> = self.workers.keys().copied().collect();
        for node in nodes
            .into_iter()
            .filter(|n| self.powered(*n))
            .collect::<Vec<_>>()
        {
            let Some(worker) = self.workers.get_mut(&node) else {
                continue;
            };
            worker.tick(now, climate, &mut self.random);
            let Some(session) = worker.session else {
                continue;
            };
            let news = worker.news();
            let to = Party::Worker(node);
            if !news.is_empty() {
                self.post.send(now, to, session, Mail::Reports(news));
            } else if now.0.is_multiple_of(1_000) {
                self.post.send(now, to, session, Mail::Heartbeat);
            }
        }
    }

    fn serve(&mut self) {
        let now = self.now;
        let running: std::collections::BTreeSet<FrontendId> = self
            .workers
            .values()
            .filter(|worker| self.machines[&worker.node].off_until <= now)
            .flat_map(|worker| worker.processes())
            .filter(|(_, phase)| matches!(phase, Phase::Healthy | Phase::Unhealthy))
            .map(|(id, _)| id)
            .collect();
        let rough = self.rough();
        for ingress in self.ingresses.values_mut() {
            if self.machines[&ingress.node].off_until > now {
                continue;
            }
            match ingress.tick(now, &|id| running.contains(&id), &mut self.random) {
                Ok(begun) => self.tally.requests += begun,
                Err(key) => assert!(
                    rough,
                    "a request to {key} found nobody: {:#?}",
                    ingress.routes(&key)
                ),
            }
            let Some(session) = ingress.session else {
                continue;
            };
            if let Some(facts) = ingress.status(now) {
                let to = Party::Ingress(ingress.node);
                self.post.send(now, to, session, Mail::Status(facts));
            }
        }
    }

    /// Whether the weather is, or was, rough enough to excuse a lost request.
    pub fn rough(&self) -> bool {
        self.climate == Climate::Rough || self.leader.load.since > Time(1_000_000)
    }

    /// Whether a frontend runs and would answer.
    pub fn answers(&self, id: FrontendId) -> bool {
        self.workers
            .values()
            .any(|worker| self.powered(worker.node) && worker.answers(id))
    }
}
