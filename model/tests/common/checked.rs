//! A state that is looked at from all sides after every command.

mod rolling;

use std::{collections::BTreeMap, sync::Arc};

use fleet_model::{
    Command, Entry, Outcome, Rejection, State, Time, check,
    environment::LoadedStatus,
    frontend::{Desired, Frontend, Phase},
    ids::{FrontendId, LoadedKey, NodeId, RequestId, ServiceName},
    node::Lease,
    plan::{Load, Plan, plan},
    route::{self, EnvironmentRoutes},
};

/// How often a plan may be followed by another before the cluster must rest.
const ROUNDS: usize = 12;

/// The state, its log, and everything that must hold between one command and the next.
#[derive(Debug)]
pub struct Checked {
    pub state: State,
    log: Vec<Entry>,
    answers: BTreeMap<RequestId, Result<Outcome, Rejection>>,
    incarnations: BTreeMap<(LoadedKey, ServiceName, u32), u64>,
    newest_frontend: FrontendId,
}

impl Checked {
    pub fn new() -> Self {
        Self {
            state: State::genesis(),
            log: Vec::new(),
            answers: BTreeMap::new(),
            incarnations: BTreeMap::new(),
            newest_frontend: FrontendId(0),
        }
    }

    pub fn commit(&mut self, time: Time, command: Command) -> Result<Outcome, Rejection> {
        self.ask(time, None, command)
    }

    /// The verdict on a node's lease, as a leader would pass it that sees the state as it is.
    pub fn mark(&self, node: NodeId, from: Lease, to: Lease) -> Command {
        let assumed = self.state.nodes.get(&node).map(|node| node.revision);
        Command::MarkNode {
            node,
            from,
            to,
            assumed: assumed.unwrap_or_default(),
        }
    }

    /// Applies a command and holds every invariant of a single step.
    pub fn ask(
        &mut self,
        time: Time,
        request: Option<&str>,
        command: Command,
    ) -> Result<Outcome, Rejection> {
        let entry = Entry {
            index: self.state.index + 1,
            time,
            request: request.map(|id| RequestId(id.into())),
            actor: Arc::from(if request.is_some() { "ada" } else { "fleet" }),
            command,
        };
        let before = self.state.clone();
        self.log.push(entry.clone());
        let answer = self.state.apply(entry.clone());
        let after = &self.state;
        let said = format!("after {:?}: {answer:?}", entry.command);
        assert_eq!(check::violations(after), Vec::<String>::new(), "{said}");
        assert_eq!(after.index, entry.index);
        assert_eq!(after.now, before.now.max(entry.time), "time ran backwards");
        if answer.is_err() {
            same_but_for_the_record(&before, after, &said);
        }
        routes_are_news(&before, after, &said);
        statuses_follow_their_table(&before, after, &said);
        self.frontends_only_move_forward(&before, &said);
        self.a_retry_gets_the_first_answer(&entry, &before, &answer);
        answer
    }

    /// Plans and applies until the planner has nothing more to say now.
    pub fn settle(&mut self, load: &Load, now: Time) -> Plan {
        for _ in 0..ROUNDS {
            let planned = plan(&self.state, load, now);
            assert_eq!(planned, plan(&self.state, load, now), "a plan of chance");
            if planned.commands.is_empty() {
                return planned;
            }
            for command in planned.commands {
                self.planned(now, command);
            }
        }
        let rest = plan(&self.state, load, now);
        panic!("no rest after {ROUNDS} rounds of planning: {rest:#?}");
    }

    /// Applies what the planner decided, holding it to the promises about its own hand.
    pub fn planned(&mut self, now: Time, command: Command) {
        let before = self.state.clone();
        let said = format!("{command:?}");
        let by_hand = matches!(command, Command::Step(_));
        let moved = match &command {
            Command::Move { frontend, .. } => Some(*frontend),
            _ => None,
        };
        // That a node is lost is somebody else's doing.
        let told = matches!(command, Command::MarkNode { .. });
        if self.commit(now, command).is_err() {
            return;
        }
        if let Some(moved) = moved {
            let rollout = before
                .rollouts
                .get(&before.frontends[&moved].loaded.environment);
            assert!(
                rollout.is_none_or(|r| r.phase.over()),
                "in a rollout: {said}"
            );
        }
        if by_hand {
            counts_are_kept(&before, &self.state, &said);
        }
        if !told {
            rolling::bounds_hold(&before, &self.state, &said);
        }
    }

