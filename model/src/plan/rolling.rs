//! The rolling update: frontends of one release give way to those of another, a few at a time.
//!
//! Of each service `count` frontends are wanted. Between the first step and the last
//! - healthy ones, of both releases together, are never fewer than `minimum` % of that, rounded up,
//! - all there are, starting and stopping ones included, never more than `maximum` %, rounded down,
//!
//! by any step of the controller's own ([`bounds`]). [`step`] says what may be done next; it is
//! asked again after every change. New frontends start as long as there is room for them; old ones
//! leave as new ones become healthy, and below `count` only where there is no room to begin with
//! ("break one, make one"). What autoscaling adds meanwhile is room for more and nothing to wait for
//! ([`crate::rollout::Grown`]): `minimum` is of the count without it, `maximum` of the count with it. A reversal is the same with the releases changed about.

use std::collections::BTreeSet;

use imbl::OrdMap;

use crate::{
    State,
    environment::Loaded,
    ids::{LoadedKey, ServiceName},
    manifest::Deployment,
    rollout::{Phase, Rollout},
    state::Group,
};

/// Bounds of the frontends of one service during a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// What is wanted in the end.
    pub count: u32,
    /// Fewest healthy ones.
    pub minimum: u32,
    /// Most of all.
    pub maximum: u32,
}

/// The bounds of a service of `count` frontends.
#[must_use]
pub fn bounds(deployment: Deployment, count: u32) -> Bounds {
    let percent = |share: u32| u64::from(count) * u64::from(share);
    let minimum = percent(deployment.minimum).div_ceil(100);
    let maximum = percent(deployment.maximum) / 100;
    Bounds {
        count,
        minimum: u32::try_from(minimum).unwrap_or(u32::MAX).min(count),
        maximum: u32::try_from(maximum).unwrap_or(u32::MAX).max(count),
    }
}

impl Bounds {
    /// Whether one frontend can be replaced at all: there is room for a new one, or an old one may
    /// be missing.
    #[must_use]
    pub fn leave_room(self) -> bool {
        self.count == 0 || self.maximum > self.count || self.minimum < self.count
    }

    /// How many must be healthy before another old one may leave.
    fn floor(self) -> u32 {
        if self.maximum > self.count {
            self.count
        } else {
            self.minimum
        }
    }
}

/// A new count for a service of one of the two releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub loaded: LoadedKey,
    pub service: ServiceName,
    pub count: u32,
}

/// What may be done next; empty while something has to happen first.
#[must_use]
pub fn step(state: &State, rollout: &Rollout) -> Vec<Change> {
    let Some(course) = Course::of(state, rollout) else {
        return Vec::new();
    };
    let mut changes = Vec::new();
    let arrived = course.arrived(state);
    for service in course.services() {
        let bounds = course.bounds(&service);
        let (from, to) = (
            course.from.tally(state, &service),
            course.to.tally(state, &service),
        );
        let target = course.to.aim(&service);
        let mut rest = course.from.aim(&service);
        if target > 0 {
            // A release that stood before with more than there is room for makes room first.
            rest = rest.min(bounds.maximum.saturating_sub(target));
        }
        let room = bounds.maximum.saturating_sub(from.claimed() + to.claimed());
        let count = target.min(to.desired.saturating_add(room));
        if count > to.desired {
            changes.extend(course.to.change(&service, count));
        }
        let kept = if target == 0 {
            // Only the release that gives way has it: it goes when everything else is there.
            if arrived { 0 } else { from.desired }
        } else {
            bounds.floor().saturating_sub(to.healthy)
        };
        let count = from.desired.min(kept.max(rest));
        if count < from.desired {
            changes.extend(course.from.change(&service, count));
        }
    }
    changes
}

/// Whether everything is as it shall be in the end: the one release complete and healthy, and nothing
/// of the other wanted any more. What of it is still on its way out is the planner's to wait for.
#[must_use]
pub fn replaced(state: &State, rollout: &Rollout) -> bool {
    let Some(course) = Course::of(state, rollout) else {
        return true;
    };
    let left = |service: &ServiceName| {
        let tally = course.from.tally(state, service);
        let rest = course.from.aim(service);
        tally.desired <= rest && tally.kept <= rest
    };
    course.arrived(state) && course.services().iter().all(left)
}

/// How many more frontends of a service there may be just now, those of both releases counted.
/// Beyond what [`step`] allowed, lost ones come back and failed ones are made up for.
#[must_use]
pub fn room(state: &State, rollout: &Rollout, service: &ServiceName) -> u32 {
    let Some(course) = Course::of(state, rollout) else {
        return u32::MAX;
    };
    let there = |side: &Side<'_>| side.tally(state, service).there;
    let most = match course.to.aim(service) {
        // Only the release that gives way has it, and is as it was until it goes.
        0 => return u32::MAX,
        _ => course.bounds(service).maximum,
    };
    most.saturating_sub(there(&course.from) + there(&course.to))
}

/// Healthy and wanted frontends of the release that takes over.
#[must_use]
pub fn progress(state: &State, rollout: &Rollout) -> (u32, u32) {
    let Some(course) = Course::of(state, rollout) else {
        return (0, 0);
    };
    course
        .to
        .aims
        .keys()
        .map(|service| (service, course.to.base(service)))
        .map(|(service, base)| (course.to.tally(state, service).healthy.min(base), base))
        .fold((0, 0), |(a, b), (healthy, aim)| (a + healthy, b + aim))
}

