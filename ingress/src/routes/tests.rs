use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;
use crate::load::Outcome;
use crate::pin::Pin;
use crate::spec::{HostSpec, PoolSpec, Protocol};

const HOST: &str = "www.test";

fn key(name: &str) -> EnvironmentKey {
    EnvironmentKey {
        app: "shop".to_owned(),
        environment: name.to_owned(),
    }
}

fn environment(host: &str, frontends: &[u64]) -> EnvironmentSpec {
    let backend = |id: &u64| Backend {
        id: *id,
        address: format!("127.0.0.1:{}", 1000 + id)
            .parse()
            .expect("an address"),
        protocol: Protocol::Http1,
    };
    EnvironmentSpec {
        hosts: vec![HostSpec {
            pattern: host.to_owned(),
            pool: 0,
        }],
        pools: vec![PoolSpec {
            backends: frontends.iter().map(backend).collect(),
            ..PoolSpec::default()
        }],
        ..EnvironmentSpec::default()
    }
}

fn spec(generation: u64, frontends: &[u64]) -> Arc<Spec> {
    let environments = BTreeMap::from([(key("prod"), environment(HOST, frontends))]);
    Arc::new(Spec {
        generation,
        environments,
        ..Spec::default()
    })
}

fn asked(host: &str, entropy: u64) -> Asked<'_> {
    Asked {
        host,
        client: [192, 0, 2, 7].into(),
        cookie: None,
        tried: &[],
        entropy,
        now_ms: 0,
    }
}