    /// The same log makes the same state.
    pub fn replay(&self) {
        let mut again = State::genesis();
        for entry in &self.log {
            let _ = again.apply(entry.clone());
        }
        assert_eq!(again, self.state, "the log was replayed to another state");
    }

    fn a_retry_gets_the_first_answer(
        &mut self,
        entry: &Entry,
        before: &State,
        answer: &Result<Outcome, Rejection>,
    ) {
        let Some(request) = &entry.request else {
            return;
        };
        match self.answers.get(request) {
            None => {
                self.answers.insert(request.clone(), answer.clone());
            }
            Some(first) => {
                assert_eq!(answer, first, "a retry was answered otherwise");
                let mut expected = before.clone();
                expected.index = self.state.index;
                expected.now = self.state.now;
                assert_eq!(self.state, expected, "a retry took effect");
            }
        }
    }

    /// Ids are never given twice, incarnations of a slot grow, and what is wanted moves forward.
    fn frontends_only_move_forward(&mut self, before: &State, said: &str) {
        // A release that was unloaded left nothing behind; loaded again, it begins anew.
        let loaded = &self.state.loaded;
        self.incarnations
            .retain(|(key, ..), _| loaded.contains_key(key));
        for (id, frontend) in &self.state.frontends {
            let Some(was) = before.frontends.get(id) else {
                assert!(*id > self.newest_frontend, "{id} was given twice {said}");
                placed_where_one_was_missing(before, frontend, said);
                self.newest_frontend = *id;
                let slot = (
                    frontend.loaded.clone(),
                    frontend.service.clone(),
                    frontend.slot,
                );
                let last = self.incarnations.insert(slot, frontend.incarnation);
                assert!(
                    last < Some(frontend.incarnation),
                    "incarnation {} of {} follows {last:?} {said}",
                    frontend.incarnation,
                    frontend.name()
                );
                continue;
            };
            assert!(
                was.desired <= frontend.desired,
                "{id} is wanted again {said}"
            );
            let (from, to) = (was.observed.phase, frontend.observed.phase);
            let lost = to == Phase::Lost;
            assert!(
                from == to || lost || from.may_become(to),
                "{id}: {from:?} became {to:?} {said}"
            );
        }
    }
}

/// A slot gets another frontend only when nobody holds it who is to stay, and on a node that takes
/// frontends.
fn placed_where_one_was_missing(before: &State, placed: &Frontend, said: &str) {
    let node = before.nodes.get(&placed.node);
    let ready = node.is_some_and(|node| node.lease == Lease::Ready && !node.draining);
    assert!(ready, "{} was placed on {node:?} {said}", placed.name());
    let restarted = before
        .loaded
        .get(&placed.loaded)
        .and_then(|loaded| loaded.restarts.get(&placed.service));
    let stays = |f: &&Frontend| {
        let place = (&f.loaded, &f.service, f.slot);
        place == (&placed.loaded, &placed.service, placed.slot)
            && f.holds_slot()
            && !before.is_moving(f)
            && !before.nodes[&f.node].draining
            && restarted.is_none_or(|since| f.placed >= *since)
    };
    let singleton = before
        .loaded
        .get(&placed.loaded)
        .and_then(|loaded| loaded.manifest.services.get(&placed.service))
        .is_some_and(|service| service.singleton);
    let runs = |f: &&Frontend| {
        singleton
            && (&f.loaded, &f.service, f.slot) == (&placed.loaded, &placed.service, placed.slot)
            && f.is_there()
    };
    let second = before.frontends.values().find(runs);
    assert_eq!(second, None, "a second {} {said}", placed.name());
    let holder = before.frontends.values().find(stays);
    assert!(
        holder.is_none(),
        "{holder:?} holds the slot of {} {said}",
        placed.name()
    );
}

