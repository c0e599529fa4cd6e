//! Certificates that an authority gives: when they are ordered, who may look when, and how rarely an
//! authority is asked for what it refuses.

mod world;

use std::collections::BTreeSet;

use fleet_model::{
    Command, Time,
    acme::{LONGEST_REST, ORDERS_AT_ONCE, ORDERS_PER_WINDOW, PATIENCE, Progress, RESTS, WINDOW},
    certificate::SELF_SIGNED,
    command::{AcmeChange, AcmeFailed, CertificateChange, Code, NewManaged},
    ids::NodeId,
    plan::{Load, plan},
    route,
    time::Millis,
};

use self::world::{CA, DAY, World, issued, wish};
use crate::common::environment;

#[test]
fn the_authority_looks_when_every_live_ingress_has_the_answers() {
    let mut world = World::new();
    world.wish("shop", &["shop.test", "www.shop.test"]);
    world.settle();
    assert_eq!(world.progress("shop"), Progress::Placing);
    world.place("shop");
    let placed = world.order("shop").unwrap().placed.unwrap();
    assert_eq!(placed.generation, world.checked.state.tls.generation);
    assert_eq!(world.checked.state.answers().count(), 2);
    for applied in [
        [0, 0],
        [placed.generation, placed.generation - 1],
        [0, placed.generation],
    ] {
        world.applied = applied;
        world.settle();
        assert_eq!(world.progress("shop"), Progress::Telling, "{applied:?}");
        let early = world.issue("shop", 90).unwrap_err();
        assert_eq!(early.code, Code::Stale);
    }
    // A leader that has just begun has heard of nobody: it waits.
    let fresh = Load {
        since: world.now,
        ..Load::default()
    };
    let planned = plan(&world.checked.state, &fresh, world.now);
    assert!(planned.commands.is_empty() && planned.next_wake.is_some());
    world.confirm();
    assert_eq!(world.progress("shop"), Progress::Looked);
    world.issue("shop", 90).unwrap();
    assert_eq!(
        world.last_event(),
        "certificate shop issued: it ends in 90 days"
    );
    assert_eq!(world.checked.state.answers().count(), 0);
}

#[test]
fn a_silent_ingress_is_not_waited_for() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    world.settle();
    world.place("shop");
    let mut load = world.load();
    let silent = load.ingresses.get_mut(&NodeId(1)).unwrap();
    silent.get_mut(&1).unwrap().applied = world.checked.state.generation;
    load.ingresses.remove(&NodeId(2));
    for facts in load.ingresses.values_mut().flat_map(|all| all.values_mut()) {
        facts.heard = world.now.plus(Millis::seconds(60));
    }
    world.now = world.now.plus(Millis::seconds(60));
    load.workers
        .values_mut()
        .for_each(|heard| *heard = world.now);
    world.checked.settle(&load, world.now);
    assert_eq!(world.progress("shop"), Progress::Looked);
}

#[test]
fn renewal_begins_between_two_thirds_of_life_and_a_24th_later() {
    let mut world = World::new();
    let names: Vec<String> = (0..4).map(|n| format!("shop-{n}")).collect();
    for name in &names {
        world.wish(name, &["shop.test"]);
    }
    world.settle();
    let begin = world.now;
    for name in &names {
        world.fulfil(name, 90);
    }
    let mut seen = BTreeSet::new();
    for name in &names {
        let due = world.due(name);
        let (from, to) = (begin.plus(Millis(60 * DAY)), begin.plus(Millis(64 * DAY)));
        assert!((from..to).contains(&due), "{name}: {due:?}");
        seen.insert(due);
    }
    assert_eq!(seen.len(), names.len(), "they are renewed together");
    // The planner wakes for the first one and begins that one alone.
    let first = *seen.first().unwrap();
    assert!(world.settle().is_some_and(|wake| wake <= first));
    world.now = Time(first.0 - 1);
    world.settle();
    assert_eq!(world.checked.state.orders().count(), 0);
    world.now = first;
    world.settle();
    let under_way: Vec<_> = world
        .checked
        .state
        .orders()
        .map(|(c, _, _)| c.name.clone())
        .collect();
    assert_eq!(under_way.len(), 1);
    world.fulfil(&under_way[0], 90);
    assert!(
        world
            .last_event()
            .starts_with(&format!("certificate {} renewed", under_way[0]))
    );
}

