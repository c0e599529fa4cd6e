//! Machines that are emptied, fall silent and come back, with services of every kind on them.

use fleet_model::{
    Command, Time,
    command::{NewBuild, NodeChange, Report},
    frontend::{Desired, Frontend, Phase},
    ids::{EnvironmentKey, NodeId},
    manifest::{Scale, Service},
    node::{Lease, Vote},
    plan::{IngressFacts, Load, drain as drained},
    time::Millis,
};

use crate::common::{
    Checked, app, change, digest, drain, environment, manifest, registration, removal, web,
};

/// Nodes, an active release, and workers that do what they are told unless they are silent.
struct Fleet {
    checked: Checked,
    now: Time,
    load: Load,
    silent: Vec<NodeId>,
}

impl Fleet {
    fn of(nodes: u64, services: &[(&str, Service)]) -> Self {
        let mut fleet = Self {
            checked: Checked::new(),
            now: Time(1_000),
            load: Load::default(),
            silent: Vec::new(),
        };
        for number in 1..=nodes {
            let node = registration(number, (number == 1).then_some(1));
            fleet.commit(Command::RegisterNode(node));
        }
        fleet.commit(Command::CreateApp {
            name: "shop".to_owned(),
        });
        fleet.commit(Command::CreateBuild(NewBuild {
            app: app("shop"),
            name: "aaaa111".to_owned(),
            message: "a change".to_owned(),
            digest: digest(1),
            size: 10,
            manifest: manifest(services),
            holder: NodeId(1),
            environment: None,
            description: None,
        }));
        for node in fleet.nodes() {
            let digest = digest(1);
            drop(
                fleet
                    .checked
                    .commit(fleet.now, Command::RecordCopy { digest, node }),
            );
        }
        fleet.pass(1);
        fleet.commit(Command::Promote {
            environment: prod(),
            reference: Some("aaaa111".to_owned()),
            force: false,
        });
        fleet.rest();
        fleet.pass(60);
        fleet
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.checked.state.nodes.keys().copied().collect()
    }

    /// By the order of joining, from 1.
    fn node(&self, number: usize) -> NodeId {
        self.nodes()[number - 1]
    }

    fn commit(&mut self, command: Command) {
        self.checked.commit(self.now, command).unwrap();
    }

    /// Lets so many seconds go by, planning in each.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now = self.now.plus(Millis::seconds(1));
            self.look();
            if let Some(report) = self.reports().into_iter().next() {
                self.commit(report);
                self.look();
            }
        }
    }

    /// Plans, with ingresses that swap to each new table at once.
    fn look(&mut self) {
        loop {
            let generation = self.checked.state.generation;
            self.hear();
            self.checked.settle(&self.load, self.now);
            if self.checked.state.generation == generation {
                return;
            }
        }
    }

    fn hear(&mut self) {
        let state = &self.checked.state;
        for node in state.nodes.keys().filter(|n| !self.silent.contains(n)) {
            self.load.workers.insert(*node, self.now);
            let facts = IngressFacts {
                heard: self.now,
                applied: state.generation,
                ..IngressFacts::default()
            };
            self.load.ingresses.insert(*node, [(1, facts)].into());
        }
    }

    /// Until no worker has anything to do.
    fn rest(&mut self) {
        for _ in 0..200 {
            self.look();
            let Some(report) = self.reports().into_iter().next() else {
                return;
            };
            self.now = self.now.plus(Millis(100));
            self.commit(report);
        }
        panic!("no rest");
    }

    fn reports(&self) -> Vec<Command> {
        let frontends = self.checked.state.frontends.values();
        let heard = frontends.filter(|f| !self.silent.contains(&f.node));
        let next = |frontend: &Frontend| match (frontend.desired, frontend.observed.phase) {
            (_, phase) if phase.over() => None,
            (Desired::Stop, _) => Some(Phase::Stopped),
            (Desired::Run, Phase::Healthy) | (Desired::Withdrawn { .. }, _) => None,
            (Desired::Run, _) => Some(Phase::Healthy),
        };
        heard.filter_map(|f| Some(report(f, next(f)?))).collect()
    }

    fn silence(&mut self, number: usize) {
        self.silent.push(self.node(number));
    }

    fn back(&mut self, number: usize) {
        let node = self.node(number);
        self.silent.retain(|silent| *silent != node);
    }

    /// How many frontends of a service run on each node.
    fn spread(&self, service: &str) -> Vec<usize> {
        let here = |node: &NodeId| {
            let on = self.checked.state.frontends_on(*node);
            on.filter(|f| f.service.as_str() == service && f.is_there())
                .count()
        };
        self.nodes().iter().map(here).collect()
    }

    fn lease(&self, number: usize) -> Lease {
        self.checked.state.nodes[&self.node(number)].lease
    }

    fn said(&self, what: &str) -> usize {
        let events = self.checked.state.events.values();
        events.filter(|event| event.message.contains(what)).count()
    }

    fn left(&self, number: usize) -> Vec<String> {
        let left = drained::left(&self.checked.state, self.node(number));
        left.iter().map(ToString::to_string).collect()
    }
}

