//! Certificates that clients see: what is refused, who is shown which, what is said of their ends.

use std::sync::Arc;

use fleet_model::{
    Command, Outcome, Rejection, Time,
    certificate::{Issued, LARGEST_CHAIN, SELF_SIGNED, TICKET_PERIOD},
    command::{CertificateChange as Change, Code, NewCertificate},
    plan::Load,
    route,
};

use crate::common::{Checked, environment, registration};

const DAY: u64 = 86_400_000;

/// A cluster with an app, at the beginning of day 100.
fn cluster() -> Checked {
    let mut checked = Checked::new();
    let commands = [
        Command::InitCluster {
            id: "c1".to_owned(),
            name: "demo".to_owned(),
            domain: "shop.test".to_owned(),
        },
        Command::RegisterNode(registration(1, Some(1))),
        Command::CreateApp {
            name: "shop".to_owned(),
        },
    ];
    // The first node's id is that of its log entry.
    let [init, register, create] = commands;
    checked.commit(Time(100 * DAY), register).unwrap();
    for command in [init, create] {
        checked.commit(Time(100 * DAY), command).unwrap();
    }
    checked
}

fn change(checked: &mut Checked, day: u64, change: Change) -> Result<Outcome, Rejection> {
    checked.commit(Time(day * DAY), Command::Certificate(Box::new(change)))
}

fn issued(begins: u64, expires: u64, chain_expires: Option<u64>) -> Issued {
    Issued {
        chain: vec![[1, 2, 3].into()],
        sealed_key: [4, 5].into(),
        common_name: "shop".to_owned(),
        organization: String::new(),
        names: vec!["*.prod.shop.shop.test".to_owned()],
        begins: Time(begins * DAY),
        expires: Time(expires * DAY),
        chain_expires: chain_expires.map(|day| Time(day * DAY)),
    }
}

fn new(name: &str, issued: Issued) -> NewCertificate {
    NewCertificate {
        name: name.into(),
        issued,
        replace: false,
        force: false,
    }
}

fn add(name: &str) -> Change {
    Change::Add(new(name, issued(50, 190, None)))
}

fn choose(name: &str) -> Change {
    Change::Choose {
        environment: environment("shop/prod"),
        name: name.into(),
    }
}

fn shown(checked: &Checked) -> (String, bool) {
    let routes = route::environment(&checked.state, &environment("shop/prod")).unwrap();
    (routes.certificate, routes.redirect)
}

#[test]
fn what_is_not_valid_now_is_refused_by_its_block_unless_forced() {
    let cases = [
        (
            issued(50, 99, None),
            "the certificate block expired a day ago",
        ),
        (issued(50, 100, None), "the certificate block expired today"),
        (
            issued(103, 190, None),
            "the certificate block is not valid before 3 days from now",
        ),
        (
            issued(50, 190, Some(90)),
            "the chain block holds a certificate that expired 10 days ago",
        ),
    ];
    for (issued, sentence) in cases {
        let mut checked = cluster();
        let mut wanted = new("shop", issued);
        let refused = change(&mut checked, 100, Change::Add(wanted.clone())).unwrap_err();
        assert_eq!(
            (refused.code, &*refused.message),
            (Code::InvalidValue, sentence)
        );
        wanted.force = true;
        change(&mut checked, 100, Change::Add(wanted)).unwrap();
    }
}

#[test]
fn names_and_sizes_have_bounds() {
    let mut checked = cluster();
    let too_long = "a".repeat(64);
    for name in ["", "-a", "../etc", "Shop", "a b", &too_long, SELF_SIGNED] {
        let refused = change(&mut checked, 100, add(name)).unwrap_err();
        assert_eq!(refused.code, Code::InvalidName, "{name:?}");
    }
    let mut large = issued(50, 190, None);
    large.chain.push(Arc::from(vec![0; LARGEST_CHAIN]));
    let refused = change(&mut checked, 100, Change::Add(new("a", large))).unwrap_err();
    assert_eq!(refused.code, Code::InvalidValue, "{refused}");
    let mut nameless = issued(50, 190, None);
    nameless.names.clear();
    let refused = change(&mut checked, 100, Change::Add(new("a", nameless))).unwrap_err();
    assert_eq!(refused.message, "the certificate block names no host");
}

#[test]
fn a_certificate_is_replaced_only_when_asked_to() {
    let mut checked = cluster();
    change(&mut checked, 100, add("shop")).unwrap();
    let first = checked.state.certificates["shop"].clone();
    let refused = change(&mut checked, 101, add("shop")).unwrap_err();
    assert_eq!(refused.code, Code::AlreadyExists);
    let mut again = new("shop", issued(60, 400, None));
    again.replace = true;
    change(&mut checked, 101, Change::Add(again)).unwrap();
    let second = &checked.state.certificates["shop"];
    assert_eq!(
        (second.created, second.uploaded),
        (first.created, Time(101 * DAY))
    );
    assert!(second.generation > first.generation);
    assert_eq!(checked.state.tls.generation, second.generation);
}

