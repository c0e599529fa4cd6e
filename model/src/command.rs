//! Commands: the only way to change the state. One file per command family under `command/`.
//!
//! [`State::apply`] is total: every command is applied or rejected with a code and a sentence, it
//! never panics, and it decides alone. The API may refuse early; what counts is decided here.

mod access;
mod acme;
mod anew;
mod app;
mod backup;
mod build;
mod certificate;
mod cluster;
mod domain;
mod environment;
mod frontend;
mod history;
mod load;
mod node;
mod outcome;
mod promotion;
mod release;
mod rollout;
mod scale;
mod scaling;
mod settings;
mod source;
mod trust;
mod variables;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use access::{Change as AccessChange, LimitChange};
pub use acme::{Change as AcmeChange, Failed as AcmeFailed, NewManaged, NewPlaced as PlacedOrder};
pub use anew::{Recovered, Restored, SKIPPED};
pub use backup::BackupResult;
pub use certificate::{Change as CertificateChange, NewCertificate};
pub use frontend::{Action, Placement, Report, Step};
pub use node::NodeChange;
pub use outcome::{Class, Code, Detail, Outcome, Rejection};
pub use release::KEPT_RELEASES;
pub use scale::Scale;
pub use scaling::{AutoscalingChange, Rescale, TargetsChange};
pub use source::{BuildReport, Built};
pub use trust::{Change as TrustChange, NewAuthority, NewToken, Presented};
pub use variables::{LONGEST_VALUE, MOST_VARIABLES, SYSTEM};

use crate::{
    State, Time,
    backup::Schedule,
    environment::Limits,
    ids::{
        AppName, BuildId, Digest, EnvironmentKey, EnvironmentName, FrontendId, LoadedKey, NodeId,
        RequestId, RolloutId, ServiceName,
    },
    manifest::Manifest,
    node::{Facts, Lease, Role},
    time::Millis,
};

/// A committed command with what the log knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub index: u64,
    /// Stamped by the leader that proposed it.
    pub time: Time,
    /// `None` for the cluster's own commands, which carry what they assumed instead.
    pub request: Option<RequestId>,
    /// Who asked; `fleet` for the cluster itself.
    pub actor: Arc<str>,
    pub command: Command,
}