/// From where to where a promotion is going just now.
struct Course<'a> {
    from: Side<'a>,
    to: Side<'a>,
    rolled_out: Option<&'a Loaded>,
}

impl<'a> Course<'a> {
    fn of(state: &'a State, rollout: &'a Rollout) -> Option<Self> {
        let roll = rollout.roll()?;
        let incoming = rollout.incoming_key();
        let outgoing = rollout.outgoing_key();
        // Percentages are those of the release that is rolled out, on the way back too.
        let rolled_out = incoming.as_ref().and_then(|key| state.loaded.get(key));
        let nothing = OrdMap::new;
        let (from, to) = if matches!(rollout.phase, Phase::Reverting { .. }) {
            let before = roll.incoming.clone().unwrap_or_default();
            (
                Side::of(state, incoming, before, nothing()),
                Side::of(
                    state,
                    outgoing,
                    roll.outgoing.clone(),
                    roll.grown.outgoing.clone(),
                ),
            )
        } else {
            (
                Side::of(state, outgoing, nothing(), nothing()),
                Side::of(
                    state,
                    incoming,
                    roll.targets.clone(),
                    roll.grown.targets.clone(),
                ),
            )
        };
        Some(Self {
            from,
            to,
            rolled_out,
        })
    }

    fn services(&self) -> BTreeSet<ServiceName> {
        let of = |side: &Side<'_>| {
            let desired = side.loaded.iter().flat_map(|loaded| loaded.desired.keys());
            desired.chain(side.aims.keys()).cloned().collect::<Vec<_>>()
        };
        of(&self.from).into_iter().chain(of(&self.to)).collect()
    }

    fn bounds(&self, service: &ServiceName) -> Bounds {
        let described = |loaded: &Loaded| {
            let service = loaded.manifest.services.get(service);
            service.map(|service| service.deployment)
        };
        let deployment = self
            .rolled_out
            .and_then(described)
            .or_else(|| self.from.loaded.and_then(described))
            .unwrap_or_default();
        Bounds {
            maximum: bounds(deployment, self.to.aim(service)).maximum,
            ..bounds(deployment, self.to.base(service))
        }
    }

    fn arrived(&self, state: &State) -> bool {
        self.to
            .aims
            .keys()
            .all(|service| self.to.tally(state, service).healthy >= self.to.base(service))
    }
}

/// One of the two releases, and the counts it is going to.
struct Side<'a> {
    key: Option<LoadedKey>,
    loaded: Option<&'a Loaded>,
    aims: OrdMap<ServiceName, u32>,
    /// How many of these autoscaling added.
    grown: OrdMap<ServiceName, u32>,
}

impl<'a> Side<'a> {
    fn of(
        state: &'a State,
        key: Option<LoadedKey>,
        aims: OrdMap<ServiceName, u32>,
        grown: OrdMap<ServiceName, u32>,
    ) -> Self {
        let loaded = key.as_ref().and_then(|key| state.loaded.get(key));
        Self {
            key,
            loaded,
            aims,
            grown,
        }
    }

    fn aim(&self, service: &ServiceName) -> u32 {
        self.aims.get(service).copied().unwrap_or(0)
    }

    /// What it has to come to, and what is kept meanwhile: without what autoscaling added.
    fn base(&self, service: &ServiceName) -> u32 {
        let grown = self.grown.get(service).copied().unwrap_or(0);
        self.aim(service).saturating_sub(grown)
    }

    fn tally(&self, state: &State, service: &ServiceName) -> Tally {
        let desired = self.loaded.and_then(|loaded| loaded.desired.get(service));
        let group = self.key.as_ref().and_then(|key| state.group(key, service));
        Tally {
            desired: desired.copied().unwrap_or(0),
            there: group.map_or(0, Group::there),
            kept: group.map_or(0, Group::kept),
            healthy: group.map_or(0, Group::healthy),
        }
    }

    fn change(&self, service: &ServiceName, count: u32) -> Option<Change> {
        Some(Change {
            loaded: self.key.clone()?,
            service: service.clone(),
            count,
        })
    }
}

/// Frontends of a service of one release.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    desired: u32,
    /// Neither over nor lost.
    there: u32,
    /// Of these, wanted.
    kept: u32,
    healthy: u32,
}

impl Tally {
    /// Frontends there are or are about to be.
    fn claimed(self) -> u32 {
        self.there + self.desired.saturating_sub(self.kept)
    }
}

/// Counts a promotion of `incoming` aims at: what the outgoing release has now, within bounds, so
/// that a deploy keeps what autoscaling found; its own first counts where there is nothing to keep.
#[must_use]
pub fn targets(
    incoming: &Loaded,
    outgoing: Option<&Loaded>,
    settings: &crate::environment::Settings,
    first: &OrdMap<ServiceName, u32>,
) -> OrdMap<ServiceName, u32> {
    let count = |service: &ServiceName, own: u32| {
        let kept = outgoing.and_then(|outgoing| outgoing.desired.get(service));
        let bounds = incoming.bounds(service, settings);
        bounds.clamp(kept.copied().unwrap_or(own))
    };
    first
        .iter()
        .map(|(service, own)| (service.clone(), count(service, *own)))
        .collect()
}