fn report(frontend: &Frontend, phase: Phase) -> Command {
    Command::Observe {
        node: frontend.node,
        reports: vec![Report {
            frontend: frontend.id,
            phase,
            address: Some(format!(
                "10.0.0.{}:{}",
                frontend.node,
                20_000 + frontend.id.0
            )),
            pid: None,
            reason: String::new(),
            exit: None,
        }],
    }
}

fn prod() -> EnvironmentKey {
    environment("shop/prod")
}

fn count(count: u32, change: impl FnOnce(&mut Service)) -> Service {
    let mut service = Service {
        scale: Some(Scale {
            count,
            min: count,
            max: count,
        }),
        ..web()
    };
    change(&mut service);
    service
}

fn singleton() -> Service {
    count(1, |service| {
        service.singleton = true;
        service.deployment.minimum = 0;
        service.deployment.maximum = 100;
    })
}

fn agent() -> Service {
    Service {
        agent: true,
        ..singleton()
    }
}

#[test]
fn a_service_of_one_is_replaced_before_it_goes() {
    let mut fleet = Fleet::of(2, &[("web", count(1, |_| {}))]);
    assert_eq!(fleet.spread("web"), [1, 0]);
    fleet.commit(drain(NodeId(1), true));
    fleet.look();
    assert_eq!(fleet.spread("web"), [1, 1], "first the second");
    assert_eq!(
        fleet.left(1),
        ["web-1 of shop/prod waits for web-2 on n2 to be healthy"]
    );
    fleet.rest();
    assert_eq!(fleet.spread("web"), [0, 1]);
    assert_eq!(fleet.said("node n1 is drained"), 1);
    assert_eq!(fleet.left(1), [""; 0]);
}

#[test]
fn a_singleton_stops_first() {
    let mut fleet = Fleet::of(2, &[("job", singleton())]);
    fleet.commit(drain(NodeId(1), true));
    for _ in 0..20 {
        fleet.pass(1);
        assert!(
            fleet.spread("job").iter().sum::<usize>() <= 1,
            "two at once"
        );
    }
    assert_eq!(fleet.spread("job"), [0, 1]);
}

#[test]
fn a_restarted_singleton_is_never_two_wherever_it_goes() {
    let mut fleet = Fleet::of(2, &[("job", singleton()), ("web", count(3, |_| {}))]);
    fleet.commit(Command::Restart {
        environment: prod(),
        service: Some("job".to_owned()),
    });
    fleet.look();
    // Told to stop and still there: [`Checked`] looks at every placement, and here is none.
    assert_eq!(fleet.spread("job").iter().sum::<usize>(), 1);
    fleet.rest();
    assert_eq!(fleet.spread("job").iter().sum::<usize>(), 1);
    assert!(fleet.said("it is restarted") == 1);
}

#[test]
fn who_cannot_move_is_named_with_what_would_help() {
    let pinned = |mut service: Service| {
        service.node_selector = [("zone".to_owned(), "z1".to_owned())].into();
        service
    };
    let services = [
        ("job", pinned(singleton())),
        ("web", pinned(count(1, |_| {}))),
    ];
    let mut fleet = Fleet::of(2, &services);
    fleet.commit(drain(NodeId(1), true));
    fleet.rest();
    let refusals = "1 are being drained, 1 lack labels it must have";
    let help = "label another node: fleet node labels set NODE zone=z1";
    assert_eq!(
        fleet.left(1),
        [
            format!(
                "job-1 of shop/prod is a singleton that no other node can take: {refusals}; {help}"
            ),
            format!("web-2 of shop/prod cannot be replaced on any other node: {refusals}; {help}"),
        ]
    );
    assert_eq!(
        (fleet.spread("job"), fleet.spread("web")),
        (vec![1, 0], vec![1, 0])
    );
    let labels = NodeChange::SetLabels {
        set: [("zone".to_owned(), "z1".to_owned())].into(),
        unset: [].into(),
    };
    fleet.commit(change(fleet.node(2), labels));
    fleet.rest();
    assert_eq!(
        (fleet.spread("job"), fleet.spread("web")),
        (vec![0, 1], vec![0, 1])
    );
}

