//! The leader: what it has heard, and when it plans. It forgets everything when it is another.

use std::collections::BTreeMap;

use fleet_model::{
    Command, Time,
    command::{Action, Advance},
    frontend,
    ids::{FrontendId, NodeId},
    node::LOST_AFTER,
    plan::{IngressFacts, Load, plan},
    rollout::{Phase, SILENT_INGRESS_HOLD},
    route,
    time::Millis,
};

use super::{
    life::World,
    mail::{Mail, Order, Party, Session, Table},
};

#[derive(Debug)]
pub struct Leader {
    pub load: Load,
    /// `None`: there is none until this moment.
    pub leads_from: Time,
    planned_at: u64,
    news: bool,
    wake: Option<Time>,
    sent_orders: BTreeMap<NodeId, (u64, BTreeMap<FrontendId, Order>)>,
    sent_table: BTreeMap<NodeId, (u64, u64)>,
}

impl Leader {
    /// One that knows nothing and begins to listen at `since`.
    pub fn new(since: Time) -> Self {
        Self {
            load: Load {
                since,
                ..Load::default()
            },
            leads_from: since,
            planned_at: 0,
            news: true,
            wake: None,
            sent_orders: BTreeMap::new(),
            sent_table: BTreeMap::new(),
        }
    }

    pub fn leads(&self, now: Time) -> bool {
        self.leads_from <= now
    }

    /// Only what could change a plan is news; that a lease is renewed is not.
    pub fn heard_worker(&mut self, node: NodeId, now: Time) {
        let before = self.load.workers.insert(node, now);
        let silence = before.map(|at| now.since(at));
        self.news |= silence.is_none_or(|silence| silence >= Millis::seconds(3));
    }

    pub fn heard_ingress(&mut self, node: NodeId, facts: IngressFacts, now: Time) {
        let facts = IngressFacts {
            heard: now,
            ..facts
        };
        let processes = self.load.ingresses.entry(node).or_default();
        let before = processes.insert(1, facts.clone());
        self.news |= before.is_none_or(|before| {
            before.applied != facts.applied
                || !before.busy.is_subset(&facts.busy)
                || before.outdated != facts.outdated
                || now.since(before.heard) >= Millis::seconds(3)
        });
    }
}

impl World {
    /// Plans when there is a reason to: a new index, news, or the time the last plan asked for.
    pub fn lead(&mut self) {
        let now = self.now;
        if !self.leader.leads(now) {
            return;
        }
        let due = self.leader.wake.is_some_and(|wake| wake <= now);
        if due || self.leader.news || self.leader.planned_at != self.checked.state.index {
            self.leader.news = false;
            self.settle();
        }
        self.send_orders();
        self.send_tables();
    }

    fn settle(&mut self) {
        let now = self.now;
        for _ in 0..12 {
            let planned = plan(&self.checked.state, &self.leader.load, now);
            if planned.commands.is_empty() {
                self.leader.wake = planned.next_wake;
                self.leader.planned_at = self.checked.state.index;
                self.waiting = planned.waiting;
                if self.random.one_in(200) {
                    self.sleeps_between_wakes(planned.next_wake);
                }
                return;
            }
            for command in planned.commands {
                self.stops_cost_nobody(&command);
                self.tally.count(&command);
                self.checked.planned(now, command.clone());
                self.takeovers_are_known(&command);
            }
        }
        let rest = plan(&self.checked.state, &self.leader.load, now);
        panic!("the planner finds no rest: {:#?}", rest.commands);
    }

    /// Nothing heard, nothing done: then a wake may find nothing to do, but not many in a row.
    fn sleeps_between_wakes(&self, first: Option<Time>) {
        let mut next = first;
        let mut idle = 0;
        while let Some(wake) = next.filter(|wake| wake.since(self.now) < Millis::seconds(60)) {
            let planned = plan(&self.checked.state, &self.leader.load, wake);
            if !planned.commands.is_empty() {
                return;
            }
            idle += 1;
            assert!(
                idle < 60,
                "{idle} idle wakes until {wake:?} from {:?}",
                self.now
            );
            next = planned.next_wake;
        }
    }

    /// Promise 2: a frontend is stopped only when no ingress can send to it any more, and its
    /// requests ended or outlived the drain time. An ingress that was cut off for longer than the
    /// hold is given up.
    fn stops_cost_nobody(&self, command: &Command) {
        let Command::Step(steps) = command else {
            return;
        };
        let stops = steps
            .iter()
            .filter(|step| matches!(step.action, Action::Stop { .. }));
        for step in stops {
            let state = &self.checked.state;
            let Some(frontend) = state.frontends.get(&step.frontend) else {
                continue;
            };
            let environment = state.environments.get(&frontend.loaded.environment);
            let drain = environment.map_or(Millis(0), |e| e.settings.drain);
            let drained = frontend.desired_since.plus(drain) <= self.now;
            for ingress in self.ingresses.values() {
                if self.silence(ingress.node) >= SILENT_INGRESS_HOLD
                    || !self.powered(ingress.node)
                    || !self.answers(frontend.id)
                {
                    continue;
                }
                assert!(
                    !ingress.table.routes_to(frontend.id),
                    "{} is stopped while n{} routes to it: {frontend:#?}",
                    frontend.name(),
                    ingress.node
                );
                let in_flight = ingress.requests.iter().any(|r| r.frontend == frontend.id);
                assert!(
                    !in_flight || drained,
                    "{} is stopped while n{} has requests there: {frontend:#?}",
                    frontend.name(),
                    ingress.node
                );
            }
        }
    }

