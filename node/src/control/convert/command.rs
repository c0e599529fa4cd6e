//! Commands: one arm each way. What carries more than a few fields has a file under `command/`.

mod access;
mod asked;
mod build;
mod certificate;
mod node;
mod planned;
mod reported;
mod scaling;
mod trust;

use fleet_model::{
    Command,
    command::{
        AccessChange, Advance, BuildReport, NewBuild, Recovered, Registration, Restored, Scale,
        TrustChange, Verdict,
    },
    environment::Limits,
    ids::{AppName, EnvironmentKey, EnvironmentName, NodeId, RolloutId, ServiceName},
    time::Millis,
};
use fleet_proto::stored::{self, command_envelope::Command as Wire};

use self::asked::{change_from_stored, change_to_stored, switch_to_stored};
use super::{DecodeError, Stored, all, all_stored, backup, present, required};

impl Stored for Command {
    type Wire = Wire;

    fn to_stored(&self) -> Wire {
        match self {
            Self::InitCluster { id, name, domain } => Wire::InitCluster(stored::InitCluster {
                id: id.clone(),
                name: name.clone(),
                domain: domain.clone(),
            }),
            Self::RestoreCluster(restored) => Wire::RestoreCluster(restored.to_stored()),
            Self::RecoverCluster(recovered) => Wire::RecoverCluster(recovered.to_stored()),
            Self::SetBackupSchedule { schedule } => backup::schedule_to_stored(schedule.as_ref()),
            Self::RecordBackup { node, at, result } => backup::record_to_stored(*node, *at, result),
            Self::RegisterNode(registration) => Wire::RegisterNode(registration.to_stored()),
            Self::ChangeNode { node, change } => node::change_to_stored(*node, change),
            Self::MarkNode {
                node,
                from,
                to,
                assumed,
            } => node::mark_to_stored(*node, (*from, *to), *assumed),
            Self::Trust(change) => Wire::Trust(change.to_stored()),
            Self::Certificate(change) => Wire::Certificate(change.to_stored()),
            Self::Access(change) => Wire::Access(change.to_stored()),
            Self::RecordFacts { node, facts } => node::facts_to_stored(*node, facts),
            Self::CreateApp { name } => Wire::CreateApp(stored::CreateApp { name: name.clone() }),
            Self::DeleteApp { app } => Wire::DeleteApp(stored::DeleteApp {
                app: app.to_stored(),
            }),
            Self::SetDefaultEnvironment { app, environment } => {
                let key = stored::EnvironmentKey {
                    app: app.to_stored(),
                    name: environment.to_stored(),
                };
                Wire::SetDefaultEnvironment(stored::SetDefaultEnvironment {
                    environment: Some(key),
                })
            }
            Self::CreateBuild(build) => Wire::CreateBuild(build.to_stored()),
            Self::RecordCopy { digest, node } => build::copied_to_stored(digest, *node),
            Self::DestroyBuild { app, reference } => build::destroyed_to_stored(app, reference),
            Self::AssignBuild {
                build,
                assumed,
                node,
            } => build::assigned_to_stored(build, *assumed, *node),
            Self::FailBuild {
                build,
                assumed,
                reason,
            } => build::failed_to_stored(build, *assumed, reason),
            Self::ReportBuild(report) => Wire::ReportBuild(report.to_stored()),
            Self::CreateEnvironment { app, name } => {
                Wire::CreateEnvironment(stored::CreateEnvironment {
                    app: app.to_stored(),
                    name: name.clone(),
                })
            }
            Self::DestroyEnvironment { environment } => {
                Wire::DestroyEnvironment(stored::DestroyEnvironment {
                    environment: Some(environment.to_stored()),
                })
            }
            Self::SetLimits {
                environment,
                limits,
            } => Wire::SetLimits(stored::SetLimits {
                environment: Some(environment.to_stored()),
                limits: Some(limits.to_stored()),
            }),
            Self::SetAutoscaling {
                environment,
                change,
            } => scaling::change_to_stored(environment, *change),
            Self::Rescale(items) => scaling::rescale_to_stored(items),
            Self::SetDesired {
                environment,
                reference,
                count,
            } => Wire::SetDesired(stored::SetDesired {
                environment: Some(environment.to_stored()),
                reference: reference.clone(),
                count: *count,
            }),
            Self::SetProtected { environment, on } => {
                Wire::SetProtected(switch_to_stored(environment, *on))
            }
            Self::SetRecycling { environment, on } => {
                Wire::SetRecycling(switch_to_stored(environment, *on))
            }
            Self::SetMaintenance { environment, on } => {
                Wire::SetMaintenance(switch_to_stored(environment, *on))
            }
            Self::SetVariables {
                environment,
                change,
            } => Wire::SetVariables(change_to_stored(environment, change)),
            Self::SetMasked {
                environment,
                set,
                unset,
            } => Wire::SetMasked(stored::SetMasked {
                environment: Some(environment.to_stored()),
                set: all_stored(set),
                unset: all_stored(unset),
            }),
            Self::SetGuard { environment, guard } => Wire::SetGuard(stored::SetGuard {
                environment: Some(environment.to_stored()),
                guard_ms: guard.0,
            }),
            Self::SetLocked { app, on } => Wire::SetLocked(stored::SetLocked {
                app: app.to_stored(),
                on: *on,
            }),
            Self::Recount {
                loaded,
                assumed,
                service,
                count,
            } => Wire::Recount(stored::Recount {
                loaded: Some(loaded.to_stored()),
                assumed: *assumed,
                service: service.to_stored(),
                count: *count,
            }),
            Self::Scale(scale) => Wire::Scale(scale.to_stored()),
            Self::Restart {
                environment,
                service,
            } => Wire::Restart(stored::Restart {
                environment: Some(environment.to_stored()),
                service: service.clone(),
            }),
            Self::Promote {
                environment,
                reference,
                force,
            } => Wire::Promote(asked::promote_to_stored(
                environment,
                reference.as_ref(),
                *force,
            )),
            Self::Rollback {
                environment,
                reference,
            } => Wire::Rollback(stored::Rollback {
                environment: Some(environment.to_stored()),
                reference: reference.clone(),
            }),
            Self::CreateFrom {
                environment,
                build_from,
                variables_from,
            } => Wire::CreateFrom(asked::create_from_to_stored(
                environment,
                build_from,
                variables_from,
            )),
            Self::CancelRollout { environment } => Wire::CancelRollout(stored::CancelRollout {
                environment: Some(environment.to_stored()),
            }),
            Self::Load {
                environment,
                reference,
            } => Wire::Load(asked::load_to_stored(environment, reference)),
            Self::Activate {
                environment,
                reference,
                now,
            } => Wire::Activate(asked::activate_to_stored(environment, reference, *now)),
            Self::Deactivate { environment } => Wire::Deactivate(stored::Deactivate {
                environment: Some(environment.to_stored()),
            }),
            Self::Unload {
                environment,
                reference,
            } => Wire::Unload(asked::unload_to_stored(environment, reference)),
            Self::Place(placements) => Wire::Place(stored::Place {
                placements: all_stored(placements),
            }),
            Self::Step(steps) => Wire::Step(stored::Steps {
                steps: all_stored(steps),
            }),
            Self::SettleLoaded {
                loaded,
                assumed,
                verdict,
            } => Wire::SettleLoaded(stored::SettleLoaded {
                loaded: Some(loaded.to_stored()),
                assumed: *assumed,
                verdict: Some(verdict.to_stored()),
            }),
            Self::AdvanceRollout {
                environment,
                rollout,
                assumed,
                step,
            } => Wire::AdvanceRollout(stored::AdvanceRollout {
                environment: Some(environment.to_stored()),
                rollout: rollout.0,
                assumed: *assumed,
                step: Some(step.to_stored()),
            }),
            Self::RemoveEnvironment {
                environment,
                assumed,
            } => Wire::RemoveEnvironment(stored::RemoveEnvironment {
                environment: Some(environment.to_stored()),
                assumed: *assumed,
            }),
            Self::Move { frontend, assumed } => node::moved_to_stored(*frontend, *assumed),
            Self::SetMoves { per_minute } => node::moves_to_stored(*per_minute),
            Self::Observe { node, reports } => Wire::Observe(stored::Observe {
                node: node.0,
                reports: all_stored(reports),
            }),
        }
    }

