//! Changes of certificates, and of what environments do with them.

use std::sync::Arc;

use fleet_model::{
    Command, Time,
    acme::{Answer, Method},
    certificate::Issued,
    command::{AcmeChange, AcmeFailed, CertificateChange, NewCertificate, NewManaged, PlacedOrder},
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{key, text};

pub(super) fn command() -> impl Strategy<Value = Command> {
    let change = prop_oneof![
        4 => (name(), issued(), any::<bool>(), any::<bool>()).prop_map(
            |(name, issued, replace, force)| CertificateChange::Add(NewCertificate {
                name,
                issued,
                replace,
                force,
            })
        ),
        1 => name().prop_map(|name| CertificateChange::Remove { name }),
        2 => (key(), name())
            .prop_map(|(environment, name)| CertificateChange::Choose { environment, name }),
        1 => (key(), any::<bool>())
            .prop_map(|(environment, on)| CertificateChange::Redirect { environment, on }),
        1 => (text(), issued(), 0..9_u64).prop_map(|(domain, issued, assumed)| {
            CertificateChange::Own {
                domain,
                issued,
                assumed,
            }
        }),
        2 => (bytes(), 0..40_u64).prop_map(|(sealed, assumed)| CertificateChange::Ticket {
            sealed,
            assumed: if assumed < 20 { 0 } else { assumed },
        }),
        8 => acme().prop_map(CertificateChange::Acme),
        1 => (name(), 0..31_u32, 0..40_u64).prop_map(|(name, days, assumed)| {
            CertificateChange::Warn {
                name,
                days,
                assumed,
            }
        }),
    ];
    change.prop_map(|change| Command::Certificate(Box::new(change)))
}

fn acme() -> impl Strategy<Value = AcmeChange> {
    let order = || 0..60_u64;
    prop_oneof![
        4 => managed().prop_map(AcmeChange::Manage),
        2 => (bytes(), order()).prop_map(|(sealed, assumed)| AcmeChange::Register {
            directory: "https://ca.test/".into(),
            sealed,
            assumed,
        }),
        1 => name().prop_map(|name| AcmeChange::Begin { name }),
        4 => (name(), order(), placed())
            .prop_map(|(name, order, placed)| AcmeChange::Place { name, order, placed }),
        1 => (name(), order()).prop_map(|(name, order)| AcmeChange::Open { name, order }),
        1 => (name(), order(), issued())
            .prop_map(|(name, order, issued)| AcmeChange::Issue { name, order, issued }),
        1 => (name(), order(), text(), option::of(any::<u64>()), any::<bool>()).prop_map(
            |(name, order, problem, not_before, stranger)| AcmeChange::Fail(AcmeFailed {
                name,
                order,
                problem,
                not_before: not_before.map(Time),
                stranger,
            })
        ),
    ]
}

fn managed() -> impl Strategy<Value = NewManaged> {
    let host = || select(vec!["shop.test", "www.shop.test"]).prop_map(str::to_owned);
    let account = (
        option::of(Just("a@b.test".to_owned())),
        option::of(vec(bytes(), 0..3)),
    );
    let flags = (any::<bool>(), any::<bool>());
    (name(), account, vec(host(), 0..3), flags).prop_map(|(name, account, domains, flags)| {
        let (email, roots) = account;
        let (page, replace) = flags;
        NewManaged {
            name,
            directory: "https://ca.test/".into(),
            email,
            roots,
            domains: domains.into_iter().collect(),
            method: if page { Method::Http } else { Method::TlsAlpn },
            replace,
        }
    })
}

fn placed() -> impl Strategy<Value = PlacedOrder> {
    let answer = (text(), text()).prop_map(|(token, proof)| Answer {
        host: "shop.test".to_owned(),
        token,
        proof,
    });
    (text(), bytes(), vec(answer, 0..3)).prop_map(|(url, sealed_key, answers)| PlacedOrder {
        url,
        sealed_key,
        answers,
    })
}

fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        4 => Just(Arc::from("shop")),
        1 => Just(Arc::from("self-signed")),
        1 => text().prop_map(Arc::from),
    ]
}

fn issued() -> impl Strategy<Value = Issued> {
    let texts = (text(), text(), vec(text(), 0..3));
    let times = (any::<u32>(), any::<u32>(), option::of(any::<u64>()));
    (vec(bytes(), 0..3), bytes(), texts, times).prop_map(|(chain, sealed_key, texts, times)| {
        let (common_name, organization, names) = texts;
        let (begins, expires, chain_expires) = times;
        Issued {
            chain,
            sealed_key,
            common_name,
            organization,
            names,
            begins: Time(begins.into()),
            expires: Time(expires.into()),
            chain_expires: chain_expires.map(Time),
        }
    })
}

fn bytes() -> impl Strategy<Value = Arc<[u8]>> {
    vec(any::<u8>(), 0..4).prop_map(Arc::from)
}