/// Everything that can be asked of the state.
///
/// References (`reference`) are as typed, and resolved here against the committed state, so that
/// two nodes can never understand the same command differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    // Cluster and nodes.
    InitCluster {
        id: String,
        name: String,
        domain: String,
    },
    /// The first command of a log that begins with a backup.
    RestoreCluster(Restored),
    /// The first command of a log that goes on with one control node of many.
    RecoverCluster(Recovered),
    /// `None`: no backups by schedule.
    SetBackupSchedule {
        schedule: Option<Schedule>,
    },
    /// From the leader: what became of the backup that was due.
    RecordBackup {
        node: NodeId,
        at: Time,
        result: BackupResult,
    },
    RegisterNode(Registration),
    ChangeNode {
        node: NodeId,
        change: NodeChange,
    },
    /// From the planner: a lease ran out, or a worker was heard again.
    MarkNode {
        node: NodeId,
        from: Lease,
        to: Lease,
        /// Revision of the node this was planned for.
        assumed: u64,
    },
    /// From a worker's hello.
    RecordFacts {
        node: NodeId,
        facts: Facts,
    },
    /// Authorities, join tokens, certificates. Boxed: most commands are much smaller.
    Trust(Box<TrustChange>),
    /// Certificates that clients of the ingress see, and who has which. Boxed likewise.
    Certificate(Box<CertificateChange>),
    /// Whitelists, who has which, and limits of requests. Boxed likewise.
    Access(Box<AccessChange>),

    // Apps, builds.
    CreateApp {
        name: String,
    },
    DeleteApp {
        app: AppName,
    },
    SetLocked {
        app: AppName,
        on: bool,
    },
    SetDefaultEnvironment {
        app: AppName,
        environment: EnvironmentName,
    },
    CreateBuild(NewBuild),
    /// A control node verified its copy.
    RecordCopy {
        digest: Digest,
        node: NodeId,
    },
    DestroyBuild {
        app: AppName,
        reference: String,
    },
    /// From the planner: a worker shall run the step of a build.
    AssignBuild {
        build: BuildId,
        assumed: u64,
        node: NodeId,
    },
    /// From the planner: the step of a build will not end any more.
    FailBuild {
        build: BuildId,
        assumed: u64,
        reason: String,
    },
    /// From a worker: the step of a build has ended.
    ReportBuild(BuildReport),

    // Environments.
    CreateEnvironment {
        app: AppName,
        name: String,
    },
    DestroyEnvironment {
        environment: EnvironmentKey,
    },
    SetLimits {
        environment: EnvironmentKey,
        limits: Limits,
    },
    /// How counts follow the load.
    SetAutoscaling {
        environment: EnvironmentKey,
        change: AutoscalingChange,
    },
    SetDesired {
        environment: EnvironmentKey,
        reference: Option<String>,
        count: u32,
    },
    SetProtected {
        environment: EnvironmentKey,
        on: bool,
    },
    SetRecycling {
        environment: EnvironmentKey,
        on: bool,
    },
    SetMaintenance {
        environment: EnvironmentKey,
        on: bool,
    },
    SetGuard {
        environment: EnvironmentKey,
        guard: Millis,
    },
    SetVariables {
        environment: EnvironmentKey,
        change: VariableChange,
    },
    /// Whose values are shown on a terminal; nothing else changes.
    SetMasked {
        environment: EnvironmentKey,
        set: BTreeSet<Arc<str>>,
        unset: BTreeSet<Arc<str>>,
    },
    /// Counts and sizes of a service, by hand.
    Scale(Scale),
    /// Replaces every frontend of the active release, or of one service of it.
    Restart {
        environment: EnvironmentKey,
        service: Option<String>,
    },

    // Releases in environments.
    Load {
        environment: EnvironmentKey,
        reference: String,
    },
    Activate {
        environment: EnvironmentKey,
        reference: String,
        now: bool,
    },
    Deactivate {
        environment: EnvironmentKey,
    },
    Unload {
        environment: EnvironmentKey,
        reference: String,
    },

    /// Rolls the frontends of the active release over to those of another.
    Promote {
        environment: EnvironmentKey,
        /// `None`: the newest release.
        reference: Option<String>,
        /// The active release too: its frontends are replaced.
        force: bool,
    },
    /// Promotes a copy of an earlier release.
    Rollback {
        environment: EnvironmentKey,
        /// `None`: the last one that was active and healthy.
        reference: Option<String>,
    },
    /// A release with the build of one and the variables of another.
    CreateFrom {
        environment: EnvironmentKey,
        build_from: String,
        variables_from: String,
    },
    CancelRollout {
        environment: EnvironmentKey,
    },

    // From the planner; each item carries the revision it assumed.
    Place(Vec<Placement>),
    Step(Vec<Step>),
    SettleLoaded {
        loaded: LoadedKey,
        assumed: u64,
        verdict: Verdict,
    },
    AdvanceRollout {
        environment: EnvironmentKey,
        rollout: RolloutId,
        assumed: u64,
        step: Advance,
    },
    RemoveEnvironment {
        environment: EnvironmentKey,
        assumed: u64,
    },
    /// A frontend shall be replaced where it spreads better.
    Move {
        frontend: FrontendId,
        assumed: u64,
    },
    /// How many frontends may move a minute only to spread better.
    SetMoves {
        per_minute: u32,
    },
    /// Nodes came or went: an agent service has as many frontends as nodes to run on.
    Recount {
        loaded: LoadedKey,
        assumed: u64,
        service: ServiceName,
        count: u32,
    },
    /// The load asks for other counts, or the reason why they stay is another.
    Rescale(Vec<Rescale>),

    // From workers.
    Observe {
        node: NodeId,
        reports: Vec<Report>,
    },
}

/// A node that asks to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub name: String,
    pub address: String,
    pub roles: BTreeSet<Role>,
    pub labels: BTreeMap<String, String>,
    pub architecture: String,
    /// Only for the node that makes the cluster, which needs its id before there is a log.
    pub id: Option<NodeId>,
}

