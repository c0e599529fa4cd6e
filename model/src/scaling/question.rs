//! What is asked about one service: the state and what the leader heard, as a [`Question`].

use std::{borrow::Cow, fmt};

use super::{
    Decision, FRESH, Gate, Gates, Heard, Past, Policy, Question, ServiceSignals, Size, decide,
    policy_of,
};
use crate::{
    State, Time,
    environment::{Limits, Loaded, LoadedStatus},
    ids::{LoadedKey, NodeId, ServiceName},
    plan::{Load, ingress::Ingresses},
    rollout::{Phase, Rollout, Strategy},
    state::Group,
    time::Millis,
};

/// How long a release that is loaded and not active keeps its count: the rollback window.
const WARM: Millis = Millis::seconds(15 * 60);

/// A service whose count follows the load.
///
/// While a promotion is under way the two releases serve as one: their frontends and what was
/// measured of them count together, and the count is what the promotion aims at.
#[derive(Clone, Debug)]
pub(crate) struct Subject<'a> {
    /// The release whose count it is; of a promotion the one that it goes to.
    pub key: LoadedKey,
    pub past: &'a Past,
    policy: Policy,
    bounds: Limits,
    size: Size,
    desired: u32,
    ready: u32,
    signals: Cow<'a, ServiceSignals>,
    pub frontends: Heard,
    pub ingresses: Heard,
    gates: Gates,
    now: Time,
}

/// Why a count does not follow the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unscaled {
    /// There is no such service any more.
    Gone,
    /// It is an agent: there are as many as nodes.
    Agent,
    /// Its bounds leave no choice.
    Pinned,
    /// Its release is being loaded, unloaded, or has failed.
    Status(&'static str),
    /// An activation brings its release to the count of the active one.
    WarmingUp,
    /// A promotion takes its frontends away.
    GivingWay,
    /// Nothing was heard of it yet.
    Unheard,
}

impl fmt::Display for Unscaled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("there is no such service any more"),
            Self::Agent => f.write_str("an agent runs on every node, whatever the load"),
            Self::Pinned => f.write_str("its minimum is its maximum, so the count never changes"),
            Self::Status(status) => write!(f, "its release is {status}, and its count stays"),
            Self::WarmingUp => {
                f.write_str("its release is being activated and takes the count of the active one")
            }
            Self::GivingWay => {
                f.write_str("a promotion replaces its frontends and follows the load meanwhile")
            }
            Self::Unheard => {
                f.write_str("nothing was heard of its frontends yet, and its count stays")
            }
        }
    }
}

impl<'a> Subject<'a> {
    /// The question about a service of a loaded release, or why there is none.
    pub(crate) fn of(
        state: &'a State,
        load: &'a Load,
        ingresses: &Ingresses<'_>,
        key: &LoadedKey,
        service: &ServiceName,
        now: Time,
    ) -> Result<Self, Unscaled> {
        let loaded = state.loaded.get(key).ok_or(Unscaled::Gone)?;
        let environment = state.environments.get(&key.environment);
        let settings = &environment.ok_or(Unscaled::Gone)?.settings;
        let described = loaded
            .manifest
            .services
            .get(service)
            .ok_or(Unscaled::Gone)?;
        let counted = *loaded.desired.get(service).ok_or(Unscaled::Gone)?;
        let bounds = loaded.bounds(service, settings);
        if described.agent {
            return Err(Unscaled::Agent);
        }
        if bounds.min >= bounds.max {
            return Err(Unscaled::Pinned);
        }
        let rollout = state.rollouts.get(&key.environment);
        let rollout = rollout.filter(|rollout| !rollout.phase.over());
        let promotion = rollout.filter(|rollout| rollout.concerns(&key.release));
        let other = match promotion {
            Some(promotion) => {
                if promotion.giving_way() == Some(&key.release) {
                    return Err(Unscaled::GivingWay);
                }
                other_key(promotion, key)
            }
            None => {
                refuse_unless_settled(loaded)?;
                None
            }
        };
        let desired = promotion.map_or(Some(counted), |promotion| {
            aims(promotion)?.get(service).copied()
        });
        let mut groups = vec![state.group(key, service)];
        let mut signals = load.signals.of(key, service).map(Cow::Borrowed);
        if let Some(other) = &other {
            groups.push(state.group(other, service));
            let theirs = load.signals.of(other, service);
            signals = match (signals, theirs) {
                (Some(ours), Some(theirs)) => Some(Cow::Owned(ours.with(theirs))),
                (ours, theirs) => ours.or(theirs.map(Cow::Borrowed)),
            };
        }
        let signals = signals.ok_or(Unscaled::Unheard)?;
        let past = loaded.scaling.get(service).unwrap_or(&NOTHING);
        let policy = policy_of(loaded, service, settings);
        Ok(Self {
            key: key.clone(),
            past,
            policy,
            bounds,
            size: Size::of(
                loaded.requests(service, settings),
                loaded.limits(service, settings),
            ),
            desired: desired.ok_or(Unscaled::Gone)?,
            ready: groups.iter().flatten().map(|group| group.healthy()).sum(),
            frontends: frontends(state, load, &groups, &signals, now),
            ingresses: self::ingresses(load, ingresses, now),
            signals,
            gates: gates(loaded, past, rollout, &policy, now),
            now,
        })
    }