    fn from_stored(wire: Wire) -> Result<Self, DecodeError> {
        Ok(match wire {
            Wire::InitCluster(stored::InitCluster { id, name, domain }) => {
                Self::InitCluster { id, name, domain }
            }
            Wire::RestoreCluster(wire) => Self::RestoreCluster(Restored::from_stored(wire)?),
            Wire::RecoverCluster(wire) => Self::RecoverCluster(Recovered::from_stored(wire)?),
            Wire::SetBackupSchedule(wire) => backup::schedule_from_stored(wire)?,
            Wire::RecordBackup(wire) => backup::record_from_stored(wire)?,
            Wire::RegisterNode(wire) => Self::RegisterNode(Registration::from_stored(wire)?),
            Wire::ChangeNode(wire) => node::change_from_stored(wire)?,
            Wire::MarkNode(wire) => node::mark_from_stored(&wire)?,
            Wire::Trust(wire) => Self::Trust(Box::new(TrustChange::from_stored(wire)?)),
            Wire::Access(wire) => Self::Access(Box::new(AccessChange::from_stored(wire)?)),
            Wire::Certificate(wire) => certificate::from_stored(wire)?,
            Wire::RecordFacts(wire) => node::facts_from_stored(wire)?,
            Wire::CreateApp(stored::CreateApp { name }) => Self::CreateApp { name },
            Wire::DeleteApp(stored::DeleteApp { app }) => Self::DeleteApp {
                app: AppName::from_stored(app)?,
            },
            Wire::SetDefaultEnvironment(stored::SetDefaultEnvironment { environment }) => {
                let stored::EnvironmentKey { app, name } =
                    present(environment, "set_default_environment.environment")?;
                Self::SetDefaultEnvironment {
                    app: AppName::from_stored(app)?,
                    environment: EnvironmentName::from_stored(name)?,
                }
            }
            Wire::CreateBuild(wire) => Self::CreateBuild(NewBuild::from_stored(wire)?),
            Wire::RecordCopy(wire) => build::copied_from_stored(wire)?,
            Wire::DestroyBuild(wire) => build::destroyed_from_stored(wire)?,
            Wire::AssignBuild(wire) => build::assigned_from_stored(wire)?,
            Wire::FailBuild(wire) => build::failed_from_stored(wire)?,
            Wire::ReportBuild(report) => Self::ReportBuild(BuildReport::from_stored(report)?),
            Wire::CreateEnvironment(stored::CreateEnvironment { app, name }) => {
                Self::CreateEnvironment {
                    app: AppName::from_stored(app)?,
                    name,
                }
            }
            Wire::DestroyEnvironment(stored::DestroyEnvironment { environment }) => {
                Self::DestroyEnvironment {
                    environment: key(environment)?,
                }
            }
            Wire::SetLimits(stored::SetLimits {
                environment,
                limits,
            }) => Self::SetLimits {
                environment: key(environment)?,
                limits: required::<_, Limits>(limits, "set_limits.limits")?,
            },
            Wire::SetAutoscaling(set) => scaling::change_from_stored(set)?,
            Wire::Rescale(stored::Rescale { items }) => Self::Rescale(all(items)?),
            Wire::SetDesired(stored::SetDesired {
                environment,
                reference,
                count,
            }) => Self::SetDesired {
                environment: key(environment)?,
                reference,
                count,
            },
            Wire::SetProtected(stored::SetSwitch { environment, on }) => Self::SetProtected {
                environment: key(environment)?,
                on,
            },
            Wire::SetRecycling(stored::SetSwitch { environment, on }) => Self::SetRecycling {
                environment: key(environment)?,
                on,
            },
            Wire::SetMaintenance(stored::SetSwitch { environment, on }) => Self::SetMaintenance {
                environment: key(environment)?,
                on,
            },
            Wire::SetVariables(wire) => {
                let (environment, change) = change_from_stored(wire)?;
                Self::SetVariables {
                    environment,
                    change,
                }
            }
            Wire::SetMasked(stored::SetMasked {
                environment,
                set,
                unset,
            }) => Self::SetMasked {
                environment: key(environment)?,
                set: all(set)?,
                unset: all(unset)?,
            },
            Wire::SetGuard(stored::SetGuard {
                environment,
                guard_ms,
            }) => Self::SetGuard {
                environment: key(environment)?,
                guard: Millis(guard_ms),
            },
            Wire::SetLocked(stored::SetLocked { app, on }) => Self::SetLocked {
                app: AppName::from_stored(app)?,
                on,
            },
            Wire::Recount(stored::Recount {
                loaded,
                assumed,
                service,
                count,
            }) => Self::Recount {
                loaded: required(loaded, "recount.loaded")?,
                assumed,
                service: ServiceName::from_stored(service)?,
                count,
            },
            Wire::Scale(scale) => Self::Scale(Scale::from_stored(scale)?),
            Wire::Restart(stored::Restart {
                environment,
                service,
            }) => Self::Restart {
                environment: key(environment)?,
                service,
            },
            Wire::Promote(stored::Promote {
                environment,
                reference,
                force,
            }) => Self::Promote {
                environment: key(environment)?,
                reference,
                force,
            },
            Wire::Rollback(stored::Rollback {
                environment,
                reference,
            }) => Self::Rollback {
                environment: key(environment)?,
                reference,
            },
            Wire::CreateFrom(stored::CreateFrom {
                environment,
                build_from,
                variables_from,
            }) => Self::CreateFrom {
                environment: key(environment)?,
                build_from,
                variables_from,
            },
            Wire::CancelRollout(stored::CancelRollout { environment }) => Self::CancelRollout {
                environment: key(environment)?,
            },
            Wire::Load(stored::Load {
                environment,
                reference,
            }) => Self::Load {
                environment: key(environment)?,
                reference,
            },
            Wire::Activate(stored::Activate {
                environment,
                reference,
                now,
            }) => Self::Activate {
                environment: key(environment)?,
                reference,
                now,
            },
            Wire::Deactivate(stored::Deactivate { environment }) => Self::Deactivate {
                environment: key(environment)?,
            },
            Wire::Unload(stored::Unload {
                environment,
                reference,
            }) => Self::Unload {
                environment: key(environment)?,
                reference,
            },
            Wire::Place(stored::Place { placements }) => Self::Place(all(placements)?),
            Wire::Step(stored::Steps { steps }) => Self::Step(all(steps)?),
            Wire::SettleLoaded(stored::SettleLoaded {
                loaded,
                assumed,
                verdict,
            }) => Self::SettleLoaded {
                loaded: required(loaded, "settle_loaded.loaded")?,
                assumed,
                verdict: required::<_, Verdict>(verdict, "settle_loaded.verdict")?,
            },
            Wire::AdvanceRollout(stored::AdvanceRollout {
                environment,
                rollout,
                assumed,
                step,
            }) => Self::AdvanceRollout {
                environment: key(environment)?,
                rollout: RolloutId(rollout),
                assumed,
                step: required::<_, Advance>(step, "advance_rollout.step")?,
            },
            Wire::RemoveEnvironment(stored::RemoveEnvironment {
                environment,
                assumed,
            }) => Self::RemoveEnvironment {
                environment: key(environment)?,
                assumed,
            },
            Wire::Move(wire) => node::moved_from_stored(&wire),
            Wire::SetMoves(stored::SetMoves { per_minute }) => Self::SetMoves { per_minute },
            Wire::Observe(stored::Observe { node, reports }) => Self::Observe {
                node: NodeId(node),
                reports: all(reports)?,
            },
        })
    }
}

fn key(wire: Option<stored::EnvironmentKey>) -> Result<EnvironmentKey, DecodeError> {
    required(wire, "command.environment")
}