#[test]
fn failures_are_followed_by_ever_longer_rests() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    let mut rests = Vec::new();
    for _ in 0..8 {
        world.settle();
        let begun = world.now;
        world.fail("shop", None);
        world.settle();
        assert!(world.order("shop").is_none(), "ordered again at once");
        world.now = world.due("shop");
        rests.push(world.now.since(begun).0);
    }
    for (at, rest) in rests.iter().enumerate() {
        let least = RESTS[at.min(RESTS.len() - 1)].0;
        assert!((least..=least * 5 / 4).contains(rest), "{rests:?}");
    }
    // A success forgets them.
    world.settle();
    world.fulfil("shop", 90);
    let managed = world.checked.state.certificates["shop"]
        .managed
        .clone()
        .unwrap();
    assert_eq!((managed.failures, &*managed.problem), (0, ""));
}

#[test]
fn what_the_authority_asks_for_is_heeded_but_not_for_ever() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    world.settle();
    let asked = world.now.plus(Millis::seconds(50 * 3_600));
    world.fail("shop", Some(asked));
    assert_eq!(world.due("shop"), asked);
    assert_eq!(
        world.last_event(),
        "certificate shop was not issued: dns: no such host; the next attempt is in 50 h"
    );
    world.now = asked;
    world.settle();
    world.fail("shop", Some(Time(u64::MAX)));
    assert_eq!(world.due("shop"), world.now.plus(LONGEST_REST));
}

#[test]
fn asking_anew_forgets_failures_and_keeps_the_content() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    world.settle();
    world.fulfil("shop", 90);
    let refused = world
        .change(AcmeChange::Manage(wish("shop", &[])))
        .unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
    let wider = NewManaged {
        replace: true,
        ..wish("shop", &["shop.test", "www.shop.test"])
    };
    world.change(AcmeChange::Manage(wider.clone())).unwrap();
    assert!(world.checked.state.certificates["shop"].issued.is_some());
    // It is for another host too: ordered at once.
    world.settle();
    world.fail("shop", None);
    assert!(world.due("shop") > world.now);
    world.change(AcmeChange::Manage(wider)).unwrap();
    world.settle();
    assert_eq!(world.progress("shop"), Progress::Placing);
}

#[test]
fn a_certificate_for_other_hosts_is_not_taken() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    world.settle();
    world.place("shop");
    world.confirm();
    let order = world.order("shop").unwrap().id;
    let issued = issued(world.now, 90, &["other.test".to_owned()].into());
    let refused = world.change(AcmeChange::Issue {
        name: "shop".into(),
        order,
        issued,
    });
    assert_eq!(
        refused.unwrap_err().message,
        "the authority gave a certificate that is not for shop.test"
    );
}

#[test]
fn few_orders_are_under_way_at_once_and_none_twice() {
    let mut world = World::new();
    let names: Vec<String> = (0..9).map(|n| format!("shop-{n}")).collect();
    for name in &names {
        world.wish(name, &["shop.test"]);
    }
    let mut begun = Vec::new();
    while begun.len() < names.len() {
        world.settle();
        let orders = world.checked.state.orders();
        let under_way: Vec<_> = orders
            .map(|(c, _, order)| (c.name.clone(), order.id))
            .collect();
        assert!((1..=ORDERS_AT_ONCE).contains(&under_way.len()));
        let (name, _) = under_way[0].clone();
        let again = world.change(AcmeChange::Begin { name: name.clone() });
        assert_eq!(again.unwrap_err().code, Code::Stale);
        world.fulfil(&name, 90);
        begun.push(name);
    }
    begun.sort();
    assert_eq!(begun.iter().map(|name| &**name).collect::<Vec<_>>(), names);
}

#[test]
fn an_account_begins_no_more_orders_than_an_authority_bears() {
    let mut world = World::new();
    let many = ORDERS_PER_WINDOW + 10;
    for number in 0..many {
        world.wish(&format!("shop-{number}"), &["shop.test"]);
    }
    let first = world.now;
    let mut times = Vec::new();
    while times.len() < usize::try_from(many).unwrap() {
        world.settle();
        let state = &world.checked.state;
        let under_way: Vec<_> = state.orders().map(|(c, _, _)| c.name.clone()).collect();
        if under_way.is_empty() {
            let due = state.managed().filter_map(|(c, _)| state.order_due(c));
            world.now = due.min().unwrap();
            continue;
        }
        for name in under_way {
            world.fulfil(&name, 90);
            times.push(world.now);
        }
    }
    let early = times.iter().filter(|at| at.since(first) < WINDOW).count();
    assert_eq!(early, usize::try_from(ORDERS_PER_WINDOW).unwrap());
}