/// A rejected command leaves nothing but the index, the time and the remembered answer.
fn same_but_for_the_record(before: &State, after: &State, said: &str) {
    let mut expected = before.clone();
    expected.index = after.index;
    expected.now = after.now;
    expected.requests = after.requests.clone();
    expected.request_order = after.request_order.clone();
    assert_eq!(*after, expected, "a rejected command had an effect {said}");
}

/// Whoever follows the route table by its generation misses no change of it.
fn routes_are_news(before: &State, after: &State, said: &str) {
    assert!(after.generation >= before.generation, "{said}");
    let keys = before.environments.keys().chain(after.environments.keys());
    for key in keys {
        let (was, is): (Option<EnvironmentRoutes>, _) = (
            route::environment(before, key),
            route::environment(after, key),
        );
        if was != is {
            let (old, new) = (before.route_changes.get(key), after.route_changes.get(key));
            assert!(
                new > old && new > Some(&before.generation) && new <= Some(&after.generation),
                "the routes of {key} changed in silence {said}\n{was:#?}\n{is:#?}"
            );
        }
    }
}

/// Nobody but the transition tables decides who may follow whom.
fn statuses_follow_their_table(before: &State, after: &State, said: &str) {
    for (key, loaded) in &after.loaded {
        let Some(was) = before.loaded.get(key) else {
            let first = matches!(
                loaded.status,
                LoadedStatus::Loading | LoadedStatus::Activating
            );
            assert!(first, "{key:?} begins as {:?} {said}", loaded.status);
            continue;
        };
        // Unloading the active release passes through Deactivating within one command.
        let passed = was.status == LoadedStatus::Active && loaded.status == LoadedStatus::Unloading;
        assert!(
            was.status == loaded.status || passed || was.status.may_become(&loaded.status),
            "{key:?}: {:?} became {:?} {said}",
            was.status,
            loaded.status
        );
    }
    for (key, rollout) in &after.rollouts {
        match before.rollouts.get(key).filter(|was| was.id == rollout.id) {
            Some(was) => assert!(
                was.phase == rollout.phase || was.phase.may_become(&rollout.phase),
                "{key}: {:?} became {:?} {said}",
                was.phase,
                rollout.phase
            ),
            None => {
                let unfinished = before.rollouts.get(key).filter(|was| !was.phase.over());
                assert_eq!(unfinished, None, "a rollout took another's place {said}");
            }
        }
    }
}

/// I3: the planner's own hand never brings the healthy frontends of a service below its count, and
/// below it takes none away.
fn counts_are_kept(before: &State, after: &State, said: &str) {
    let healthy = |state: &State, key: &LoadedKey, service: &ServiceName| {
        state
            .frontends_of(key)
            .filter(|f| f.service == *service && f.healthy())
            .count()
    };
    for (key, loaded) in &after.loaded {
        if !loaded.status.wants_frontends() {
            continue;
        }
        for (service, wanted) in &loaded.desired {
            // Of some there is never a second, and a deadline is somebody's word.
            if after.is_singleton(key, service) || forced(after) {
                continue;
            }
            let (was, is) = (healthy(before, key, service), healthy(after, key, service));
            assert!(
                is >= was || is >= *wanted as usize,
                "{is} of {wanted} frontends of {service} are left of {was} by {said}"
            );
        }
    }
    for (id, was) in &before.frontends {
        let stopped = after
            .frontends
            .get(id)
            .is_some_and(|f| f.desired == Desired::Stop);
        assert!(
            was.desired != Desired::Run || !stopped || !was.routable(),
            "{id} was stopped without being withdrawn by {said}"
        );
    }
}

/// Whether the deadline of a drain is over somewhere.
fn forced(state: &State) -> bool {
    let mut nodes = state.nodes.values();
    nodes.any(|node| node.drain_is_forced(state.now))
}
