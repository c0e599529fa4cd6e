//! Invariants over the state. Tests hold them after every command; the names are those of
//! docs/testing.md.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    State,
    access::{ALLOW_ALL, MOST_RULES, MOST_WHITELISTS, Whitelist},
    acme::{Account, MOST_ACCOUNTS, ORDERS_AT_ONCE, ORDERS_PER_WINDOW},
    build::{BuildStatus, STEP_ATTEMPTS, STEPS_PER_NODE},
    certificate::{MOST_CERTIFICATES, SELF_SIGNED, TICKET_KEYS},
    environment::LoadedStatus,
    frontend::Desired,
    ids::{FrontendId, LoadedKey, NodeId},
    rollout::Phase,
};

/// Everything that is wrong with a state, in words; empty when nothing is.
#[must_use]
pub fn violations(state: &State) -> Vec<String> {
    let mut found = Vec::new();
    active_release_is_loaded(state, &mut found);
    statuses_agree_with_pointers(state, &mut found);
    frontends_belong(state, &mut found);
    incarnations_are_unique(state, &mut found);
    counts_are_in_bounds(state, &mut found);
    promotions_aim_within_bounds(state, &mut found);
    indexes_are_true(state, &mut found);
    memory_is_bounded(state, &mut found);
    build_steps_are_due(state, &mut found);
    trust_is_of_nodes(state, &mut found);
    certificates_are_there(state, &mut found);
    whitelists_are_there(state, &mut found);
    orders_are_few_and_known(state, &mut found);
    found
}

/// There are two authorities while one replaces the other, and never more; certificates are of nodes.
fn trust_is_of_nodes(state: &State, found: &mut Vec<String>) {
    let trust = &state.trust;
    let authorities = trust.authorities.len();
    let expected = match (authorities, trust.rotation.is_some()) {
        (0 | 1, rotating) => !rotating,
        (2, rotating) => rotating,
        _ => false,
    };
    if !expected {
        found.push(format!("{authorities} authorities, {:?}", trust.rotation));
    }
    let strangers = trust
        .held
        .keys()
        .filter(|node| !state.nodes.contains_key(*node));
    found.extend(strangers.map(|node| format!("{node} is no node and has a certificate")));
}

/// Environments name certificates that exist, the cluster's own among them, and no ingress can miss a
/// change.
fn certificates_are_there(state: &State, found: &mut Vec<String>) {
    for environment in state.environments.values() {
        let name = environment.settings.certificate.as_str();
        if !state.certificates.contains_key(name) && name != SELF_SIGNED {
            found.push(format!(
                "{} has the certificate {name:?}, which is none",
                environment.key
            ));
        }
    }
    for certificate in state.certificates.values() {
        if certificate.generation > state.tls.generation {
            found.push(format!(
                "certificate {} changed in silence",
                certificate.name
            ));
        }
    }
    let keys = &state.tls.tickets.keys;
    let in_order = keys.is_sorted_by(|a, b| a.id < b.id);
    if !in_order || keys.len() > TICKET_KEYS || state.tls.generation > state.generation {
        found.push(format!("what ingresses need for TLS is {:?}", state.tls));
    }
    if state.certificates.len() > MOST_CERTIFICATES {
        found.push(format!(
            "there are {} certificates",
            state.certificates.len()
        ));
    }
}

/// Environments name whitelists that exist; the one that admits everybody is as it was made.
fn whitelists_are_there(state: &State, found: &mut Vec<String>) {
    for environment in state.environments.values() {
        let name = environment.settings.whitelist.as_str();
        if !state.whitelists.contains_key(name) && name != ALLOW_ALL {
            let key = &environment.key;
            found.push(format!("{key} has the whitelist {name:?}, which is none"));
        }
    }
    let all = state.whitelists.get(ALLOW_ALL);
    if all.is_some_and(|all| *all != Whitelist::allow_all()) {
        found.push(format!("{ALLOW_ALL} is {all:?}"));
    }
    let long = state
        .whitelists
        .values()
        .find(|list| list.rules.len() > MOST_RULES);
    if long.is_some() || state.whitelists.len() > MOST_WHITELISTS {
        found.push(format!("whitelists have grown: {long:?}"));
    }
}

