//! Labels and agents, on nodes made by hand.

use std::sync::Arc;

use imbl::OrdMap;

use super::*;
use crate::{
    Time,
    environment::{Loaded, LoadedStatus},
    frontend::{Observed, Phase},
    ids::{AppName, BuildId, EnvironmentKey, EnvironmentName, FrontendId, ReleaseId},
    manifest::{Affinity, Manifest, Run},
    node::Vote,
    release::Variables,
};

fn key() -> LoadedKey {
    LoadedKey {
        environment: EnvironmentKey {
            app: AppName::parse("shop").unwrap(),
            name: EnvironmentName::parse("prod").unwrap(),
        },
        release: ReleaseId::from_index(1),
    }
}

fn web() -> ServiceName {
    ServiceName::parse("web").unwrap()
}

fn node(id: u64, labels: &[(&str, &str)]) -> Node {
    let labels = labels.iter();
    Node {
        id: NodeId(id),
        name: format!("n{id}"),
        address: String::new(),
        roles: Role::ALL.into(),
        labels: labels
            .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
            .collect(),
        architecture: String::new(),
        joined: Time::default(),
        lease: Lease::Ready,
        lease_since: Time::default(),
        draining: false,
        drain_until: None,
        leaving: false,
        vote: Vote::Automatic,
        mute: None,
        relapses: 0,
        returned: None,
        facts: None,
        revision: 0,
    }
}

/// Three nodes, of which the first two have an `ssd` and the last two are in `zone` b.
fn state(change: impl FnOnce(&mut Service)) -> State {
    let mut service = Service::new(Run::Shell("run".to_owned()));
    change(&mut service);
    let manifest = Manifest {
        services: [(web(), service)].into(),
        ..Manifest::default()
    };
    let loaded = Loaded {
        release: key().release,
        build: BuildId::from_index(1),
        name: "037205f".to_owned(),
        status: LoadedStatus::Running,
        loaded: Time::default(),
        updated: Time::default(),
        since: Time::default(),
        manifest: Arc::new(manifest),
        variables: Variables::default(),
        desired: OrdMap::new(),
        slots: OrdMap::new(),
        failures: 0,
        restarts: OrdMap::new(),
        scaling: OrdMap::new(),
        revision: 0,
    };
    let nodes = [
        node(1, &[("disk", "ssd"), ("zone", "a")]),
        node(2, &[("disk", "ssd"), ("zone", "b")]),
        node(3, &[("disk", "hdd"), ("zone", "b")]),
    ];
    State {
        nodes: nodes.into_iter().map(|node| (node.id, node)).collect(),
        loaded: [(key(), loaded)].into_iter().collect(),
        ..State::default()
    }
}

/// Where so many frontends go, one after the other; the reasons once there is no place.
fn places(state: &State, count: usize) -> Vec<String> {
    let mut tally = Tally::of(state, Time::default());
    let place = |_| match tally.place(&key(), &web()) {
        Ok(node) => node.to_string(),
        Err(refusals) => {
            let each = refusals.iter().map(|r| format!("{} {}", r.nodes, r.why));
            each.collect::<Vec<_>>().join(", ")
        }
    };
    (0..count).map(place).collect()
}

#[test]
fn labels_that_must_be_there_are_a_filter() {
    let ssd = state(|web| web.node_selector = [("disk".to_owned(), "ssd".to_owned())].into());
    assert_eq!(places(&ssd, 4), ["1", "2", "1", "2"]);
    assert!(admits(&ssd, &key(), &web(), NodeId(2)));
    assert!(!admits(&ssd, &key(), &web(), NodeId(3)));
    let gpu = state(|web| web.node_selector = [("gpu".to_owned(), "yes".to_owned())].into());
    assert_eq!(places(&gpu, 1), ["3 lack labels it must have"]);
}

#[test]
fn labels_that_draw_come_before_spreading_and_never_forbid() {
    let drawn = |weights: [(u32, &'static str, &'static str); 2]| {
        state(|web| {
            web.node_affinity = weights
                .map(|(weight, label, value)| Affinity {
                    weight,
                    label: label.to_owned(),
                    value: value.to_owned(),
                })
                .into();
        })
    };
    // Summed, node 2 has 3, node 1 has 1 and node 3 has 2.
    let both = drawn([(1, "disk", "ssd"), (2, "zone", "b")]);
    assert_eq!(places(&both, 2), ["2", "2"]);
    let none = drawn([(1, "disk", "tape"), (1, "zone", "c")]);
    assert_eq!(places(&none, 3), ["1", "2", "3"], "spread as without any");
}

#[test]
fn requests_are_held_against_what_a_node_has() {
    let facts = |cpu_millicores, memory_bytes| {
        Some(crate::node::Facts {
            cpu_millicores,
            memory_bytes,
            ..crate::node::Facts::default()
        })
    };
    let mut state = state(|web| {
        web.requests.cpu_millicores = Some(500);
        web.requests.memory_bytes = Some(1_000);
    });
    let settings = crate::environment::Settings::initial(&key().environment.name);
    let environment = crate::environment::Environment {
        key: key().environment,
        created: Time::default(),
        updated: Time::default(),
        active: None,
        previous: crate::environment::Previous::Never,
        variables: Variables::default(),
        newest: None,
        settings,
        masked: imbl::OrdSet::new(),
        destroying: false,
        revision: 0,
    };
    state.environments.insert(key().environment, environment);
    for (id, facts) in [
        (1, facts(1_000, 9_000)),
        (2, facts(4_000, 1_999)),
        (3, None),
    ] {
        state.nodes.get_mut(&NodeId(id)).unwrap().facts = facts;
    }
    // The last has not said what it has and takes them all; the others two and one.
    let places = places(&state, 6);
    let on = |node: &str| places.iter().filter(|place| *place == node).count();
    assert_eq!((on("1"), on("2"), on("3")), (2, 1, 3), "{places:?}");
    state.nodes.remove(&NodeId(3));
    let why = "1 have not the cpu it requests, 1 have not the memory it requests";
    assert_eq!(super::tests::places(&state, 4)[3], why);
}

#[test]
fn an_agent_is_never_two_on_a_node() {
    let mut agents = state(|web| web.agent = true);
    let full = "3 run their agent already";
    assert_eq!(places(&agents, 4), ["1", "2", "3", full]);
    // One that was told to stop is still there until it has ended.
    let mut frontend = Frontend {
        id: FrontendId(1),
        loaded: key(),
        service: web(),
        slot: 1,
        incarnation: 1,
        node: NodeId(2),
        placed: Time::default(),
        desired: Desired::Stop,
        desired_since: Time::default(),
        observed: Observed::assigned(Time::default()),
        revision: 0,
    };
    agents.put_frontend(frontend.clone());
    assert_eq!(places(&agents, 3), ["1", "3", full]);
    assert!(!admits(&agents, &key(), &web(), NodeId(2)));
    frontend.observed.phase = Phase::Stopped;
    agents.put_frontend(frontend);
    assert!(admits(&agents, &key(), &web(), NodeId(2)));
}
