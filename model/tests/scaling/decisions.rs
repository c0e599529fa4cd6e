//! Decisions about anything at all: the bounds hold, the rates and the waits are kept, and what was
//! not heard lowers nothing. The numbers are whole ones: what is no number cannot be said.

use fleet_model::{
    Time,
    environment::Limits,
    scaling::{
        Cause, Flow, Gate, Gates, Heard, Past, Policy, Question, ServiceSignals, Size, Step,
        Target, decide,
    },
    time::Millis,
};
use proptest::{collection::vec, option, prelude::*};

/// A question with what it borrows.
#[derive(Clone, Debug)]
struct Asked {
    policy: Policy,
    bounds: Limits,
    size: Size,
    desired: u32,
    ready: u32,
    past: Past,
    flows: Vec<(Time, Time, Flow)>,
    frontends: Heard,
    ingresses: Heard,
    gates: Gates,
    now: Time,
}

impl Asked {
    fn decide(&self) -> fleet_model::scaling::Decision {
        let mut signals = ServiceSignals::default();
        for (from, to, flow) in &self.flows {
            signals.add(*from, *to, flow);
        }
        decide(&Question {
            policy: self.policy,
            bounds: self.bounds,
            size: self.size,
            desired: self.desired,
            ready: self.ready,
            past: &self.past,
            signals: &signals,
            frontends: self.frontends,
            ingresses: self.ingresses,
            gates: self.gates,
            now: self.now,
        })
    }

    /// The bounds as the range they mean: the maximum counts where the two are none.
    fn range(&self) -> (u32, u32) {
        (self.bounds.min.min(self.bounds.max), self.bounds.max)
    }

    fn since_change(&self) -> Option<Millis> {
        let times = [self.past.grew, self.past.shrank, self.past.set];
        let last = times.into_iter().flatten().max()?;
        Some(self.now.since(last))
    }
}

/// Amounts as they are, and such as no machine can have.
fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..2_000_000_u64, any::<u64>(), Just(u64::MAX)]
}

/// Mostly the ten minutes before this moment; else any, so that clocks jump.
const NOW: u64 = 1_000_000_000;

fn moment() -> impl Strategy<Value = Time> {
    prop_oneof![
        8 => (NOW - 600_000..=NOW).prop_map(Time),
        1 => (NOW..NOW + 600_000).prop_map(Time),
        1 => any::<u64>().prop_map(Time),
        1 => Just(Time(u64::MAX)),
        1 => Just(Time(0)),
    ]
}

fn flow() -> impl Strategy<Value = Flow> {
    (amount(), amount(), amount(), amount(), amount(), amount()).prop_map(
        |(heard_ms, cpu_usec, memory_kib_ms, requests, errors, in_flight_ms)| Flow {
            heard_ms,
            cpu_usec,
            memory_kib_ms,
            requests,
            errors,
            in_flight_ms,
        },
    )
}

fn count() -> impl Strategy<Value = u32> {
    prop_oneof![8 => 0..12_u32, 1 => 0..20_000_u32, 1 => any::<u32>()]
}

fn policy() -> impl Strategy<Value = Policy> {
    let number = || prop_oneof![4 => 0..200_u32, 1 => any::<u32>()];
    let millis = || prop_oneof![4 => 0..700_000_u64, 1 => any::<u64>()].prop_map(Millis);
    let step = (number(), number(), count(), number(), millis()).prop_map(
        |(down_percent, up_percent, remove, add_percent, grace)| {
            Policy::Step(Step {
                down_percent,
                up_percent,
                remove,
                add_percent,
                grace,
            })
        },
    );
    let aim = || option::of(number());
    let target = (aim(), aim(), aim(), aim(), millis()).prop_map(
        |(cpu_percent, memory_percent, rps, concurrency, cooldown)| {
            Policy::Target(Target {
                cpu_percent,
                memory_percent,
                rps,
                concurrency,
                cooldown,
            })
        },
    );
    prop_oneof![step, target]
}

fn heard() -> impl Strategy<Value = Heard> {
    (count(), count(), option::of(moment()), option::of(moment())).prop_map(
        |(fresh, of, first, whole)| Heard {
            fresh,
            of,
            first,
            whole,
        },
    )
}

/// Everybody was heard for long: the only way a count is lowered.
fn sound() -> impl Strategy<Value = Heard> {
    (0..12_u32).prop_map(|of| Heard {
        fresh: of,
        of,
        first: Some(Time(0)),
        whole: Some(Time(0)),
    })
}

