//! Carries out, on the leader, what the model ordered from authorities that give certificates (ACME,
//! RFC 8555): makes accounts, places orders, and when every ingress knows the answers lets the
//! authority look and takes the certificate.
//!
//! Nothing is decided or remembered here: which order is worked at, and how far it is, is committed
//! before the next step is taken. A leader that dies in between leaves an order that the next one
//! takes up, or one at the authority that nobody asks for again.

mod account;
mod http;
mod order;
mod trouble;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use fleet_model::{
    Command, State,
    acme::Order,
    command::{AcmeChange, AcmeFailed, CertificateChange, Code},
};
use tokio::{
    sync::{Mutex, watch},
    task::JoinSet,
};

use self::trouble::Trouble;
use super::{Context, context::Refused};

/// Rest after something that is no matter of the order, before it is tried again.
const REST: Duration = Duration::from_secs(5);

/// What the orders of one term share.
struct Desk {
    context: Arc<Context>,
    /// Held while an account is made: two orders that need the same one make one.
    accounts: Mutex<()>,
}

/// An order with something for the leader to do.
#[derive(Clone, Debug)]
struct Work {
    name: Arc<str>,
    order: u64,
}

pub(super) async fn run(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let mut leadership = context.consensus.leadership();
    loop {
        let term = tokio::select! {
            _ = stopped.changed() => return,
            leads = leadership.wait_for(|leadership| leadership.is_self) => match leads {
                Ok(leadership) => leadership.term,
                Err(_) => return,
            },
        };
        let desk = Arc::new(Desk {
            context: context.clone(),
            accounts: Mutex::new(()),
        });
        tokio::select! {
            _ = stopped.changed() => return,
            _ = leadership.wait_for(|l| !l.is_self || l.term != term) => {}
            () = lead(desk) => return,
        }
    }
}

/// Works at whatever there is, each order by itself. What is under way ends with this future.
async fn lead(desk: Arc<Desk>) {
    let mut state = desk.context.state.clone();
    let mut under_way = BTreeSet::new();
    let mut tasks = JoinSet::new();
    loop {
        for work in to_do(&state.borrow_and_update()) {
            if under_way.insert(work.order) {
                let desk = desk.clone();
                tasks.spawn(async move {
                    let order = work.order;
                    desk.work(work).await;
                    order
                });
            }
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            Some(ended) = tasks.join_next() => match ended {
                Ok(order) => drop(under_way.remove(&order)),
                // One that panicked is not begun again in this term; the model gives it up in time.
                Err(error) => tracing::error!(%error, "work at an order broke off"),
            },
        }
    }
}

fn to_do(state: &State) -> Vec<Work> {
    let waits = |order: &Order| order.placed.as_ref().is_some_and(|placed| !placed.open);
    state
        .orders()
        .filter(|(_, _, order)| !waits(order))
        .map(|(certificate, _, order)| Work {
            name: certificate.name.clone(),
            order: order.id,
        })
        .collect()
}

impl Desk {
    /// Takes the next step of an order, and says so if it came to nothing.
    async fn work(&self, work: Work) {
        let outcome = self.step(&work).await;
        let Err(trouble) = outcome else { return };
        let failed = match trouble {
            Trouble::Overtaken => return,
            Trouble::Local(reason) => {
                tracing::warn!(certificate = &*work.name, reason, "an order has to wait");
                tokio::time::sleep(REST).await;
                return;
            }
            Trouble::Order {
                problem,
                not_before,
                stranger,
            } => AcmeFailed {
                name: work.name.clone(),
                order: work.order,
                problem,
                not_before,
                stranger,
            },
        };
        tracing::warn!(
            certificate = &*work.name,
            problem = failed.problem,
            "an order came to nothing"
        );
        if let Err(Trouble::Local(reason)) = self.commit(AcmeChange::Fail(failed)).await {
            tracing::warn!(reason, "the end of an order was not taken");
            tokio::time::sleep(REST).await;
        }
    }

    async fn step(&self, work: &Work) -> Result<(), Trouble> {
        // On a state that a quorum confirms: a deposed leader asks nobody for anything.
        let state = self.context.read(false).await;
        let state = state.map_err(|error| Trouble::Local(error.to_string()))?;
        let mut orders = state.orders();
        let found = orders.find(|(one, _, order)| one.name == work.name && order.id == work.order);
        let (_, managed, order) = found.ok_or(Trouble::Overtaken)?;
        let change = match &order.placed {
            None => self.place(work, managed, order).await?,
            Some(placed) if placed.open => self.finish(work, managed, order, placed).await?,
            Some(_) => return Ok(()),
        };
        self.commit(change).await
    }

    async fn commit(&self, change: AcmeChange) -> Result<(), Trouble> {
        let change = CertificateChange::Acme(change);
        let command = Command::Certificate(Box::new(change));
        match self.context.act(&command).await {
            Ok(_) => Ok(()),
            Err(Refused::Rejected(rejection)) if rejection.code == Code::Stale => {
                Err(Trouble::Overtaken)
            }
            Err(Refused::Rejected(rejection)) => Err(Trouble::of_order(rejection.message)),
            Err(error) => Err(Trouble::Local(error.to_string())),
        }
    }
}