#[test]
fn an_order_that_does_not_end_is_given_up() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    world.settle();
    world.place("shop");
    let ends = world.now.plus(PATIENCE);
    world.now = Time(ends.0 - 1);
    world.settle();
    assert_eq!(world.progress("shop"), Progress::Telling);
    world.now = ends;
    world.settle();
    assert!(
        world
            .last_event()
            .contains("did not end the order in an hour")
    );
    assert_eq!(world.checked.state.answers().count(), 0);
    assert!(world.due("shop") > ends);
}

#[test]
fn an_account_that_is_not_known_is_made_anew() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    let register = |world: &mut World, assumed| {
        world.change(AcmeChange::Register {
            directory: CA.into(),
            sealed: [9].into(),
            assumed,
        })
    };
    let revision = world.checked.state.accounts[CA].revision;
    register(&mut world, revision).unwrap();
    for stale in [revision, 0] {
        assert_eq!(register(&mut world, stale).unwrap_err().code, Code::Stale);
    }
    world.settle();
    let order = world.order("shop").unwrap().id;
    world
        .change(AcmeChange::Fail(AcmeFailed {
            name: "shop".into(),
            order,
            problem: "accountDoesNotExist".to_owned(),
            not_before: None,
            stranger: true,
        }))
        .unwrap();
    assert!(world.checked.state.accounts[CA].sealed.is_none());
    register(&mut world, revision).unwrap();
    // Another mailbox is another account, another host is not.
    let mut anew = wish("shop", &["other.test"]);
    anew.replace = true;
    world.change(AcmeChange::Manage(anew.clone())).unwrap();
    assert!(world.checked.state.accounts[CA].sealed.is_some());
    anew.email = Some("others@shop.test".to_owned());
    world.change(AcmeChange::Manage(anew)).unwrap();
    assert!(world.checked.state.accounts[CA].sealed.is_none());
}

#[test]
fn wishes_that_no_authority_could_fulfil_are_refused() {
    let mut world = World::new();
    let many: Vec<String> = (0..101).map(|n| format!("h{n}.shop.test")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let with = |change: fn(&mut NewManaged)| {
        let mut new = wish("shop", &["shop.test"]);
        change(&mut new);
        new
    };
    let cases = [
        (wish("shop", &["*.shop.test"]), "*.shop.test is a wildcard"),
        (wish("shop", &["shop"]), "\"shop\" is no name of a host"),
        (
            wish("shop", &["-a.test"]),
            "\"-a.test\" is no name of a host",
        ),
        (
            wish("shop", &many),
            "a certificate is for at most 100 hosts",
        ),
        (wish(SELF_SIGNED, &[]), "self-signed is the cluster's own"),
        (
            with(|new| new.directory = "http://ca.test".into()),
            "the directory \"http://ca.test\" is no address",
        ),
        (
            with(|new| new.email = Some("ops".to_owned())),
            "\"ops\" is no address of a mailbox",
        ),
        (
            with(|new| new.roots = Some(vec![vec![0; 40_000].into()])),
            "the directory's authorities have 40000 bytes",
        ),
    ];
    for (new, sentence) in cases {
        let refused = world.change(AcmeChange::Manage(new)).unwrap_err();
        assert!(refused.message.starts_with(sentence), "{refused}");
    }
    assert!(world.checked.state.accounts.is_empty());
}

#[test]
fn its_environment_shows_the_clusters_own_until_it_is_there() {
    let mut world = World::new();
    world.wish("shop", &["shop.test"]);
    let choose = CertificateChange::Choose {
        environment: environment("shop/prod"),
        name: "shop".into(),
    };
    let choose = Command::Certificate(Box::new(choose));
    world.checked.commit(world.now, choose).unwrap();
    let shown = |world: &World| {
        let routes = route::environment(&world.checked.state, &environment("shop/prod"));
        let routes = routes.unwrap();
        (routes.certificate, routes.redirect)
    };
    assert_eq!(shown(&world), (SELF_SIGNED.to_owned(), false));
    world.settle();
    world.fulfil("shop", 90);
    assert_eq!(shown(&world), ("shop".to_owned(), true));
}