fn asked() -> impl Strategy<Value = Asked> {
    let limits = (count(), count()).prop_map(|(min, max)| Limits { min, max });
    let size = (any::<u32>(), option::of(amount())).prop_map(|(cpu, memory_bytes)| Size {
        cpu_millicores: cpu,
        memory_bytes,
    });
    let past = (
        option::of(moment()),
        option::of(moment()),
        option::of(moment()),
    )
        .prop_map(|(grew, shrank, set)| Past {
            grew,
            shrank,
            set,
            ..Past::default()
        });
    let gate = prop_oneof![
        Just(Gate::Rollout),
        moment().prop_map(|until| Gate::Warm { until })
    ];
    let gates = option::weighted(0.2, gate).prop_map(|shrink| Gates { shrink });
    let heard = || prop_oneof![heard(), sound()];
    (
        (policy(), limits, size),
        (count(), count(), past),
        vec((moment(), moment(), flow()), 0..12),
        (heard(), heard(), gates),
        prop_oneof![4 => Just(Time(NOW)), 1 => moment()],
    )
        .prop_map(
            |(
                (policy, bounds, size),
                (desired, ready, past),
                flows,
                (frontends, ingresses, gates),
                now,
            )| Asked {
                policy,
                bounds,
                size,
                desired,
                ready,
                past,
                flows,
                frontends,
                ingresses,
                gates,
                now,
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_count_is_within_its_bounds_and_every_decision_can_be_told(asked in asked()) {
        let decision = asked.decide();
        let (min, max) = asked.range();
        prop_assert!((min..=max).contains(&decision.to), "{decision:?}");
        prop_assert_eq!(decision.from, asked.desired);
        let moved = decision.to.cmp(&decision.from);
        let told = match decision.cause {
            Cause::Grew => std::cmp::Ordering::Greater,
            Cause::Shrank => std::cmp::Ordering::Less,
            Cause::Held(_) => std::cmp::Ordering::Equal,
            Cause::Bounded => moved,
        };
        prop_assert_eq!(moved, told);
        prop_assert!(decision.line().contains("bounds"));
        prop_assert_eq!(decision, asked.decide(), "a decision of chance");
    }

    #[test]
    fn what_was_not_heard_lowers_nothing(asked in asked()) {
        let decision = asked.decide();
        if decision.cause != Cause::Shrank {
            return Ok(());
        }
        prop_assert!(asked.ready > 0);
        prop_assert!(decision.to >= 1, "nobody would bring it back");
        prop_assert_eq!(asked.gates.shrink, None);
        let complete = |heard: Heard, of: u32, window: Millis| {
            let since = |time: Option<Time>| time.map(|time| asked.now.since(time));
            heard.fresh >= of && since(heard.first).min(since(heard.whole)) >= Some(window)
        };
        let all = asked.frontends.of.max(asked.ready);
        match asked.policy {
            Policy::Step(_) => prop_assert!(complete(asked.frontends, all, Step::DOWN_WINDOW)),
            Policy::Target(target) => {
                // As far back as the load is remembered, if the cooldown is longer.
                let window = target.cooldown.min(Millis::seconds(300)).max(Target::SLOW_WINDOW);
                let memory = target.memory_percent.is_some() && asked.size.memory_bytes.is_some();
                if target.cpu_percent.is_some() || memory {
                    prop_assert!(complete(asked.frontends, all, window));
                }
                if target.rps.is_some() || target.concurrency.is_some() {
                    prop_assert!(asked.ingresses.of > 0);
                    prop_assert!(complete(asked.ingresses, asked.ingresses.of, window));
                }
            }
        }
    }

    #[test]
    fn step_keeps_to_its_rates_and_its_grace_period(asked in asked()) {
        let decision = asked.decide();
        let Policy::Step(step) = asked.policy else { return Ok(()) };
        match decision.cause {
            Cause::Grew => {
                let share = u64::from(asked.desired) * u64::from(step.add_percent) / 100;
                prop_assert!(u64::from(decision.to - decision.from) <= share.max(1));
            }
            Cause::Shrank => prop_assert!(decision.from - decision.to <= step.remove),
            Cause::Bounded | Cause::Held(_) => return Ok(()),
        }
        prop_assert!(asked.since_change().is_none_or(|since| since >= step.grace));
    }

    #[test]
    fn target_keeps_what_people_set_for_the_cooldown(asked in asked()) {
        let decision = asked.decide();
        let Policy::Target(target) = asked.policy else { return Ok(()) };
        if decision.cause != Cause::Shrank {
            return Ok(());
        }
        let since = asked.past.set.map(|set| asked.now.since(set));
        prop_assert!(since.is_none_or(|since| since >= target.cooldown));
    }

    /// Fewer frontends that are heard of never make a count lower than all of them would.
    #[test]
    fn hearing_less_never_asks_for_fewer(asked in asked(), fresh in 0..12_u32) {
        let less = Asked {
            frontends: Heard { fresh: fresh.min(asked.frontends.fresh), ..asked.frontends },
            ..asked.clone()
        };
        let (all, less) = (asked.decide(), less.decide());
        prop_assert!(less.to >= all.to || all.to > all.from, "{all:?}\n{less:?}");
    }
}

/// The properties above say nothing if nothing ever changes.
#[test]
fn questions_like_these_are_answered_in_every_way() {
    use proptest::{strategy::ValueTree as _, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..20_000 {
        let asked = asked().new_tree(&mut runner).unwrap().current();
        let cause = match asked.decide().cause {
            Cause::Held(hold) => format!("{hold:?}"),
            cause => format!("{cause:?}"),
        };
        let (name, _) = cause.split_once(' ').unwrap_or((&cause, ""));
        *seen
            .entry((name.to_owned(), asked.policy.kind()))
            .or_insert(0) += 1;
    }
    for (cause, policy) in [
        ("Grew", "step"),
        ("Shrank", "step"),
        ("Grace", "step"),
        ("Grew", "target"),
        ("Shrank", "target"),
        ("Grace", "target"),
        ("UnheardFrontends", "step"),
        ("UnheardFrontends", "target"),
        ("UnheardIngresses", "target"),
        ("Gap", "step"),
        ("Filling", "target"),
        ("AtMaximum", "target"),
        ("Steady", "step"),
        ("NoTarget", "target"),
        ("NothingReady", "step"),
        ("Rollout", "target"),
    ] {
        let times = seen
            .iter()
            .find(|((c, p), _)| c == cause && p.as_str() == policy);
        assert!(
            times.is_some_and(|(_, times)| *times >= 3),
            "{cause} of {policy}: {seen:#?}"
        );
    }
}
