//! Commands and answers of every kind, over so few names that sequences of them meet.

mod access;
mod backups;
mod builds;
mod certificates;
mod manifest;
mod nodes;
mod scaling;
mod trust;

use std::sync::Arc;

use fleet_model::{
    Command, Detail, Outcome, Rejection,
    command::{
        Action, Advance, Code, NewBuild, Placement, Registration, Report, Scale, Step,
        VariableChange, Verdict,
    },
    environment::Limits,
    frontend::{Exit, Phase},
    ids::{
        AppName, BuildId, EnvironmentKey, EnvironmentName, FrontendId, LoadedKey, NodeId,
        ReleaseId, RolloutId, ServiceName,
    },
    node::{Capability, Facts, Lease, Role},
    time::Millis,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use self::manifest::manifest;
use super::Digest;

pub(super) fn command() -> impl Strategy<Value = Command> {
    // Boxed: as one type they would be too large for the stack of a test's thread.
    prop_oneof![
        2 => cluster_command().boxed(),
        3 => app_command().boxed(),
        4 => environment_command().boxed(),
        1 => builds::command().boxed(),
        2 => trust::command().boxed(),
        2 => certificates::command().boxed(),
        2 => access::command().boxed(),
        2 => promotion_command().boxed(),
        3 => planned_command().boxed(),
        2 => (node(), vec(report(), 0..3))
            .prop_map(|(node, reports)| Command::Observe { node, reports }),
    ]
}

fn cluster_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (text(), text(), text()).prop_map(|(id, name, domain)| Command::InitCluster {
            id,
            name,
            domain
        }),
        registration().prop_map(Command::RegisterNode),
        (node(), nodes::change()).prop_map(|(node, change)| Command::ChangeNode { node, change }),
        backups::command(),
        (node(), lease(), lease(), any::<u64>()).prop_map(|(node, from, to, assumed)| {
            Command::MarkNode {
                assumed,
                node,
                from,
                to,
            }
        }),
        (node(), facts()).prop_map(|(node, facts)| Command::RecordFacts { node, facts }),
    ]
}

fn app_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        text().prop_map(|name| Command::CreateApp { name }),
        app_name().prop_map(|app| Command::DeleteApp { app }),
        key().prop_map(|key| Command::SetDefaultEnvironment {
            app: key.app,
            environment: key.name
        }),
        (
            app_name(),
            reference(),
            text(),
            0..3_u8,
            any::<u64>(),
            manifest(),
            node(),
            option::of(key()),
            option::of(text()),
        )
            .prop_map(
                |(app, name, message, digit, size, manifest, holder, key, description)| {
                    Command::CreateBuild(NewBuild {
                        app,
                        name,
                        message,
                        digest: digest(digit),
                        size,
                        manifest: Arc::new(manifest),
                        holder,
                        environment: key.map(|key| key.name),
                        description,
                    })
                }
            ),
        (app_name(), any::<bool>()).prop_map(|(app, on)| Command::SetLocked { app, on }),
        (0..3_u8, node()).prop_map(|(digit, node)| Command::RecordCopy {
            digest: digest(digit),
            node
        }),
        (app_name(), reference())
            .prop_map(|(app, reference)| Command::DestroyBuild { app, reference }),
    ]
}

fn environment_command() -> impl Strategy<Value = Command> {
    let switch = |make: fn(EnvironmentKey, bool) -> Command| {
        (key(), any::<bool>()).prop_map(move |(environment, on)| make(environment, on))
    };
    prop_oneof![
        (app_name(), text()).prop_map(|(app, name)| Command::CreateEnvironment { app, name }),
        key().prop_map(|environment| Command::DestroyEnvironment { environment }),
        (key(), 0..4_u32, 0..6_u32).prop_map(|(environment, min, max)| Command::SetLimits {
            environment,
            limits: Limits { min, max }
        }),
        (key(), option::of(reference()), 0..6_u32).prop_map(|(environment, reference, count)| {
            Command::SetDesired {
                environment,
                reference,
                count,
            }
        }),
        switch(|environment, on| Command::SetProtected { environment, on }),
        switch(|environment, on| Command::SetRecycling { environment, on }),
        switch(|environment, on| Command::SetMaintenance { environment, on }),
        (key(), change()).prop_map(|(environment, change)| Command::SetVariables {
            environment,
            change
        }),
        (key(), vec(text(), 0..3), vec(text(), 0..3)).prop_map(|(environment, set, unset)| {
            Command::SetMasked {
                environment,
                set: set.into_iter().map(Arc::from).collect(),
                unset: unset.into_iter().map(Arc::from).collect(),
            }
        }),
        (key(), 0..99_000_u64).prop_map(|(environment, millis)| Command::SetGuard {
            environment,
            guard: Millis(millis),
        }),
        scale().prop_map(Command::Scale),
        scaling::setting(),
        (key(), reference()).prop_map(|(environment, reference)| Command::Load {
            environment,
            reference
        }),
        (key(), reference(), any::<bool>()).prop_map(|(environment, reference, now)| {
            Command::Activate {
                environment,
                reference,
                now,
            }
        }),
        key().prop_map(|environment| Command::Deactivate { environment }),
        (key(), reference()).prop_map(|(environment, reference)| Command::Unload {
            environment,
            reference
        }),
    ]
}