/// An uploaded and inspected artefact that becomes a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBuild {
    pub app: AppName,
    pub name: String,
    pub message: String,
    pub digest: Digest,
    pub size: u64,
    pub manifest: Arc<Manifest>,
    /// The control node that took the upload.
    pub holder: NodeId,
    /// Makes a release of it there, with the variables that are newest there.
    pub environment: Option<EnvironmentName>,
    /// What the release says of itself; else `build`, the name and the message.
    pub description: Option<String>,
}

/// A change of an environment's variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VariableChange {
    pub set: BTreeMap<Arc<str>, Arc<str>>,
    pub unset: BTreeSet<Arc<str>>,
    /// Begins with no variables at all instead of those there are.
    pub replace: bool,
    /// The release to begin with; else the newest.
    pub base: Option<String>,
}

/// What became of a loaded release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// LOADING ended well.
    Running,
    /// LOADING ended badly.
    Failed { reason: String },
    /// UNLOADING ended: forget it.
    Gone,
}

/// A step of a rollout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advance {
    /// Warm enough: move the pointer.
    Switch,
    /// Every live ingress confirmed the generation.
    Confirmed,
    /// The last requests ended.
    Drained,
    Fail {
        reason: String,
    },
    /// Of a promotion: the next frontends, as the committed state allows.
    Roll,
    /// Every frontend is of the incoming release.
    Settle,
    /// The time of watching is over.
    Guarded,
    Revert {
        reason: String,
    },
    /// The outgoing release is back.
    Reverted,
}

impl State {
    /// Applies one committed command.
    ///
    /// # Errors
    /// A [`Rejection`] says why the command had no effect. It is as much an answer as an
    /// [`Outcome`]: it is remembered for retries and the state moves on to `entry.index` with it.
    pub fn apply(&mut self, entry: Entry) -> Result<Outcome, Rejection> {
        self.index = entry.index;
        self.now = self.now.max(entry.time);
        if let Some(answered) = entry.request.as_ref().and_then(|id| self.requests.get(id)) {
            return answered.answer.clone();
        }
        let request = entry.request.clone();
        // A rejected command must leave nothing behind, and cloning costs O(1).
        let before = self.clone();
        let answer = self.dispatch(entry).map(|detail| Outcome {
            index: self.index,
            detail,
        });
        if answer.is_err() {
            *self = before;
        }
        if let Some(request) = request {
            self.remember(request, &answer);
        }
        answer
    }