/// No more orders are under way than may be, each with an account, and ingresses were told of every
/// answer.
fn orders_are_few_and_known(state: &State, found: &mut Vec<String>) {
    let orders = state.orders().count();
    if orders > ORDERS_AT_ONCE || state.accounts.len() > MOST_ACCOUNTS {
        let accounts = state.accounts.len();
        found.push(format!(
            "{orders} orders are under way, {accounts} accounts"
        ));
    }
    for (certificate, managed) in state.managed() {
        let name = &certificate.name;
        if !state.accounts.contains_key(&managed.directory) || **name == *SELF_SIGNED {
            found.push(format!("certificate {name} comes from nobody"));
        }
        let order = managed.order.as_ref();
        let placed = order.and_then(|order| order.placed.as_ref());
        if placed.is_some_and(|placed| placed.generation > state.tls.generation) {
            found.push(format!("answers for certificate {name} came in silence"));
        }
    }
    let begun = |account: &&Account| account.begun > ORDERS_PER_WINDOW;
    found.extend(
        state
            .accounts
            .values()
            .filter(begun)
            .map(|account| format!("{} orders from {}", account.begun, account.directory)),
    );
}

/// A step belongs to a build that is not over; no worker has more of them than it may.
fn build_steps_are_due(state: &State, found: &mut Vec<String>) {
    let mut steps: BTreeMap<NodeId, usize> = BTreeMap::new();
    for build in state.builds.values() {
        let Some(step) = &build.step else { continue };
        if build.status != BuildStatus::Running {
            found.push(format!("{} is over, and its step is not", build.id));
        }
        if step.attempt > STEP_ATTEMPTS || step.node.is_some() != (step.attempt > 0) {
            found.push(format!("the step of {} is {step:?}", build.id));
        }
        if let Some(node) = step.node {
            *steps.entry(node).or_default() += 1;
        }
    }
    let too_many = steps.iter().filter(|(_, steps)| **steps > STEPS_PER_NODE);
    found.extend(too_many.map(|(node, steps)| format!("node {node} runs {steps} build steps")));
}

/// I1: at most one active release per environment, and it is loaded.
fn active_release_is_loaded(state: &State, found: &mut Vec<String>) {
    for environment in state.environments.values() {
        let Some(release) = &environment.active else {
            continue;
        };
        let key = LoadedKey {
            environment: environment.key.clone(),
            release: release.clone(),
        };
        match state.loaded.get(&key).map(|loaded| &loaded.status) {
            Some(LoadedStatus::Active) => {}
            other => found.push(format!(
                "active {release} of {} is {other:?}",
                environment.key
            )),
        }
    }
}

fn statuses_agree_with_pointers(state: &State, found: &mut Vec<String>) {
    for (key, loaded) in &state.loaded {
        let environment = state.environments.get(&key.environment);
        let pointed = environment.and_then(|e| e.active.as_ref()) == Some(&key.release);
        if (loaded.status == LoadedStatus::Active) != pointed {
            found.push(format!(
                "{key:?} is {:?}, pointed at: {pointed}",
                loaded.status
            ));
        }
        let incoming = state.rollouts.get(&key.environment).is_some_and(|rollout| {
            matches!(rollout.phase, Phase::Warming | Phase::Rolling)
                && rollout.incoming.as_ref() == Some(&key.release)
        });
        if (loaded.status == LoadedStatus::Activating) != incoming {
            found.push(format!(
                "{key:?} is {:?}, incoming: {incoming}",
                loaded.status
            ));
        }
        let failures: u32 = loaded.slots.values().map(|slot| slot.failures).sum();
        if failures != loaded.failures {
            let counted = loaded.failures;
            found.push(format!("{key:?} counts {counted} failures of {failures}"));
        }
        if environment.is_none() {
            found.push(format!("{key:?} is loaded nowhere"));
        }
    }
}

fn frontends_belong(state: &State, found: &mut Vec<String>) {
    for frontend in state.frontends.values() {
        if !state.loaded.contains_key(&frontend.loaded) {
            found.push(format!("{} belongs to no loaded release", frontend.name()));
        }
        if !state.nodes.contains_key(&frontend.node) {
            found.push(format!("{} is on no node", frontend.name()));
        }
        if frontend.id.0 >= state.next_frontend {
            found.push(format!("{} has an id not yet given", frontend.name()));
        }
        let withdrawn = matches!(frontend.desired, Desired::Withdrawn { generation }
            if generation > state.generation);
        if withdrawn {
            found.push(format!("{} left with a table to come", frontend.name()));
        }
    }
}

