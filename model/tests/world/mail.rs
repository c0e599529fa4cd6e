//! What is on its way. A session delivers in order; mail of a session that ended is lost.

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::{
    Time,
    command::Report,
    frontend::Desired,
    ids::{EnvironmentKey, FrontendId, NodeId},
    plan::IngressFacts,
    route::EnvironmentRoutes,
    time::Millis,
};

/// A connection of a worker or an ingress to the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: u64,
    pub delay: Millis,
}

#[derive(Clone, Debug)]
pub enum Mail {
    // Up.
    Reports(Vec<Report>),
    Heartbeat,
    Status(IngressFacts),
    // Down.
    Orders(BTreeMap<FrontendId, Order>),
    Table(Table),
}

/// What a worker is told of a frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    pub desired: Desired,
    /// It will fail whenever it is started.
    pub doomed: bool,
}

/// A route table with the version of each environment's routes.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub generation: u64,
    pub environments: BTreeMap<EnvironmentKey, (u64, EnvironmentRoutes)>,
}

impl Table {
    pub fn routes_to(&self, frontend: FrontendId) -> bool {
        let backends = |routes: &EnvironmentRoutes| -> BTreeSet<FrontendId> {
            routes
                .backends
                .values()
                .flat_map(|b| b.keys().copied())
                .collect()
        };
        self.environments
            .values()
            .any(|(_, routes)| backends(routes).contains(&frontend))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    Worker(NodeId),
    Ingress(NodeId),
}

#[derive(Debug, Default)]
pub struct Post {
    on_its_way: BTreeMap<(Time, u64), (Party, u64, Mail)>,
    sequence: u64,
}

impl Post {
    pub fn send(&mut self, now: Time, party: Party, session: Session, mail: Mail) {
        self.sequence += 1;
        let at = (now.plus(session.delay), self.sequence);
        self.on_its_way.insert(at, (party, session.id, mail));
    }

    /// The next mail due, with the session it belongs to.
    pub fn next(&mut self, now: Time) -> Option<(Party, u64, Mail)> {
        let first = self.on_its_way.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}
