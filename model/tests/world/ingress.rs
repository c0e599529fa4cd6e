//! An ingress: a table, and requests that outlive it.

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::{
    Time,
    ids::{EnvironmentKey, FrontendId, NodeId},
    plan::IngressFacts,
    route::EnvironmentRoutes,
    time::Millis,
};

use super::mail::{Session, Table};
use crate::common::Random;

#[derive(Debug)]
pub struct Ingress {
    pub node: NodeId,
    pub session: Option<Session>,
    /// On disk too: a new process begins with it.
    pub table: Table,
    pub requests: Vec<Request>,
    told: Option<(Time, IngressFacts)>,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub frontend: FrontendId,
    environment: EnvironmentKey,
    /// The version of the environment's routes it was routed by.
    version: u64,
    ends: Time,
}

impl Ingress {
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            session: None,
            table: Table::default(),
            requests: Vec::new(),
            told: None,
        }
    }

    /// Some requests end, some begin. Answers how many began, or where one found nobody.
    pub fn tick(
        &mut self,
        now: Time,
        answers: &dyn Fn(FrontendId) -> bool,
        random: &mut Random,
    ) -> Result<u64, EnvironmentKey> {
        self.requests.retain(|request| request.ends > now);
        let mut begun = 0;
        for (key, (version, routes)) in &self.table.environments {
            let active = format!("web.{}.{}.localhost", key.name, key.app);
            let Some(target) = routes.hosts.get(&active).filter(|_| !routes.maintenance) else {
                continue;
            };
            if !random.one_in(10) {
                continue;
            }
            let backends: Vec<_> = routes.backends[target].keys().copied().collect();
            // One that does not take the connection is passed over.
            let taking: Vec<_> = backends.iter().copied().filter(|b| answers(*b)).collect();
            let Some(frontend) = random.pick(&taking).copied() else {
                return Err(key.clone());
            };
            let span = if random.one_in(200) { 45_000 } else { 2_500 };
            begun += 1;
            self.requests.push(Request {
                frontend,
                environment: key.clone(),
                version: *version,
                ends: now.plus(Millis(random.between(10, span))),
            });
        }
        Ok(begun)
    }

    /// What is to be said now, if anything: at once after a swap or when something ended that was
    /// waited for, else each second.
    pub fn status(&mut self, now: Time) -> Option<IngressFacts> {
        let facts = self.facts();
        let due = match &self.told {
            None => true,
            Some((at, told)) => {
                told.applied != facts.applied
                    || !told.busy.is_subset(&facts.busy)
                    || told.outdated != facts.outdated
                    || now.since(*at) >= Millis::seconds(1)
            }
        };
        due.then(|| {
            self.told = Some((now, facts.clone()));
            facts
        })
    }

    pub fn facts(&self) -> IngressFacts {
        let busy: BTreeSet<_> = self
            .requests
            .iter()
            .map(|request| request.frontend)
            .collect();
        let mut outdated: BTreeMap<EnvironmentKey, u64> = BTreeMap::new();
        for request in &self.requests {
            let current = self.table.environments.get(&request.environment);
            if current.is_none_or(|(version, _)| request.version < *version) {
                let oldest = outdated
                    .entry(request.environment.clone())
                    .or_insert(request.version);
                *oldest = request.version.min(*oldest);
            }
        }
        IngressFacts {
            heard: Time::default(),
            applied: self.table.generation,
            busy,
            outdated,
        }
    }

    /// A new session begins: everything is told again.
    pub fn greet(&mut self, now: Time) -> IngressFacts {
        let facts = self.facts();
        self.told = Some((now, facts.clone()));
        facts
    }

    pub fn routes(&self, key: &EnvironmentKey) -> Option<&EnvironmentRoutes> {
        self.table.environments.get(key).map(|(_, routes)| routes)
    }
}
