//! How many frontends the load asks for.
//!
//! Only services that there is news of are looked at ([`crate::scaling::Signals::look`]). A decision
//! that changes nothing is committed only when its reason is news ([`Past::is_told`]).

use std::collections::BTreeSet;

use super::{BATCH, Draft, Load, ingress::Ingresses};
#[cfg(doc)]
use crate::scaling::Past;
use crate::{
    State,
    command::{Command, Rescale},
    ids::{LoadedKey, ServiceName},
    scaling::{SWEEP, Subject},
};

pub(super) fn plan(state: &State, load: &Load, ingresses: &Ingresses<'_>, draft: &mut Draft) {
    if load.signals.is_empty() {
        return;
    }
    let mut looked = BTreeSet::new();
    let mut items = Vec::new();
    for ((loaded, service), _) in load.signals.due() {
        let key = counted(state, loaded);
        // Two releases of a promotion have one count.
        let shared = state.is_rolling(&key.environment);
        if shared && !looked.insert((key.clone(), service.clone())) {
            continue;
        }
        if let Ok(subject) = Subject::of(state, load, ingresses, &key, service, draft.now) {
            items.extend(told(subject, service));
        }
    }
    draft.commands.extend(
        items
            .chunks(BATCH)
            .map(|chunk| Command::Rescale(chunk.to_vec())),
    );
    // Silence is news that nobody brings.
    draft.wake(draft.now.plus(SWEEP));
}

fn told(subject: Subject<'_>, service: &ServiceName) -> Option<Rescale> {
    let decision = subject.decide();
    subject.past.is_told(&decision).then(|| Rescale {
        loaded: subject.key,
        service: service.clone(),
        decision,
    })
}

/// The release whose count changes when the load of `loaded` does: while a promotion takes its
/// frontends away, the one they give way to.
fn counted(state: &State, loaded: &LoadedKey) -> LoadedKey {
    let promotion = state
        .rollouts
        .get(&loaded.environment)
        .filter(|rollout| rollout.giving_way() == Some(&loaded.release));
    let keys = promotion.map(|promotion| [promotion.incoming_key(), promotion.outgoing_key()]);
    let mut keys = keys.into_iter().flatten().flatten();
    keys.find(|key| key != loaded)
        .unwrap_or_else(|| loaded.clone())
}
