//! Commands of autoscaling.

use fleet_model::{
    Command, Time,
    command::{AutoscalingChange, Rescale, TargetsChange},
    environment::Limits,
    scaling::{Cause, Decision, Hold, PolicyKind, Reading, Signal},
    time::Millis,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use super::{key, loaded, service_name};

pub(super) fn setting() -> impl Strategy<Value = Command> {
    (key(), change()).prop_map(|(environment, change)| Command::SetAutoscaling {
        environment,
        change,
    })
}

fn change() -> impl Strategy<Value = AutoscalingChange> {
    let target = || option::of(option::of(0..200_u32));
    let targets = (target(), target(), target(), target()).prop_map(
        |(cpu_percent, memory_percent, rps, concurrency)| TargetsChange {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
        },
    );
    prop_oneof![
        (0..120_u32, 0..120_u32).prop_map(|(down_percent, up_percent)| {
            AutoscalingChange::Thresholds {
                down_percent,
                up_percent,
            }
        }),
        (0..4_u32, 0..120_u32).prop_map(|(remove, add_percent)| AutoscalingChange::Rates {
            remove,
            add_percent,
        }),
        millis().prop_map(AutoscalingChange::GracePeriod),
        select(&PolicyKind::ALL[..]).prop_map(AutoscalingChange::Policy),
        targets.prop_map(AutoscalingChange::Targets),
        millis().prop_map(AutoscalingChange::Cooldown),
    ]
}

pub(super) fn rescale() -> impl Strategy<Value = Command> {
    let item =
        (loaded(), service_name(), decision()).prop_map(|(loaded, service, decision)| Rescale {
            loaded,
            service,
            decision,
        });
    vec(item, 0..4).prop_map(Command::Rescale)
}

fn decision() -> impl Strategy<Value = Decision> {
    let limits = (0..6_u32, 0..6_u32).prop_map(|(min, max)| Limits { min, max });
    (
        (any::<u64>(), 0..6_u32, 0..6_u32),
        cause(),
        select(&PolicyKind::ALL[..]),
        limits,
        (any::<u32>(), any::<u32>()),
        vec(reading(), 0..3),
    )
        .prop_map(
            |((at, from, to), cause, policy, bounds, (ready, unheard), readings)| Decision {
                at: Time(at),
                from,
                to,
                cause,
                policy,
                bounds,
                ready,
                unheard,
                readings,
            },
        )
}

fn cause() -> impl Strategy<Value = Cause> {
    let heard = || (any::<u32>(), any::<u32>());
    let hold = prop_oneof![
        Just(Hold::Steady),
        Just(Hold::AtMaximum),
        millis().prop_map(|rest| Hold::Grace { rest }),
        Just(Hold::Rollout),
        millis().prop_map(|rest| Hold::Warm { rest }),
        millis().prop_map(|rest| Hold::Filling { rest }),
        heard().prop_map(|(heard, of)| Hold::UnheardFrontends { heard, of }),
        heard().prop_map(|(heard, of)| Hold::UnheardIngresses { heard, of }),
        millis().prop_map(|rest| Hold::Gap { rest }),
        Just(Hold::NothingReady),
        Just(Hold::NoTarget),
    ];
    prop_oneof![
        Just(Cause::Grew),
        Just(Cause::Shrank),
        Just(Cause::Bounded),
        hold.prop_map(Cause::Held),
    ]
}

fn reading() -> impl Strategy<Value = Reading> {
    (
        select(&Signal::ALL[..]),
        millis(),
        any::<u64>(),
        any::<u64>(),
        any::<u32>(),
    )
        .prop_map(|(signal, window, value, limit, asks)| Reading {
            signal,
            window,
            value,
            limit,
            asks,
        })
}

fn millis() -> impl Strategy<Value = Millis> {
    (0..4_000_000_u64).prop_map(Millis)
}