#[test]
fn agents_go_last_and_no_other_agent_is_touched() {
    let mut fleet = Fleet::of(3, &[("agent", agent()), ("web", count(3, |_| {}))]);
    let others: Vec<_> = fleet.checked.state.frontends.values().cloned().collect();
    fleet.commit(drain(NodeId(1), true));
    fleet.look();
    assert_eq!(fleet.spread("agent"), [1, 1, 1], "web is still there");
    fleet.rest();
    assert_eq!(fleet.spread("agent"), [0, 1, 1]);
    assert_eq!(fleet.spread("web").iter().sum::<usize>(), 3);
    for agent in others.iter().filter(|f| f.service.as_str() == "agent") {
        let now = fleet.checked.state.frontends.get(&agent.id);
        assert_eq!(now.is_some(), agent.node != NodeId(1), "{}", agent.name());
    }
    fleet.commit(drain(NodeId(1), false));
    fleet.rest();
    assert_eq!(fleet.spread("agent"), [1, 1, 1]);
}

#[test]
fn a_deadline_sends_away_what_is_left() {
    let pinned = count(1, |web| {
        web.node_selector = [("zone".to_owned(), "z1".to_owned())].into();
    });
    let mut fleet = Fleet::of(2, &[("web", pinned)]);
    let deadline = Some(Millis::seconds(20));
    fleet.commit(change(NodeId(1), NodeChange::Drain { deadline }));
    fleet.pass(19);
    assert_eq!(fleet.spread("web"), [1, 0]);
    fleet.pass(3);
    fleet.rest();
    assert_eq!(fleet.spread("web"), [0, 0]);
    assert_eq!(fleet.said("the deadline for draining n1 is over"), 1);
}

#[test]
fn a_blip_moves_nothing() {
    let mut fleet = Fleet::of(3, &[("web", count(3, |_| {}))]);
    let before = fleet.checked.state.frontends.clone();
    fleet.silence(2);
    fleet.pass(10);
    assert_eq!(fleet.lease(2), Lease::Suspect);
    fleet.back(2);
    fleet.pass(5);
    assert_eq!(fleet.lease(2), Lease::Ready);
    assert_eq!(fleet.checked.state.frontends, before);
    assert_eq!(fleet.checked.state.nodes[&fleet.node(2)].relapses, 0);
}

#[test]
fn a_node_that_flaps_is_held_back_for_longer_each_time() {
    let mut fleet = Fleet::of(2, &[("web", count(1, |_| {}))]);
    let mut holds = Vec::new();
    for _ in 0..4 {
        fleet.silence(2);
        fleet.pass(17);
        assert_eq!(fleet.lease(2), Lease::Lost);
        fleet.back(2);
        fleet.pass(1);
        let node = &fleet.checked.state.nodes[&fleet.node(2)];
        assert_eq!(node.lease, Lease::Ready);
        let until = node.held_back_until();
        holds.push(until.map_or(0, |until| until.since(node.returned.unwrap()).0 / 1_000));
    }
    assert_eq!(holds, [0, 30, 60, 120]);
    // The other one is emptied, and must wait for the hold to end.
    fleet.commit(drain(NodeId(1), true));
    fleet.pass(100);
    assert_eq!(fleet.spread("web"), [1, 0]);
    assert!(
        fleet.left(1)[0].contains("lost again and again"),
        "{:?}",
        fleet.left(1)
    );
    fleet.pass(30);
    assert_eq!(fleet.spread("web"), [0, 1]);
    // After a long time without, it begins anew.
    fleet.now = fleet.now.plus(fleet_model::node::STEADY_AFTER);
    fleet.pass(1);
    fleet.silence(2);
    fleet.pass(17);
    fleet.back(2);
    fleet.pass(1);
    assert_eq!(fleet.checked.state.nodes[&fleet.node(2)].relapses, 1);
}