    pub(crate) fn decide(&self) -> Decision {
        decide(&Question {
            policy: self.policy,
            bounds: self.bounds,
            size: self.size,
            desired: self.desired,
            ready: self.ready,
            past: self.past,
            signals: &self.signals,
            frontends: self.frontends,
            ingresses: self.ingresses,
            gates: self.gates,
            now: self.now,
        })
    }
}

static NOTHING: std::sync::LazyLock<Past> = std::sync::LazyLock::new(Past::default);

fn refuse_unless_settled(loaded: &Loaded) -> Result<(), Unscaled> {
    match loaded.status {
        LoadedStatus::Active | LoadedStatus::Running => Ok(()),
        LoadedStatus::Activating => Err(Unscaled::WarmingUp),
        _ => Err(Unscaled::Status(loaded.status.as_str())),
    }
}

/// The counts a promotion is going to.
pub(crate) fn aims(promotion: &Rollout) -> Option<&imbl::OrdMap<ServiceName, u32>> {
    match (&promotion.strategy, &promotion.phase) {
        (Strategy::Roll(roll), Phase::Reverting { .. }) => Some(&roll.outgoing),
        (Strategy::Roll(roll), _) => Some(&roll.targets),
        (Strategy::Switch { .. }, _) => None,
    }
}

fn other_key(promotion: &Rollout, key: &LoadedKey) -> Option<LoadedKey> {
    let keys = [promotion.incoming_key(), promotion.outgoing_key()];
    keys.into_iter().flatten().find(|other| other != key)
}

/// What must not happen to a release just now, whatever is measured.
fn gates(
    loaded: &Loaded,
    past: &Past,
    rollout: Option<&Rollout>,
    policy: &Policy,
    now: Time,
) -> Gates {
    if rollout.is_some() {
        return Gates {
            shrink: Some(Gate::Rollout),
        };
    }
    let gate = if loaded.status == LoadedStatus::Active {
        // Until it took over, another carried the load, or a part of it.
        let until = loaded.since.plus(policy.reach());
        (until > now).then_some(Gate::Young { until })
    } else {
        let set = past.set.map_or(loaded.since, |set| set.max(loaded.since));
        let until = set.plus(WARM);
        (until > now).then_some(Gate::Warm { until })
    };
    Gates { shrink: gate }
}

/// How many ready frontends were heard of lately.
fn frontends(
    state: &State,
    load: &Load,
    groups: &[Option<&Group>],
    signals: &ServiceSignals,
    now: Time,
) -> Heard {
    let mut heard = Heard::default();
    for group in groups.iter().flatten() {
        heard.of += group.healthy();
        let fresh = group.ready().filter(|id| {
            // Who has just become ready is about to be heard of.
            let young = || {
                let frontend = state.frontends.get(id);
                frontend.is_some_and(|f| now.since(f.observed.since) <= FRESH)
            };
            load.signals.is_fresh(*id, now) || young()
        });
        heard.fresh += u32::try_from(fresh.count()).unwrap_or(u32::MAX);
    }
    let since = signals.usage_since();
    heard.first = since.map(|(first, _)| first);
    heard.whole = since.map(|(_, whole)| whole);
    heard
}

/// How many of the ingresses that may send requests were heard of lately.
fn ingresses(load: &Load, ingresses: &Ingresses<'_>, now: Time) -> Heard {
    let mut expected: Vec<NodeId> = ingresses.expected().collect();
    expected.dedup();
    let fresh = expected
        .iter()
        .filter(|node| load.signals.is_ingress_fresh(**node, now))
        .count();
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let since = load.signals.traffic_since();
    Heard {
        fresh: count(fresh),
        of: count(expected.len()),
        first: since.map(|(first, _)| first),
        whole: since.map(|(_, whole)| whole),
    }
}
