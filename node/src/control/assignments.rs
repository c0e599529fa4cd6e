//! What a worker shall run, derived from the state.

use std::collections::BTreeMap;

use fleet_model::{
    State,
    frontend::{Desired, Frontend},
    ids::{FrontendId, NodeId},
    manifest::{Health, Liveness, Resources, Run, Service, Startup, Timings},
};
use fleet_proto::internal::{
    self, Artefact, Assignment, AssignmentDelta, CommandWords, FullAssignments, HealthCheck,
    Limits, RepeatedCheck, assignment, health_check, worker_order::Order,
};

/// What was last said to a worker of each of its frontends. Everything else of an assignment is
/// fixed when the frontend is placed.
#[derive(Debug, Default)]
pub(super) struct Said(BTreeMap<FrontendId, Desired>);

impl Said {
    /// Everything, for the beginning of a session.
    pub(super) fn full(state: &State, node: NodeId) -> (Self, Order) {
        let said = Self::of(state, node);
        let assignments = state
            .frontends_on(node)
            .filter_map(|f| assignment(state, f));
        let assignments = assignments.collect();
        (said, Order::Full(FullAssignments { assignments }))
    }

    /// What changed since; `None` when nothing did.
    pub(super) fn delta(&mut self, state: &State, node: NodeId) -> Option<Order> {
        let now = Self::of(state, node);
        let upserts: Vec<Assignment> = now
            .0
            .iter()
            .filter(|(id, desired)| self.0.get(*id) != Some(*desired))
            .filter_map(|(id, _)| assignment(state, state.frontends.get(id)?))
            .collect();
        let gone = self.0.keys().filter(|id| !now.0.contains_key(*id));
        let removals: Vec<u64> = gone.map(|id| id.0).collect();
        *self = now;
        let news = !upserts.is_empty() || !removals.is_empty();
        news.then_some(Order::Delta(AssignmentDelta { upserts, removals }))
    }

    fn of(state: &State, node: NodeId) -> Self {
        let order = |frontend: &Frontend| match frontend.desired {
            Desired::Stop => Desired::Stop,
            // A withdrawn frontend runs on: leaving the route table is the ingress's business.
            Desired::Run | Desired::Withdrawn { .. } => Desired::Run,
        };
        Self(state.frontends_on(node).map(|f| (f.id, order(f))).collect())
    }
}

fn assignment(state: &State, frontend: &Frontend) -> Option<Assignment> {
    let loaded = state.loaded.get(&frontend.loaded)?;
    let service = loaded.manifest.services.get(&frontend.service)?;
    let build = state.builds.get(&loaded.build)?;
    let environment = state.environments.get(&frontend.loaded.environment);
    let held_to = environment.map_or(service.limits, |environment| {
        loaded.limits(&frontend.service, &environment.settings)
    });
    let holders = build.holders.iter().filter_map(|id| state.nodes.get(id));
    let desired = match frontend.desired {
        Desired::Run | Desired::Withdrawn { .. } => assignment::Desired::Run,
        Desired::Stop => assignment::Desired::Stop,
    };
    let variables = loaded
        .manifest
        .variables_of(&frontend.service, &loaded.variables);
    Some(Assignment {
        frontend_id: frontend.id.0,
        app: frontend.loaded.environment.app.to_string(),
        environment: frontend.loaded.environment.name.to_string(),
        release_id: loaded.release.to_string(),
        release_name: loaded.name.clone(),
        service: frontend.service.to_string(),
        slot: frontend.slot,
        incarnation: u32::try_from(frontend.incarnation).unwrap_or(u32::MAX),
        desired: desired.into(),
        artefact: Some(Artefact {
            sha256: build.digest.to_string(),
            size_bytes: build.size,
            holders: holders.map(|node| node.address.clone()).collect(),
        }),
        command: service.command.as_ref().map(command),
        variables,
        wants_port: service.port.is_some(),
        health: Some(health(service)),
        termination_grace_ms: service.termination_grace.0,
        limits: Some(limits(held_to)),
        build_id: build.id.to_string(),
        build_description: build.message.clone(),
        init_step: service.init_step.as_ref().map(command),
        post_start: service.lifecycle.post_start.as_ref().map(command),
        pre_stop: service.lifecycle.pre_stop.as_ref().map(command),
        liveness: service.liveness.as_ref().map(liveness),
        startup: service.startup.as_ref().map(startup),
        agent: service.agent,
        singleton: service.singleton,
    })
}

fn limits(resources: Resources) -> Limits {
    let Resources {
        cpu_millicores,
        memory_bytes,
    } = resources;
    Limits {
        memory_bytes: memory_bytes.unwrap_or_default(),
        cpu_millicores: cpu_millicores.unwrap_or_default(),
        pids: 0,
    }
}

pub(super) fn command(run: &Run) -> internal::Command {
    let command = match run {
        Run::Shell(line) => internal::command::Command::Line(line.clone()),
        Run::Argv(words) => internal::command::Command::Words(CommandWords {
            words: words.clone(),
        }),
    };
    internal::Command {
        command: Some(command),
    }
}

fn health(service: &Service) -> HealthCheck {
    let Health {
        path,
        grpc,
        interval,
        timeout,
        start_deadline,
    } = &service.health;
    let (kind, path) = match (&service.port, path) {
        (None, _) => (health_check::Kind::Unspecified, None),
        (Some(_), _) if *grpc => (health_check::Kind::Grpc, None),
        (Some(_), Some(path)) => (health_check::Kind::Http, Some(path)),
        (Some(_), None) => (health_check::Kind::Tcp, None),
    };
    HealthCheck {
        kind: kind.into(),
        path: path.cloned().unwrap_or_default(),
        interval_ms: interval.0,
        timeout_ms: timeout.0,
        start_deadline_ms: start_deadline.0,
    }
}

fn liveness(check: &Liveness) -> RepeatedCheck {
    let Liveness { path, timings } = check;
    repeated(Some(path), *timings)
}

fn startup(check: &Startup) -> RepeatedCheck {
    let Startup { path, timings } = check;
    repeated(path.as_ref(), *timings)
}

fn repeated(path: Option<&String>, timings: Timings) -> RepeatedCheck {
    let Timings {
        grace,
        interval,
        timeout,
        success,
        failure,
    } = timings;
    let kind = match path {
        Some(_) => health_check::Kind::Http,
        None => health_check::Kind::Tcp,
    };
    RepeatedCheck {
        kind: kind.into(),
        path: path.cloned().unwrap_or_default(),
        grace_ms: grace.0,
        interval_ms: interval.0,
        timeout_ms: timeout.0,
        success,
        failure,
    }
}

#[cfg(test)]
pub(super) mod tests;