#[test]
fn many_lost_at_once_are_replaced_a_few_at_a_time() {
    let mut fleet = Fleet::of(6, &[("web", count(90, |_| {}))]);
    let wide = |fleet: &Fleet| fleet.spread("web").iter().sum::<usize>();
    assert_eq!(wide(&fleet), 90);
    for number in 4..=6 {
        fleet.silence(number);
    }
    fleet.pass(16);
    assert_eq!(fleet.said("3 of 6 workers were lost within 1 min"), 1);
    let first = wide(&fleet);
    assert!((45..=55).contains(&first), "{first} run");
    fleet.pass(5);
    assert!(wide(&fleet) <= 55, "{} run", wide(&fleet));
    fleet.pass(60);
    assert!(wide(&fleet) > first + 20, "it goes on: {}", wide(&fleet));
}

#[test]
fn one_lost_node_is_replaced_at_once() {
    let mut fleet = Fleet::of(4, &[("web", count(80, |_| {}))]);
    fleet.silence(4);
    fleet.pass(17);
    assert_eq!(fleet.spread("web").iter().sum::<usize>(), 80);
}

#[test]
fn only_who_may_leave_leaves() {
    let mut fleet = Fleet::of(2, &[("web", count(2, |_| {}))]);
    let refused = |fleet: &mut Fleet, command| {
        let answer = fleet.checked.commit(fleet.now, command);
        answer.unwrap_err().to_string()
    };
    let second = fleet.node(2);
    assert_eq!(
        refused(&mut fleet, removal(second)),
        "1 frontends run on node n2"
    );
    fleet.commit(change(NodeId(1), NodeChange::Vote(Vote::Never)));
    let last = "no control node but n2 may vote, and a cluster needs one that does";
    for asked in [NodeChange::Vote(Vote::Never), NodeChange::Leave] {
        assert_eq!(refused(&mut fleet, change(second, asked)), last);
    }
    fleet.commit(change(NodeId(1), NodeChange::Vote(Vote::Automatic)));
    fleet.commit(change(second, NodeChange::Leave));
    let last = "node n1 is the last control node; with it the cluster would end";
    assert_eq!(
        refused(&mut fleet, change(NodeId(1), NodeChange::Leave)),
        last
    );
    fleet.rest();
    fleet.commit(removal(second));
    assert!(fleet.checked.state.was_removed(second));
    assert!(!fleet.checked.state.was_removed(NodeId(1)));
    assert!(
        !fleet
            .checked
            .state
            .was_removed(NodeId(fleet.checked.state.index + 1))
    );
}

#[test]
fn a_node_that_joins_gets_its_share_one_move_at_a_time() {
    let mut fleet = Fleet::of(2, &[("web", count(6, |_| {}))]);
    assert_eq!(fleet.spread("web"), [3, 3]);
    fleet.commit(Command::RegisterNode(registration(4, None)));
    fleet.pass(55);
    assert_eq!(
        fleet.spread("web"),
        [3, 3, 0],
        "it may go as fast as it came"
    );
    let mut widest = 0;
    for _ in 0..60 {
        fleet.pass(1);
        widest = widest.max(fleet.spread("web").iter().sum());
        let healthy = fleet
            .checked
            .state
            .frontends
            .values()
            .filter(|f| f.healthy());
        assert!(healthy.count() >= 6, "a replacement starts first");
    }
    assert_eq!(widest, 7, "one at a time");
    // The first is alone in its zone; the others share one.
    assert_eq!(fleet.spread("web"), [3, 2, 1]);
    assert_eq!(fleet.said("to spread web better"), 1);
}

#[test]
fn a_zone_that_comes_back_is_used_again_at_the_pace_that_was_set() {
    let mut fleet = Fleet::of(3, &[("web", count(8, |_| {}))]);
    let before = fleet.spread("web");
    assert_eq!(before, [2, 4, 2], "the second is a zone of its own");
    fleet.silence(2);
    fleet.pass(20);
    assert_eq!(fleet.spread("web"), [4, 0, 4]);
    fleet.back(2);
    fleet.commit(Command::SetMoves { per_minute: 0 });
    fleet.pass(100);
    assert_eq!(fleet.spread("web"), [4, 0, 4], "switched off");
    fleet.commit(Command::SetMoves { per_minute: 2 });
    fleet.pass(61);
    let moved = fleet.said("to spread web better");
    assert!((2..=3).contains(&moved), "{moved} moves in a minute");
    fleet.pass(120);
    assert_eq!(fleet.spread("web"), before);
    let moved = fleet.said("to spread web better");
    fleet.pass(120);
    assert_eq!(fleet.said("to spread web better"), moved, "there is an end");
}