    /// Who is told that a release took over may ask any ingress the cluster hears.
    fn takeovers_are_known(&self, command: &Command) {
        let Command::AdvanceRollout {
            environment,
            step: Advance::Settle | Advance::Guarded | Advance::Confirmed,
            ..
        } = command
        else {
            return;
        };
        let rollout = self.checked.state.rollouts.get(environment);
        let Some(Phase::Complete { generation } | Phase::Draining { generation }) =
            rollout.map(|rollout| &rollout.phase)
        else {
            return;
        };
        let load = &self.leader.load;
        for ingress in self.ingresses.values() {
            let facts = load.ingresses.get(&ingress.node).and_then(|i| i.get(&1));
            let heard = facts.map_or(load.since, |facts| facts.heard.max(load.since));
            assert!(
                ingress.table.generation >= *generation
                    || self.now.since(heard) >= LOST_AFTER
                    || !self.powered(ingress.node),
                "n{} serves table {} when {generation} is said to be everywhere",
                ingress.node,
                ingress.table.generation
            );
        }
    }

    fn send_orders(&mut self) {
        for worker in self.workers.values() {
            let Some(session) = worker.session else {
                continue;
            };
            let orders = self.orders_for(worker.node);
            let sent = Some(&(session.id, orders.clone()));
            if self.leader.sent_orders.get(&worker.node) != sent {
                self.leader
                    .sent_orders
                    .insert(worker.node, (session.id, orders.clone()));
                let to = Party::Worker(worker.node);
                self.post.send(self.now, to, session, Mail::Orders(orders));
            }
        }
    }

    fn orders_for(&self, node: NodeId) -> BTreeMap<FrontendId, Order> {
        let state = &self.checked.state;
        let doomed = |frontend: &fleet_model::frontend::Frontend| {
            let loaded = state.loaded.get(&frontend.loaded);
            loaded.is_some_and(|loaded| loaded.name.starts_with("bad"))
        };
        state
            .frontends_on(node)
            .map(|frontend| {
                let order = Order {
                    desired: frontend.desired,
                    doomed: doomed(frontend),
                };
                (frontend.id, order)
            })
            .collect()
    }

    fn send_tables(&mut self) {
        let state = &self.checked.state;
        let table = || Table {
            generation: state.generation,
            environments: state
                .environments
                .keys()
                .filter_map(|key| {
                    let version = state.route_changes.get(key).copied().unwrap_or_default();
                    Some((key.clone(), (version, route::environment(state, key)?)))
                })
                .collect(),
        };
        for ingress in self.ingresses.values() {
            let Some(session) = ingress.session else {
                continue;
            };
            let newest = (session.id, state.generation);
            if self.leader.sent_table.get(&ingress.node) != Some(&newest) {
                self.leader.sent_table.insert(ingress.node, newest);
                let to = Party::Ingress(ingress.node);
                self.post.send(self.now, to, session, Mail::Table(table()));
            }
        }
    }

    pub fn deliver(&mut self) {
        while let Some((party, session, mail)) = self.post.next(self.now) {
            let current = |session: Option<Session>| session.map(|session| session.id);
            let now = self.now;
            match party {
                Party::Worker(node) => {
                    if current(self.workers[&node].session) != Some(session) {
                        continue;
                    }
                    match mail {
                        Mail::Reports(reports) => {
                            self.leader.heard_worker(node, now);
                            if !reports.is_empty() {
                                let observe = Command::Observe { node, reports };
                                drop(self.checked.commit(now, observe));
                            }
                        }
                        Mail::Heartbeat => self.leader.heard_worker(node, now),
                        Mail::Orders(orders) => {
                            self.hold_stops(node, &orders);
                            if let Some(worker) = self.workers.get_mut(&node) {
                                worker.obey(&orders, now, &mut self.random);
                            }
                        }
                        Mail::Status(_) | Mail::Table(_) => {}
                    }
                }
                Party::Ingress(node) => {
                    let Some(ingress) = self.ingresses.get_mut(&node) else {
                        continue;
                    };
                    if current(ingress.session) != Some(session) {
                        continue;
                    }
                    match mail {
                        Mail::Status(facts) => self.leader.heard_ingress(node, facts, now),
                        Mail::Table(table) => ingress.table = table,
                        Mail::Reports(_) | Mail::Heartbeat | Mail::Orders(_) => {}
                    }
                }
            }
        }
    }

    /// In mild weather the same promise once more, at the worker: nothing that answers is stopped
    /// under a request that would have ended in time.
    fn hold_stops(&self, node: NodeId, orders: &BTreeMap<FrontendId, Order>) {
        for (id, phase) in self.workers[&node].processes() {
            let forgotten = !orders.contains_key(&id) && !phase.over();
            assert!(
                !forgotten || phase == frontend::Phase::Stopping || self.rough(),
                "{id} was forgotten"
            );
        }
    }
}
