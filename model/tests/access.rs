//! Whom environments let in, and how much may be asked of them; the story is in `scripts`.

use fleet_model::{
    Command, Outcome, Rejection, Time,
    access::{ALLOW_ALL, LARGEST_LIMIT, Limit, MOST_RULES, Rate, RequestLimits},
    command::{AccessChange as Change, Code, LimitChange},
    network::Network,
    route,
};

use crate::common::{Checked, app, environment, registration};

fn cluster() -> Checked {
    let mut checked = Checked::new();
    let init = Command::InitCluster {
        id: "c1".to_owned(),
        name: "demo".to_owned(),
        domain: "shop.test".to_owned(),
    };
    // The first node's id is that of its log entry.
    let create = Command::CreateApp {
        name: "shop".to_owned(),
    };
    let staging = Command::CreateEnvironment {
        app: app("shop"),
        name: "staging".to_owned(),
    };
    let register = Command::RegisterNode(registration(1, Some(1)));
    for command in [register, init, create, staging] {
        checked.commit(Time(0), command).unwrap();
    }
    checked
}

fn change(checked: &mut Checked, change: Change) -> Result<Outcome, Rejection> {
    checked.commit(Time(0), Command::Access(Box::new(change)))
}

fn allow(name: &str, network: &str) -> Change {
    Change::Allow {
        name: name.into(),
        network: network.parse().unwrap(),
    }
}

fn choose(key: &str, name: &str) -> Change {
    Change::Choose {
        environment: environment(key),
        name: name.into(),
    }
}

fn admitted(checked: &Checked, key: &str) -> Option<Vec<String>> {
    let routes = route::environment(&checked.state, &environment(key)).unwrap();
    let texts = |networks: Vec<Network>| networks.iter().map(ToString::to_string).collect();
    routes.admitted.map(texts)
}

#[test]
fn a_whitelist_has_fifty_rules_and_names_are_names() {
    let mut checked = cluster();
    for name in ["", "-a", "../etc", "Office", "a b"] {
        let create = Change::Create { name: name.into() };
        assert_eq!(
            change(&mut checked, create).unwrap_err().code,
            Code::InvalidName
        );
    }
    let create = Change::Create {
        name: "office".into(),
    };
    change(&mut checked, create.clone()).unwrap();
    assert_eq!(
        change(&mut checked, create).unwrap_err().code,
        Code::AlreadyExists
    );
    for number in 0..MOST_RULES {
        change(
            &mut checked,
            allow("office", &format!("10.{number}.0.0/16")),
        )
        .unwrap();
    }
    let again = change(&mut checked, allow("office", "10.0.0.0/16")).unwrap_err();
    assert_eq!(again.code, Code::AlreadyExists);
    let one_more = change(&mut checked, allow("office", "192.0.2.7")).unwrap_err();
    assert_eq!(
        (one_more.code, &*one_more.message),
        (Code::LimitReached, "whitelist office has 50 rules")
    );
    let everybody = change(&mut checked, allow(ALLOW_ALL, "192.0.2.7")).unwrap_err();
    assert_eq!(&*everybody.message, "whitelist allow-all is read-only");
    let unknown = change(&mut checked, allow("ofice", "192.0.2.7")).unwrap_err();
    assert_eq!(
        (unknown.code, &*unknown.candidates),
        (Code::UnknownWhitelist, &["office".to_owned()][..])
    );
}

#[test]
fn every_environment_of_a_whitelist_is_routed_anew_and_no_other() {
    let mut checked = cluster();
    let create = Change::Create {
        name: "office".into(),
    };
    change(&mut checked, create).unwrap();
    assert_eq!(admitted(&checked, "shop/prod"), None);
    change(&mut checked, choose("shop/prod", "office")).unwrap();
    assert_eq!(
        admitted(&checked, "shop/prod"),
        Some(Vec::new()),
        "nobody yet"
    );
    let before = checked.state.route_changes.clone();
    change(&mut checked, allow("office", "2001:db8::/32")).unwrap();
    change(&mut checked, allow("office", "10.0.0.0/8")).unwrap();
    let expected = ["10.0.0.0/8", "2001:db8::/32"].map(str::to_owned).to_vec();
    assert_eq!(admitted(&checked, "shop/prod"), Some(expected));
    let after = &checked.state.route_changes;
    let (prod, staging) = (environment("shop/prod"), environment("shop/staging"));
    assert!(after[&prod] > before[&prod]);
    assert_eq!(after[&staging], before[&staging]);
    change(&mut checked, choose("shop/prod", ALLOW_ALL)).unwrap();
    assert_eq!(admitted(&checked, "shop/prod"), None);
}

#[test]
fn limits_change_one_by_one_and_have_bounds() {
    let mut checked = cluster();
    let limit = |all: LimitChange, address: LimitChange| Change::Limit {
        environment: environment("shop/prod"),
        all,
        address,
    };
    let nothing = LimitChange::default();
    let rate = |per_second, burst| LimitChange {
        rate: Some(Rate { per_second, burst }),
        ..nothing
    };
    let in_flight = |most| LimitChange {
        in_flight: Some(most),
        ..nothing
    };
    let of = |checked: &Checked| {
        let routes = route::environment(&checked.state, &environment("shop/prod"));
        routes.unwrap().requests
    };
    change(&mut checked, limit(in_flight(7), rate(5, 20))).unwrap();
    change(&mut checked, limit(rate(50, 50), nothing)).unwrap();
    let expected = RequestLimits {
        all: Limit {
            in_flight: Some(7),
            rate: Some(Rate {
                per_second: 50,
                burst: 50,
            }),
        },
        address: Limit {
            in_flight: None,
            rate: Some(Rate {
                per_second: 5,
                burst: 20,
            }),
        },
    };
    assert_eq!(of(&checked), expected);
    for bad in [
        in_flight(LARGEST_LIMIT + 1),
        rate(LARGEST_LIMIT + 1, 1),
        rate(1, LARGEST_LIMIT + 1),
        rate(1, 0),
    ] {
        let refused = change(&mut checked, limit(bad, nothing)).unwrap_err();
        assert_eq!(refused.code, Code::InvalidValue, "{bad:?}");
        assert_eq!(of(&checked), expected);
    }
    change(&mut checked, limit(in_flight(0), rate(0, 0))).unwrap();
    change(&mut checked, limit(rate(0, 0), nothing)).unwrap();
    assert_eq!(of(&checked), RequestLimits::default());
    let said: Vec<_> = checked.state.events.values().rev().take(3).collect();
    assert_eq!(
        said[2].message,
        "requests at most 7 in flight and 50 a second, 50 at once, requests of each address 5 a second, 20 at once"
    );
}
