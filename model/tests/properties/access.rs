//! Whitelists come, change and go while everything else goes on.

use fleet_model::{
    Command,
    access::Rate,
    command::{AccessChange as Change, LimitChange},
    network::Network,
};
use proptest::{option, prelude::*, sample::select};

use crate::common::environment;

pub fn command() -> impl Strategy<Value = Command> {
    let name = || select(vec!["a", "b", "allow-all"]).prop_map(Into::into);
    let key = || select(vec![environment("shop/prod"), environment("shop/staging")]);
    let change = prop_oneof![
        3 => name().prop_map(|name| Change::Create { name }),
        2 => name().prop_map(|name| Change::Destroy { name }),
        3 => (name(), network()).prop_map(|(name, network)| Change::Allow { name, network }),
        2 => (name(), network()).prop_map(|(name, network)| Change::Revoke { name, network }),
        3 => (key(), name()).prop_map(|(environment, name)| Change::Choose { environment, name }),
        1 => (key(), limit(), limit()).prop_map(|(environment, all, address)| Change::Limit {
            environment,
            all,
            address,
        }),
    ];
    change.prop_map(|change| Command::Access(Box::new(change)))
}

fn network() -> impl Strategy<Value = Network> {
    select(vec!["10.0.0.0/8", "192.0.2.7", "::/0"]).prop_map(|text| text.parse().unwrap())
}

fn limit() -> impl Strategy<Value = LimitChange> {
    let number = || select(vec![0, 1, 1_000_000, 1_000_001]);
    let rate = (number(), number()).prop_map(|(per_second, burst)| Rate { per_second, burst });
    (option::of(number()), option::of(rate))
        .prop_map(|(in_flight, rate)| LimitChange { in_flight, rate })
}
