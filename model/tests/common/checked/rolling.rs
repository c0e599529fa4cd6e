//! The bounds of a promotion, worked out from the manifest and the frontends alone.

use std::collections::BTreeSet;

use fleet_model::{
    State,
    frontend::Phase,
    ids::{LoadedKey, ServiceName},
    manifest::Deployment,
    plan::rolling::bounds,
    rollout::Rollout,
};

/// By no step of the planner's own are healthy frontends fewer than the minimum, or all there are
/// more than the maximum, unless they were before.
pub(super) fn bounds_hold(before: &State, after: &State, said: &str) {
    // A drained node is left at the cost of one frontend more, and whose node is lost is not there.
    let calm = |state: &State| state.nodes.values().all(|node| !node.draining);
    if !calm(before) || !calm(after) {
        return;
    }
    for (key, rollout) in &after.rollouts {
        let going_on = before
            .rollouts
            .get(key)
            .is_some_and(|was| was.id == rollout.id && was.phase.shared());
        let (Some(roll), true) = (rollout.roll(), going_on && rollout.phase.shared()) else {
            continue;
        };
        for (service, count) in &roll.targets {
            // A service the outgoing release has less of, or more, is bounded by either count. What
            // autoscaling added meanwhile is room for more, and not to be kept.
            let began = |count: u32, grown: &imbl::OrdMap<ServiceName, u32>| {
                count - grown.get(service).copied().unwrap_or(0)
            };
            let (low, high) = match roll.outgoing.get(service) {
                Some(other) => (
                    began(*count, &roll.grown.targets).min(began(*other, &roll.grown.outgoing)),
                    *count.max(other),
                ),
                None => (0, *count),
            };
            let deployment = deployment(after, rollout, service);
            let (was, is) = (
                Seen::of(before, rollout, service),
                Seen::of(after, rollout, service),
            );
            let minimum = bounds(deployment, low).minimum;
            assert!(
                is.healthy >= was.healthy || is.healthy >= minimum,
                "{} healthy frontends of {service}, {minimum} at least, {} before {said}",
                is.healthy,
                was.healthy
            );
            // A release that stood before with more may have lost ones replaced.
            let stood = roll.incoming.as_ref().and_then(|stood| stood.get(service));
            let maximum = bounds(deployment, high).maximum;
            let maximum = maximum.max(stood.copied().unwrap_or(0));
            assert!(
                is.there <= was.there || is.there <= maximum,
                "{} frontends of {service}, {maximum} at most, {} before {said}",
                is.there,
                was.there
            );
        }
    }
}

struct Seen {
    healthy: u32,
    there: u32,
}

impl Seen {
    fn of(state: &State, rollout: &Rollout, service: &ServiceName) -> Self {
        let keys: BTreeSet<LoadedKey> = [rollout.incoming_key(), rollout.outgoing_key()]
            .into_iter()
            .flatten()
            .collect();
        let frontends = || {
            keys.iter()
                .flat_map(|key| state.frontends_of(key))
                .filter(|f| f.service == *service)
        };
        let there = |phase: Phase| !phase.over() && phase != Phase::Lost;
        Self {
            healthy: frontends().filter(|f| f.healthy()).count() as u32,
            there: frontends().filter(|f| there(f.observed.phase)).count() as u32,
        }
    }
}

fn deployment(state: &State, rollout: &Rollout, service: &ServiceName) -> Deployment {
    let incoming = rollout.incoming_key();
    incoming
        .and_then(|key| state.loaded.get(&key))
        .and_then(|loaded| loaded.manifest.services.get(service))
        .map(|service| service.deployment)
        .unwrap_or_default()
}
