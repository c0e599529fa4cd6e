//! Frontends leave a node that is drained. Most of them surge: a replacement starts elsewhere, gets
//! healthy, and the old one leaves (see `fill`). Here is what is different for singletons, of which
//! there is never a second, for agents, which belong to their node, and after the deadline.

use super::{Draft, Work, leave};
use crate::{
    State,
    frontend::{Desired, Frontend},
    ids::ServiceName,
    plan::{
        drain::{self, Stay},
        placement,
    },
    report::{Reason, Waiting},
};

/// What is left when the deadline of a drain is over goes, replaced or not.
pub(super) fn force(state: &State, draft: &mut Draft) {
    for node in state.nodes.values().filter(|node| node.draining) {
        if !node.drain_is_forced(draft.now) {
            node.drain_until
                .into_iter()
                .for_each(|until| draft.wake(until));
            continue;
        }
        let why = format!("the deadline for draining {} is over", node.name);
        let left = state.frontends_on(node.id);
        for frontend in left.filter(|f| f.desired == Desired::Run) {
            leave(frontend, &why, draft);
        }
    }
}

/// Lets agents go that are alone on a node that is drained; answers how many healthy ones are on
/// such nodes. Until all else is gone they stay: what is still there may need them.
pub(super) fn agents(work: &Work<'_>, service: &ServiceName, draft: &mut Draft) -> u32 {
    let state = work.state;
    let is_agent = |frontend: &Frontend| {
        let loaded = state.loaded.get(&frontend.loaded);
        loaded
            .and_then(|loaded| loaded.manifest.services.get(&frontend.service))
            .is_some_and(|service| service.agent)
    };
    let mut healthy = 0;
    for node in state.nodes.values().filter(|node| node.draining) {
        let needed = state
            .frontends_on(node.id)
            .any(|f| f.is_there() && !is_agent(f));
        let ours = state.frontends_on(node.id).filter(|f| {
            f.loaded == *work.key && f.service == *service && f.desired == Desired::Run
        });
        for frontend in ours {
            healthy += u32::from(frontend.healthy());
            if !needed && !frontend.observed.phase.over() {
                leave(frontend, "its node is drained", draft);
            }
        }
    }
    healthy
}

/// Looks after a slot of a singleton: one on a node that is drained stops first, if another node
/// can take its place. Answers whether one is still there, so that none may be placed yet.
pub(super) fn one_at_a_time(
    work: &Work<'_>,
    service: &ServiceName,
    slot: u32,
    held: &[&Frontend],
    draft: &mut Draft,
) -> bool {
    let state = work.state;
    let drained = |frontend: &&&Frontend| {
        let node = state.nodes.get(&frontend.node);
        node.is_some_and(|node| node.draining) && frontend.is_there()
    };
    for frontend in held.iter().filter(drained) {
        let left = drain::of(state, frontend);
        if let Stay::Stuck { .. } = left.reason {
            draft.waiting.push(Waiting {
                environment: Some(left.environment),
                release: Some(work.key.release.clone()),
                since: frontend.desired_since,
                reason: Reason::Stuck {
                    frontend: left.name,
                    why: left.reason.to_string(),
                },
            });
        } else {
            leave(
                frontend,
                "its node is drained, and there is never a second one",
                draft,
            );
        }
    }
    placement::one_is_there(state, work.key, service, slot)
}
