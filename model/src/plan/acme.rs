//! Which certificates are ordered now, when an authority may look, and which orders are given up.
//!
//! What was ordered is in the state, so a new leader finds everything under way and orders nothing
//! twice. Of many that are due at once those that have waited longest come first.

use std::collections::BTreeMap;

use super::{Draft, ingress::Ingresses};
use crate::{
    State, Time,
    acme::{Managed, ORDERS_AT_ONCE, Order, PATIENCE},
    certificate::{Certificate, SELF_SIGNED},
    command::{AcmeChange, AcmeFailed, CertificateChange, Command},
    environment::Environment,
};

pub(super) fn plan(state: &State, ingresses: &Ingresses<'_>, draft: &mut Draft) {
    if state.managed().next().is_none() {
        return;
    }
    let served = served(state);
    let mut due: Vec<(Time, &Certificate)> = Vec::new();
    let mut under_way = 0;
    for (certificate, managed) in state.managed() {
        match &managed.order {
            Some(order) => {
                under_way += 1;
                go_on(certificate, managed, order, ingresses, draft);
            }
            None => {
                let served = served.get(&*certificate.name).into_iter().flatten();
                let at = state.order_due_for(certificate, served.copied());
                due.extend(at.map(|at| (at, certificate)));
            }
        }
    }
    due.sort_by_key(|(at, certificate)| (*at, certificate.name.clone()));
    let (now, room) = (draft.now, ORDERS_AT_ONCE.saturating_sub(under_way));
    let ripe = due.iter().take_while(|(at, _)| *at <= now).take(room);
    draft.commands.extend(ripe.map(|(_, certificate)| {
        command(AcmeChange::Begin {
            name: certificate.name.clone(),
        })
    }));
    // Those for which there is no room are looked at when an order ends, which is news.
    if let Some((at, _)) = due.iter().find(|(at, _)| *at > now) {
        draft.wake(*at);
    }
}

/// Environments by the certificate they have: looked through once, however many are ordered.
fn served(state: &State) -> BTreeMap<&str, Vec<&Environment>> {
    let mut served = BTreeMap::<_, Vec<_>>::new();
    for environment in state.environments.values() {
        let certificate = environment.settings.certificate.as_str();
        if certificate != SELF_SIGNED {
            served.entry(certificate).or_default().push(environment);
        }
    }
    served
}

fn go_on(
    certificate: &Certificate,
    managed: &Managed,
    order: &Order,
    ingresses: &Ingresses<'_>,
    draft: &mut Draft,
) {
    let name = certificate.name.clone();
    let ends = order.began.plus(PATIENCE);
    if draft.now >= ends {
        let problem = format!("{} did not end the order in an hour", managed.directory);
        draft.commands.push(command(AcmeChange::Fail(AcmeFailed {
            name,
            order: order.id,
            problem,
            not_before: None,
            stranger: false,
        })));
        return;
    }
    draft.wake(ends);
    let Some(placed) = order.placed.as_ref().filter(|placed| !placed.open) else {
        return;
    };
    if ingresses.unconfirmed(placed.generation).is_empty() {
        let order = order.id;
        draft
            .commands
            .push(command(AcmeChange::Open { name, order }));
    } else if let Some(at) = ingresses.next_change() {
        draft.wake(at);
    }
}

fn command(change: AcmeChange) -> Command {
    Command::Certificate(Box::new(CertificateChange::Acme(change)))
}