#[test]
fn environments_show_what_they_are_given_and_redirect_only_then() {
    let mut checked = cluster();
    assert_eq!(shown(&checked), (SELF_SIGNED.to_owned(), false));
    let unknown = change(&mut checked, 100, choose("shpo")).unwrap_err();
    assert_eq!(unknown.code, Code::UnknownCertificate);
    change(&mut checked, 100, add("shop")).unwrap();
    change(&mut checked, 100, choose("shop")).unwrap();
    assert_eq!(shown(&checked), ("shop".to_owned(), true));
    let redirect = |on| Change::Redirect {
        environment: environment("shop/prod"),
        on,
    };
    change(&mut checked, 100, redirect(false)).unwrap();
    assert_eq!(shown(&checked), ("shop".to_owned(), false));
    change(&mut checked, 100, redirect(true)).unwrap();
    let used = change(
        &mut checked,
        100,
        Change::Remove {
            name: "shop".into(),
        },
    )
    .unwrap_err();
    assert_eq!(
        (used.code, &*used.message),
        (Code::InUse, "certificate shop serves shop/prod")
    );
    change(&mut checked, 100, choose(SELF_SIGNED)).unwrap();
    assert_eq!(shown(&checked), (SELF_SIGNED.to_owned(), false));
    let before = checked.state.tls.generation;
    change(
        &mut checked,
        100,
        Change::Remove {
            name: "shop".into(),
        },
    )
    .unwrap();
    assert!(checked.state.tls.generation > before, "ingresses drop it");
    for name in [SELF_SIGNED, "shop"] {
        assert!(change(&mut checked, 100, Change::Remove { name: name.into() }).is_err());
    }
}

#[test]
fn ends_are_told_once_each() {
    let mut checked = cluster();
    change(&mut checked, 100, add("shop")).unwrap();
    change(&mut checked, 100, choose("shop")).unwrap();
    let mut told = Vec::new();
    let mut day = 100;
    while day < 200 {
        let heard = checked.state.next_event;
        let rest = checked.settle(&Load::default(), Time(day * DAY));
        let said = checked.state.events.range(heard..);
        told.extend(said.map(|(_, event)| (day, event.message.clone())));
        // Nobody has to look each day: the plan says when.
        let wake = rest.next_wake.map_or(200, |at| at.0 / DAY);
        day = wake.max(day + 1);
    }
    let of_certificate = |(day, text): &(u64, String)| {
        text.starts_with("certificate")
            .then(|| (*day, text.clone()))
    };
    let told: Vec<_> = told.iter().filter_map(of_certificate).collect();
    let expected = [
        (
            160,
            "certificate shop: it ends in 30 days; it serves shop/prod",
        ),
        (
            183,
            "certificate shop: it ends in 7 days; it serves shop/prod",
        ),
        (
            189,
            "certificate shop: it ends in a day; it serves shop/prod",
        ),
        (190, "certificate shop: it ends today; it serves shop/prod"),
    ];
    assert_eq!(told, expected.map(|(day, text)| (day, text.to_owned())));
    // The next content begins anew.
    let mut again = new("shop", issued(190, 195, None));
    again.replace = true;
    change(&mut checked, 190, Change::Add(again)).unwrap();
    checked.settle(&Load::default(), Time(190 * DAY));
    assert_eq!(checked.state.certificates["shop"].warned, Some(7));
}

#[test]
fn keys_of_tickets_rotate_and_the_oldest_goes() {
    let mut checked = cluster();
    let ticket = |byte: u8, assumed| Change::Ticket {
        sealed: [byte].into(),
        assumed,
    };
    let mut newest = 0;
    for byte in 1..=4 {
        let made = change(&mut checked, 100, ticket(byte, newest)).unwrap();
        // Another leader that meant the same key comes too late.
        let late = change(&mut checked, 100, ticket(99, newest)).unwrap_err();
        assert_eq!(late.code, Code::Stale);
        newest = made.index;
    }
    let tickets = &checked.state.tls.tickets;
    let bytes: Vec<u8> = tickets.keys.iter().map(|key| key.sealed[0]).collect();
    assert_eq!(
        (bytes.as_slice(), tickets.present().unwrap().sealed[0]),
        (&[2, 3, 4][..], 3)
    );
    assert_eq!(tickets.due(), Time(100 * DAY).plus(TICKET_PERIOD));
}

#[test]
fn the_clusters_own_is_made_for_its_domain_and_made_anew_in_time() {
    let mut checked = cluster();
    let due = |checked: &Checked, day: u64| checked.state.own_certificate_due(Time(day * DAY));
    assert!(due(&checked, 100));
    let own = |domain: &str, assumed| Change::Own {
        domain: domain.to_owned(),
        issued: Issued {
            names: vec![domain.to_owned(), format!("*.{domain}")],
            ..issued(100, 400, None)
        },
        assumed,
    };
    for (domain, assumed) in [("other.test", 0), ("shop.test", 7)] {
        let stale = change(&mut checked, 100, own(domain, assumed)).unwrap_err();
        assert_eq!(stale.code, Code::Stale);
    }
    change(&mut checked, 100, own("shop.test", 0)).unwrap();
    assert!(!due(&checked, 299) && due(&checked, 300));
}