/// I5: in a slot, only one frontend of each incarnation. That none is placed beside one that holds
/// the slot is a rule of placing; several may hold it when lost ones come back.
fn incarnations_are_unique(state: &State, found: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for frontend in state.frontends.values() {
        let slot = (
            &frontend.loaded,
            &frontend.service,
            frontend.slot,
            frontend.incarnation,
        );
        if !seen.insert(slot) {
            found.push(format!("incarnation of {} is given twice", frontend.name()));
        }
    }
}

/// I4: counts stay within bounds; those of a promotion under way are on their way there.
fn counts_are_in_bounds(state: &State, found: &mut Vec<String>) {
    for (key, loaded) in &state.loaded {
        let Some(environment) = state.environments.get(&key.environment) else {
            continue;
        };
        let rollout = state.rollouts.get(&key.environment);
        let rolling = rollout.is_some_and(|rollout| rollout.concerns(&key.release));
        // A release that leaves after a promotion was brought to nothing before.
        if rolling || !loaded.status.wants_frontends() {
            continue;
        }
        for (service, count) in &loaded.desired {
            let bounds = loaded.bounds(service, &environment.settings);
            if bounds.clamp(*count) != *count {
                found.push(format!(
                    "{count} of {service} in {key:?} are outside {bounds:?}"
                ));
            }
        }
    }
}

/// What autoscaling added to a promotion is part of what the promotion aims at, and that is within
/// bounds like every count.
fn promotions_aim_within_bounds(state: &State, found: &mut Vec<String>) {
    for rollout in state.rollouts.values().filter(|r| !r.phase.over()) {
        let Some(roll) = rollout.roll() else { continue };
        let environment = state.environments.get(&rollout.environment);
        let sides = [
            (rollout.incoming_key(), &roll.targets, &roll.grown.targets),
            (rollout.outgoing_key(), &roll.outgoing, &roll.grown.outgoing),
        ];
        for (key, counts, grown) in sides {
            let loaded = key.and_then(|key| state.loaded.get(&key));
            let (Some(environment), Some(loaded)) = (environment, loaded) else {
                continue;
            };
            for (service, count) in counts {
                let bounds = loaded.bounds(service, &environment.settings);
                let grown = grown.get(service).copied().unwrap_or(0);
                if bounds.clamp(*count) != *count || grown > *count {
                    found.push(format!(
                        "{} aims at {count} of {service}, {grown} of them grown, within {bounds:?}",
                        rollout.id
                    ));
                }
            }
        }
    }
}

fn indexes_are_true(state: &State, found: &mut Vec<String>) {
    let by_loaded: BTreeSet<FrontendId> = state.by_loaded.values().flatten().copied().collect();
    let by_node: BTreeSet<FrontendId> = state.by_node.values().flatten().copied().collect();
    let all: BTreeSet<FrontendId> = state.frontends.keys().copied().collect();
    if by_loaded != all || by_node != all {
        found.push("an index of frontends disagrees with the frontends".to_owned());
    }
    let mut counted = State::default();
    for frontend in state.frontends.values() {
        counted.put_frontend(frontend.clone());
    }
    if counted.groups != state.groups || counted.leaving != state.leaving {
        found.push("what is counted of frontends disagrees with the frontends".to_owned());
    }
}

/// I22: what grows with time is bounded.
fn memory_is_bounded(state: &State, found: &mut Vec<String>) {
    if state.events.len() > crate::event::KEPT {
        found.push(format!("{} events are kept", state.events.len()));
    }
    if state.requests.len() > crate::state::REMEMBERED_REQUESTS
        || state.requests.len() != state.request_order.len()
    {
        found.push(format!("{} answers are remembered", state.requests.len()));
    }
    let pasts = state.loaded.values().flat_map(|loaded| &loaded.scaling);
    let long = pasts.filter(|(_, past)| past.decisions.len() > crate::scaling::KEPT_DECISIONS);
    found.extend(long.map(|(service, past)| {
        let kept = past.decisions.len();
        format!("{kept} decisions about {service} are kept")
    }));
}