fn promotion_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (key(), option::of(reference()), any::<bool>()).prop_map(
            |(environment, reference, force)| Command::Promote {
                environment,
                reference,
                force,
            }
        ),
        (key(), option::of(reference())).prop_map(|(environment, reference)| Command::Rollback {
            environment,
            reference
        }),
        (key(), reference(), reference()).prop_map(|(environment, build_from, variables_from)| {
            Command::CreateFrom {
                environment,
                build_from,
                variables_from,
            }
        }),
        key().prop_map(|environment| Command::CancelRollout { environment }),
        (key(), option::of(text())).prop_map(|(environment, service)| Command::Restart {
            environment,
            service
        }),
    ]
}

fn change() -> impl Strategy<Value = VariableChange> {
    let base = option::of(reference());
    (
        vec((text(), text()), 0..4),
        vec(text(), 0..3),
        any::<bool>(),
        base,
    )
        .prop_map(|(set, unset, replace, base)| VariableChange {
            set: set.into_iter().map(|(k, v)| (k.into(), v.into())).collect(),
            unset: unset.into_iter().map(Arc::from).collect(),
            replace,
            base,
        })
}

fn scale() -> impl Strategy<Value = Scale> {
    let number = || option::of(0..6_u32);
    let memory = option::of(any::<u64>());
    (
        key(),
        text(),
        number(),
        number(),
        number(),
        number(),
        memory,
    )
        .prop_map(
            |(environment, service, count, min, max, cpu_millicores, memory_bytes)| Scale {
                environment,
                service,
                count,
                min,
                max,
                cpu_millicores,
                memory_bytes,
            },
        )
}

fn planned_command() -> impl Strategy<Value = Command> {
    let placement = (loaded(), service_name(), 0..4_u32, node(), 0..40_u64).prop_map(
        |(loaded, service, slot, node, assumed)| Placement {
            loaded,
            service,
            slot,
            node,
            assumed,
        },
    );
    let action = prop_oneof![
        text().prop_map(|why| Action::Withdraw { why }),
        text().prop_map(|why| Action::Stop { why }),
        Just(Action::Forget),
    ];
    let step = (frontend(), 0..40_u64, action).prop_map(|(frontend, assumed, action)| Step {
        frontend,
        assumed,
        action,
    });
    let verdict = prop_oneof![
        Just(Verdict::Running),
        Just(Verdict::Gone),
        text().prop_map(|reason| Verdict::Failed { reason }),
    ];
    let advance = prop_oneof![
        Just(Advance::Switch),
        Just(Advance::Confirmed),
        Just(Advance::Drained),
        text().prop_map(|reason| Advance::Fail { reason }),
        Just(Advance::Roll),
        Just(Advance::Settle),
        Just(Advance::Guarded),
        text().prop_map(|reason| Advance::Revert { reason }),
        Just(Advance::Reverted),
    ];
    prop_oneof![
        vec(placement, 0..4).prop_map(Command::Place),
        vec(step, 0..4).prop_map(Command::Step),
        (loaded(), 0..40_u64, verdict).prop_map(|(loaded, assumed, verdict)| {
            Command::SettleLoaded {
                loaded,
                assumed,
                verdict,
            }
        }),
        (key(), 0..40_u64, 0..40_u64, advance).prop_map(|(environment, id, assumed, step)| {
            Command::AdvanceRollout {
                environment,
                rollout: RolloutId(id),
                assumed,
                step,
            }
        }),
        (loaded(), 0..40_u64, service_name(), 0..6_u32).prop_map(
            |(loaded, assumed, service, count)| Command::Recount {
                loaded,
                assumed,
                service,
                count,
            }
        ),
        nodes::moves(),
        scaling::rescale(),
        (key(), 0..40_u64).prop_map(|(environment, assumed)| Command::RemoveEnvironment {
            environment,
            assumed
        }),
    ]
}

