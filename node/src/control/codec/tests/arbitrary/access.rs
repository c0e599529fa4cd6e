//! Changes of whitelists, and of what environments let through.

use std::sync::Arc;

use fleet_model::{
    Command,
    access::Rate,
    command::{AccessChange, LimitChange},
    network::Network,
};
use proptest::{option, prelude::*, sample::select};

use super::{key, text};

pub(super) fn command() -> impl Strategy<Value = Command> {
    let change = prop_oneof![
        3 => name().prop_map(|name| AccessChange::Create { name }),
        1 => name().prop_map(|name| AccessChange::Destroy { name }),
        4 => (name(), network()).prop_map(|(name, network)| AccessChange::Allow { name, network }),
        1 => (name(), network()).prop_map(|(name, network)| AccessChange::Revoke { name, network }),
        2 => (key(), name())
            .prop_map(|(environment, name)| AccessChange::Choose { environment, name }),
        2 => (key(), limit(), limit()).prop_map(|(environment, all, address)| {
            AccessChange::Limit {
                environment,
                all,
                address,
            }
        }),
    ];
    change.prop_map(|change| Command::Access(Box::new(change)))
}

fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![
        4 => Just(Arc::from("office")),
        1 => Just(Arc::from("allow-all")),
        1 => text().prop_map(Arc::from),
    ]
}

const SOME: [&str; 5] = [
    "10.0.0.0/8",
    "192.0.2.7",
    "2001:db8::/32",
    "::/0",
    "0.0.0.0/0",
];

fn network() -> impl Strategy<Value = Network> {
    select(&SOME[..]).prop_map(|text| text.parse().unwrap())
}

fn limit() -> impl Strategy<Value = LimitChange> {
    let rate = (0..3_u32, any::<u8>()).prop_map(|(per_second, burst)| Rate {
        per_second,
        burst: burst.into(),
    });
    (option::of(any::<u8>()), option::of(rate)).prop_map(|(in_flight, rate)| LimitChange {
        in_flight: in_flight.map(u32::from),
        rate,
    })
}
