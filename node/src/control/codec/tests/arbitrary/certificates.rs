//! Changes of certificates, and of what environments do with them.

use std::sync::Arc;

use fleet_model::{
    Command, Time,
    certificate::Issued,
    command::{CertificateChange, NewCertificate},
};
use proptest::{collection::vec, option, prelude::*};

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