    fn dispatch(&mut self, entry: Entry) -> Result<Detail, Rejection> {
        let actor = &entry.actor;
        match entry.command {
            Command::InitCluster { id, name, domain } => cluster::init(self, id, name, domain),
            Command::RestoreCluster(restored) => anew::restore(self, restored),
            Command::RecoverCluster(recovered) => anew::recover(self, &recovered, actor),
            Command::SetBackupSchedule { schedule } => backup::schedule(self, schedule, actor),
            Command::RecordBackup { node, at, result } => backup::record(self, node, at, result),
            Command::RegisterNode(registration) => node::register(self, registration, actor),
            Command::ChangeNode { node, change } => node::change(self, node, change, actor),
            Command::MarkNode {
                node,
                from,
                to,
                assumed,
            } => node::mark(self, node, (from, to), assumed),
            Command::RecordFacts { node, facts } => node::record_facts(self, node, facts),
            Command::Trust(change) => trust::change(self, *change, actor),
            Command::Certificate(change) => certificate::change(self, *change, actor),
            Command::Access(change) => access::change(self, *change, actor),
            Command::CreateApp { name } => app::create(self, &name, actor),
            Command::DeleteApp { app } => app::delete(self, &app, actor),
            Command::SetLocked { app, on } => app::lock(self, &app, on, actor),
            Command::SetDefaultEnvironment { app, environment } => {
                app::set_default_environment(self, &app, &environment, actor)
            }
            Command::CreateBuild(build) => build::create(self, build, actor),
            Command::RecordCopy { digest, node } => build::record_copy(self, &digest, node),
            Command::AssignBuild {
                build,
                assumed,
                node,
            } => source::assign(self, &build, assumed, node),
            Command::FailBuild {
                build,
                assumed,
                reason,
            } => source::fail(self, &build, assumed, &reason),
            Command::ReportBuild(report) => source::report(self, report),
            Command::DestroyBuild { app, reference } => {
                build::destroy(self, &app, &reference, actor)
            }
            Command::CreateEnvironment { app, name } => {
                environment::create(self, &app, &name, actor)
            }
            Command::DestroyEnvironment { environment } => {
                environment::destroy(self, &environment, actor)
            }
            Command::RemoveEnvironment {
                environment,
                assumed,
            } => environment::remove(self, &environment, assumed),
            Command::Recount {
                loaded,
                assumed,
                service,
                count,
            } => load::recount(self, &loaded, assumed, &service, count),
            Command::SetLimits {
                environment,
                limits,
            } => settings::limits(self, &environment, limits, actor),
            Command::SetAutoscaling {
                environment,
                change,
            } => scaling::set(self, &environment, change, actor),
            Command::Rescale(items) => scaling::rescale(self, items),
            Command::SetDesired {
                environment,
                reference,
                count,
            } => settings::desired(self, &environment, reference.as_deref(), count, actor),
            Command::SetProtected { environment, on } => {
                settings::protected(self, &environment, on, actor)
            }
            Command::SetRecycling { environment, on } => {
                settings::recycling(self, &environment, on, actor)
            }
            Command::SetMaintenance { environment, on } => {
                settings::maintenance(self, &environment, on, actor)
            }
            Command::SetGuard { environment, guard } => {
                settings::guard(self, &environment, guard, actor)
            }
            Command::SetVariables {
                environment,
                change,
            } => variables::set(self, &environment, &change, actor),
            Command::SetMasked {
                environment,
                set,
                unset,
            } => variables::mask(self, &environment, &set, &unset),
            Command::Scale(scale) => scale::scale(self, scale, actor),
            Command::Restart {
                environment,
                service,
            } => scale::restart(self, &environment, service.as_deref(), actor),
            Command::Promote {
                environment,
                reference,
                force,
            } => promotion::promote(self, &environment, reference.as_deref(), force, actor),
            Command::Rollback {
                environment,
                reference,
            } => promotion::rollback(self, &environment, reference.as_deref(), actor),
            Command::CreateFrom {
                environment,
                build_from,
                variables_from,
            } => release::create_from(self, &environment, &build_from, &variables_from, actor),
            Command::CancelRollout { environment } => promotion::cancel(self, &environment, actor),
            Command::Load {
                environment,
                reference,
            } => load::load(self, &environment, &reference, actor),
            Command::Unload {
                environment,
                reference,
            } => load::unload(self, &environment, &reference, actor),
            Command::SettleLoaded {
                loaded,
                assumed,
                verdict,
            } => load::settle(self, &loaded, assumed, verdict),
            Command::Activate {
                environment,
                reference,
                now,
            } => rollout::activate(self, &environment, &reference, now, actor),
            Command::Deactivate { environment } => rollout::deactivate(self, &environment, actor),
            Command::AdvanceRollout {
                environment,
                rollout,
                assumed,
                step,
            } => rollout::advance(self, &environment, rollout, assumed, step),
            Command::Place(placements) => frontend::place(self, placements),
            Command::Move { frontend, assumed } => frontend::relocate(self, frontend, assumed),
            Command::SetMoves { per_minute } => cluster::set_moves(self, per_minute, actor),
            Command::Step(steps) => frontend::step(self, steps),
            Command::Observe { node, reports } => frontend::observe(self, node, reports),
        }
    }
}

/// The actor of what the cluster does by itself.
#[must_use]
pub fn itself() -> Arc<str> {
    "fleet".into()
}

/// Which builds an app has, newest first.
pub(crate) fn builds_newest_first<'a>(
    state: &'a State,
    app: &'a AppName,
) -> Vec<&'a crate::build::Build> {
    let mut builds: Vec<_> = state
        .builds
        .values()
        .filter(|build| build.app == *app)
        .collect();
    builds.sort_by(|a, b| (b.created, b.revision, &b.id).cmp(&(a.created, a.revision, &a.id)));
    builds
}