fn pinned(routes: &Routes<()>, entropy: u64) -> Pin<()> {
    match routes.acquire(&asked(HOST, entropy)) {
        Choice::Pinned(pin) => pin,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_report_tells_of_old_and_new() {
    let routes = Routes::<()>::new();
    assert!(!routes.known());
    assert!(matches!(routes.acquire(&asked(HOST, 0)), Choice::Unknown));
    routes.apply(spec(3, &[1]));
    let first = pinned(&routes, 0);
    first.slot.ended(Outcome::Lost, 0);
    routes.apply(spec(4, &[2]));
    let second = pinned(&routes, 0);
    routes.apply(spec(5, &[2, 3]));

    let snapshot = routes.snapshot(0);
    assert_eq!((snapshot.generation, &snapshot.busy[..]), (5, &[1, 2][..]));
    assert_eq!(snapshot.outdated, BTreeMap::from([(key("prod"), 3)]));
    assert_eq!(snapshot.load[0].counted.connection_errors, 1);
    drop(first);
    assert_eq!(
        routes.snapshot(0).outdated,
        BTreeMap::from([(key("prod"), 4)])
    );
    drop(second);
    assert_eq!(
        routes.snapshot(0),
        Snapshot {
            generation: 5,
            ..Snapshot::default()
        }
    );
}

#[test]
fn a_frontend_that_comes_back_is_the_same_one() {
    let routes = Routes::<()>::new();
    routes.apply(spec(1, &[1]));
    let before = pinned(&routes, 0);
    routes.apply(spec(2, &[]));
    assert!(before.slot.is_withdrawn());
    routes.apply(spec(3, &[1]));
    assert!(!before.slot.is_withdrawn());
    assert!(Arc::ptr_eq(&before.slot, &pinned(&routes, 0).slot));
}

#[test]
fn a_spec_with_nothing_new_leaves_versions_alone() {
    let routes = Routes::<()>::new();
    routes.apply(spec(1, &[1]));
    let pin = pinned(&routes, 0);
    routes.apply(spec(2, &[1]));
    assert_eq!(routes.snapshot(0).outdated, BTreeMap::new());
    assert!(Arc::ptr_eq(
        &pin.environment,
        &pinned(&routes, 0).environment
    ));
}

#[tokio::test]
async fn the_last_request_of_something_old_rings() {
    let routes = Routes::<()>::new();
    routes.apply(spec(1, &[1]));
    let pin = pinned(&routes, 0);
    routes.apply(spec(2, &[2]));
    let mut ringing = std::pin::pin!(routes.something_ended());
    assert!(futures::poll!(ringing.as_mut()).is_pending());
    drop(pin);
    assert!(futures::poll!(ringing.as_mut()).is_ready());
}

#[test]
fn an_exact_host_beats_a_wildcard_and_the_longer_wildcard_the_shorter() {
    let hosts = ["a.www.test", "*.www.test", "*.b.www.test", "*.test"];
    let environments = hosts
        .iter()
        .zip(1..)
        .map(|(host, id)| (key(&id.to_string()), environment(host, &[id])));
    let routes = Routes::<()>::new();
    routes.apply(Arc::new(Spec {
        generation: 1,
        environments: environments.collect(),
        ..Spec::default()
    }));
    let table = [
        ("a.www.test", Some(1)),
        ("c.www.test", Some(2)),
        ("b.www.test", Some(2)),
        ("x.b.www.test", Some(3)),
        ("x.y.b.www.test", Some(3)),
        ("www.test", Some(4)),
        ("test", None),
        ("other", None),
    ];
    for (host, expected) in table {
        let chosen = match routes.acquire(&asked(host, 0)) {
            Choice::Pinned(pin) => Some(pin.slot.id),
            _ => None,
        };
        assert_eq!(chosen, expected, "{host}");
    }
}

/// The argument of the module, put to the processor: while one thread replaces the table and
/// stops every frontend that a report allows it to stop, no request is ever at a stopped one.
#[test]
fn no_request_is_at_a_frontend_that_a_report_let_go() {
    const ROUNDS: u64 = 3_000;
    let routes = Routes::<()>::new();
    let stopped = [AtomicBool::new(true), AtomicBool::new(false)];
    let done = AtomicBool::new(false);
    routes.apply(spec(1, &[1]));
    std::thread::scope(|threads| {
        for thread in 0..3 {
            let (routes, stopped, done) = (&routes, &stopped, &done);
            threads.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let pin = pinned(routes, thread);
                    let at = &stopped[pin.slot.id as usize];
                    assert!(
                        !at.load(Ordering::SeqCst),
                        "a request began at a stopped frontend"
                    );
                    std::hint::spin_loop();
                    assert!(
                        !at.load(Ordering::SeqCst),
                        "a frontend stopped under a request"
                    );
                }
            });
        }
        for generation in 2..ROUNDS {
            let (new, old) = (generation % 2, (generation + 1) % 2);
            stopped[new as usize].store(false, Ordering::SeqCst);
            routes.apply(spec(generation, &[new]));
            while routes.snapshot(0).busy.contains(&old) {
                std::thread::yield_now();
            }
            stopped[old as usize].store(true, Ordering::SeqCst);
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<u64>),
    Begin(u64),
    End(usize),
    Report,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        proptest::collection::btree_set(0u64..5, 0..5)
            .prop_map(|ids| Step::Apply(ids.into_iter().collect())),
        any::<u64>().prop_map(Step::Begin),
        any::<usize>().prop_map(Step::End),
        Just(Step::Report),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// Against a model that counts by hand: busy and outdated say what is in flight, always.
    #[test]
    fn reports_say_what_is_in_flight(steps in steps()) {
        let routes = Routes::<()>::new();
        // (pin, frontend, generation of its routes)
        let mut pins: Vec<(Pin<()>, u64)> = Vec::new();
        let (mut generation, mut since, mut now) = (0, 0, None);
        for step in steps {
            match step {
                Step::Apply(frontends) => {
                    generation += 1;
                    if now.as_ref() != Some(&frontends) {
                        since = generation;
                    }
                    routes.apply(spec(generation, &frontends));
                    now = Some(frontends);
                }
                Step::Begin(entropy) => match routes.acquire(&asked(HOST, entropy)) {
                    Choice::Pinned(pin) => {
                        prop_assert!(now.as_ref().is_some_and(|now| now.contains(&pin.slot.id)));
                        pins.push((pin, since));
                    }
                    _ => prop_assert!(now.as_ref().is_none_or(Vec::is_empty)),
                },
                Step::End(which) if !pins.is_empty() => drop(pins.swap_remove(which % pins.len())),
                Step::End(_) => {}
                Step::Report => drop(routes.snapshot(0)),
            }
            let report = routes.peek();
            let mut busy: Vec<u64> = pins.iter().map(|(pin, _)| pin.slot.id).collect();
            busy.sort_unstable();
            busy.dedup();
            prop_assert_eq!(report.busy, busy);
            let oldest = pins.iter().map(|(_, since)| *since).filter(|s| *s != since).min();
            prop_assert_eq!(report.outdated.get(&key("prod")).copied(), oldest);
        }
    }
}
