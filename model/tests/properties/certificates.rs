//! Certificates come, go and end while everything else goes on.

use fleet_model::{
    Command, Time,
    acme::{Answer, Method},
    certificate::Issued,
    command::{
        AcmeChange, AcmeFailed, CertificateChange as Change, NewCertificate, NewManaged,
        PlacedOrder,
    },
};
use proptest::{prelude::*, sample::select};

use crate::common::environment;

pub fn command() -> impl Strategy<Value = Command> {
    let name = || select(vec!["a", "b", "self-signed"]);
    let key = || select(vec![environment("shop/prod"), environment("shop/staging")]);
    let change = prop_oneof![
        3 => (name(), issued(), any::<bool>(), any::<bool>()).prop_map(
            |(name, issued, replace, force)| Change::Add(NewCertificate {
                name: name.into(),
                issued,
                replace,
                force,
            })
        ),
        2 => name().prop_map(|name| Change::Remove { name: name.into() }),
        3 => (key(), name()).prop_map(|(environment, name)| Change::Choose {
            environment,
            name: name.into(),
        }),
        1 => (key(), any::<bool>())
            .prop_map(|(environment, on)| Change::Redirect { environment, on }),
        1 => (issued(), 0..3_u64).prop_map(|(issued, assumed)| Change::Own {
            domain: "localhost".to_owned(),
            issued,
            assumed,
        }),
        1 => (0..3_u64).prop_map(|assumed| Change::Ticket {
            sealed: [7].into(),
            assumed,
        }),
        6 => acme().prop_map(Change::Acme),
    ];
    change.prop_map(|change| Command::Certificate(Box::new(change)))
}

/// Orders that are begun, placed, opened, fulfilled and given up at any moment, by anybody.
fn acme() -> impl Strategy<Value = AcmeChange> {
    let name = || select(vec!["a", "b", "c", "d", "e", "f", "self-signed"]).prop_map(Into::into);
    let order = || 0..80_u64;
    let host = || "localhost".to_owned();
    prop_oneof![
        4 => (name(), any::<bool>(), any::<bool>()).prop_map(move |(name, named, replace)| {
            AcmeChange::Manage(NewManaged {
                name,
                directory: "https://ca.test".into(),
                email: None,
                roots: None,
                domains: named.then(|| "shop.test".to_owned()).into_iter().collect(),
                method: Method::TlsAlpn,
                replace,
            })
        }),
        2 => name().prop_map(|name| AcmeChange::Begin { name }),
        2 => (name(), order()).prop_map(move |(name, order)| AcmeChange::Place {
            name,
            order,
            placed: PlacedOrder {
                url: String::new(),
                sealed_key: [1].into(),
                answers: vec![Answer { host: host(), token: host(), proof: host() }],
            },
        }),
        1 => (name(), order()).prop_map(|(name, order)| AcmeChange::Open { name, order }),
        1 => (name(), order(), issued())
            .prop_map(|(name, order, issued)| AcmeChange::Issue { name, order, issued }),
        2 => (name(), order(), any::<bool>()).prop_map(|(name, order, stranger)| {
            AcmeChange::Fail(AcmeFailed {
                name,
                order,
                problem: "ä".repeat(400),
                not_before: None,
                stranger,
            })
        }),
    ]
}

/// Ends soon, long ago, or never.
fn issued() -> impl Strategy<Value = Issued> {
    let end = || select(vec![0, 10_000, 900_000, 90_000_000_000, u64::MAX]);
    (end(), proptest::option::of(end())).prop_map(|(expires, chain_expires)| Issued {
        chain: vec![[1].into()],
        sealed_key: [2].into(),
        common_name: String::new(),
        organization: String::new(),
        names: vec!["localhost".to_owned()],
        begins: Time(0),
        expires: Time(expires),
        chain_expires: chain_expires.map(Time),
    })
}