pub(super) fn answer() -> impl Strategy<Value = Result<Outcome, Rejection>> {
    let detail = prop_oneof![
        Just(Detail::Done),
        node().prop_map(Detail::Node),
        (any::<u64>(), text(), option::of(release())).prop_map(|(index, name, release)| {
            Detail::Build {
                id: BuildId::from_index(index),
                name,
                release,
            }
        }),
        (release(), text()).prop_map(|(release, description)| Detail::Release {
            release,
            description
        }),
        (release(), release(), any::<u64>()).prop_map(|(source, copy, id)| Detail::RolledBack {
            source,
            copy,
            rollout: RolloutId(id),
        }),
        (release(), text()).prop_map(|(release, name)| Detail::Loaded { release, name }),
        (any::<u64>(), option::of(release()), text()).prop_map(|(id, release, name)| {
            Detail::Rollout {
                id: RolloutId(id),
                release,
                name,
            }
        }),
        (release(), text(), option::of(release())).prop_map(
            |(release, description, forked_inactive)| Detail::Variables {
                release,
                description,
                forked_inactive,
            }
        ),
        vec(frontend(), 0..4).prop_map(Detail::Placed),
        (any::<u32>(), any::<u32>()).prop_map(|(applied, stale)| Detail::Batch { applied, stale }),
    ];
    let outcome = (any::<u64>(), detail).prop_map(|(index, detail)| Outcome { index, detail });
    let rejection = (
        select(Code::ALL.to_vec()),
        text(),
        option::of(text()),
        vec(text(), 0..3),
    )
        .prop_map(|(code, message, hint, candidates)| Rejection {
            code,
            message,
            hint,
            candidates,
        });
    prop_oneof![outcome.prop_map(Ok), rejection.prop_map(Err)]
}

fn report() -> impl Strategy<Value = Report> {
    let phases = vec![
        Phase::Assigned,
        Phase::Fetching,
        Phase::Starting,
        Phase::Healthy,
        Phase::Unhealthy,
        Phase::Stopping,
        Phase::Stopped,
        Phase::Failed,
        Phase::Lost,
    ];
    let exit = (
        option::of(any::<i32>()),
        option::of(any::<i32>()),
        any::<bool>(),
        vec(text(), 0..3),
    )
        .prop_map(|(code, signal, out_of_memory, output)| Exit {
            code,
            signal,
            out_of_memory,
            output,
        });
    (
        frontend(),
        select(phases),
        option::of(text()),
        option::of(any::<u32>()),
        text(),
        option::of(exit),
    )
        .prop_map(|(frontend, phase, address, pid, reason, exit)| Report {
            frontend,
            phase,
            address,
            pid,
            reason,
            exit,
        })
}

fn registration() -> impl Strategy<Value = Registration> {
    (
        text(),
        text(),
        vec(select(Role::ALL.to_vec()), 0..3),
        vec((text(), text()), 0..3),
        text(),
        option::of(node()),
    )
        .prop_map(
            |(name, address, roles, labels, architecture, id)| Registration {
                name,
                address,
                roles: roles.into_iter().collect(),
                labels: labels.into_iter().collect(),
                architecture,
                id,
            },
        )
}

fn facts() -> impl Strategy<Value = Facts> {
    let capability =
        (text(), any::<bool>(), text()).prop_map(|(name, enforced, detail)| Capability {
            name,
            enforced,
            detail,
        });
    (
        text(),
        text(),
        any::<u64>(),
        any::<u64>(),
        vec(capability, 0..3),
    )
        .prop_map(
            |(version, boot, cpu_millicores, memory_bytes, capabilities)| Facts {
                version,
                boot,
                cpu_millicores,
                memory_bytes,
                capabilities,
            },
        )
}

pub(super) fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => select(vec!["shop", "blog", "staging", "web", "A", "DEBUG", ""]).prop_map(str::to_owned),
        1 => ".{0,12}",
    ]
}

fn reference() -> impl Strategy<Value = String> {
    let words = vec!["037205f", "0372", "8ef9d2f", "active", "previous", "web"];
    prop_oneof![
        4 => select(words).prop_map(str::to_owned),
        1 => release().prop_map(|release| release.to_string()),
    ]
}

pub(super) fn node() -> impl Strategy<Value = NodeId> {
    (1..5_u64).prop_map(NodeId)
}

fn frontend() -> impl Strategy<Value = FrontendId> {
    (1..8_u64).prop_map(FrontendId)
}

fn release() -> impl Strategy<Value = ReleaseId> {
    (0..40_u64).prop_map(ReleaseId::from_index)
}

fn lease() -> impl Strategy<Value = Lease> {
    select(vec![Lease::New, Lease::Ready, Lease::Suspect, Lease::Lost])
}

fn app_name() -> impl Strategy<Value = AppName> {
    select(vec![app("shop"), app("blog")])
}

fn service_name() -> impl Strategy<Value = ServiceName> {
    select(vec![service("web"), service("job")])
}

fn key() -> impl Strategy<Value = EnvironmentKey> {
    select(vec![
        environment("shop", "prod"),
        environment("shop", "staging"),
        environment("blog", "prod"),
    ])
}

fn loaded() -> impl Strategy<Value = LoadedKey> {
    (key(), release()).prop_map(|(environment, release)| LoadedKey {
        environment,
        release,
    })
}

pub(super) fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

pub(super) fn service(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

pub(super) fn environment(app_name: &str, name: &str) -> EnvironmentKey {
    EnvironmentKey {
        app: app(app_name),
        name: EnvironmentName::parse(name).unwrap(),
    }
}

pub(super) fn digest(digit: u8) -> Digest {
    Digest::parse(&format!("{digit:064x}")).unwrap()
}
