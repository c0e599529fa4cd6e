//! Manifests in which every field takes more than one value.

use fleet_model::{
    manifest::{
        Affinity, Build, Declared, Deployment, Health, Lifecycle, Liveness, Manifest, Port,
        Resources, Run, Scale, Scheme, Service, Startup, Targets, Timings, Variable,
    },
    time::Millis,
};
use proptest::{
    collection::{btree_map, btree_set, vec},
    option,
    prelude::*,
    sample::select,
};

use super::{service_name, text};

pub(super) fn manifest() -> impl Strategy<Value = Manifest> {
    let names = || btree_set(text(), 0..3);
    (
        text(),
        declared(),
        btree_map(service_name(), service(), 0..3),
        (names(), names(), names()),
    )
        .prop_map(
            |(text, environment, services, (timers, resources, balancers))| Manifest {
                text,
                environment,
                services,
                timers,
                resources,
                balancers,
            },
        )
}

/// Made in parts, since a tuple of strategies has an end.
fn service() -> impl Strategy<Value = Service> {
    let made = (option::of(run()), option::of(text()), option::of(build()));
    let asked = (
        option::of(port()),
        health(),
        option::of(liveness()),
        option::of(startup()),
    );
    let counted = (
        option::of(scale()),
        resources(),
        resources(),
        targets(),
        deployment(),
    );
    let flags = any::<[bool; 5]>();
    let ended = (
        option::of(run()),
        lifecycle(),
        any::<u64>(),
        option::of(any::<u64>()),
        option::of(any::<u64>()),
    );
    let texts = vec(vec(text(), 0..3), 3);
    let placed = (
        btree_map(text(), text(), 0..3),
        vec(affinity(), 0..3),
        btree_set(text(), 0..3),
    );
    (
        made,
        asked,
        counted,
        flags,
        ended,
        texts,
        declared(),
        placed,
    )
        .prop_map(
            |(made, asked, counted, flags, ended, texts, environment, placed)| {
                let (command, image, build) = made;
                let (port, health, liveness, startup) = asked;
                let (scale, requests, limits, targets, deployment) = counted;
                let [internal, singleton, agent, sticky, init] = flags;
                let (init_step, lifecycle, grace, drain, timeout) = ended;
                let (node_selector, node_affinity, later) = placed;
                Service {
                    command,
                    image,
                    build,
                    port,
                    internal,
                    health,
                    liveness,
                    startup,
                    scale,
                    requests,
                    limits,
                    targets,
                    deployment,
                    singleton,
                    agent,
                    sticky,
                    init,
                    init_step,
                    lifecycle,
                    termination_grace: Millis(grace),
                    drain: drain.map(Millis),
                    timeout: timeout.map(Millis),
                    domains: texts[0].clone(),
                    whitelist: texts[1].clone(),
                    environment,
                    resources: texts[2].clone(),
                    node_selector,
                    node_affinity,
                    later,
                }
            },
        )
}

fn run() -> impl Strategy<Value = Run> {
    prop_oneof![
        text().prop_map(Run::Shell),
        vec(text(), 0..3).prop_map(Run::Argv)
    ]
}

fn build() -> impl Strategy<Value = Build> {
    let args = btree_map(text(), text(), 0..3);
    (text(), text(), args, option::of(run())).prop_map(|(path, manifest, args, command)| Build {
        path,
        manifest,
        args,
        command,
    })
}

fn port() -> impl Strategy<Value = Port> {
    (select(Scheme::ALL.to_vec()), any::<u16>())
        .prop_map(|(scheme, number)| Port { scheme, number })
}

fn health() -> impl Strategy<Value = Health> {
    let spans = any::<[u64; 3]>();
    (option::of(text()), any::<bool>(), spans).prop_map(
        |(path, grpc, [interval, timeout, deadline])| Health {
            path,
            grpc,
            interval: Millis(interval),
            timeout: Millis(timeout),
            start_deadline: Millis(deadline),
        },
    )
}

fn liveness() -> impl Strategy<Value = Liveness> {
    (text(), timings()).prop_map(|(path, timings)| Liveness { path, timings })
}

fn startup() -> impl Strategy<Value = Startup> {
    (option::of(text()), timings()).prop_map(|(path, timings)| Startup { path, timings })
}

fn timings() -> impl Strategy<Value = Timings> {
    any::<([u64; 3], [u32; 2])>().prop_map(|([grace, interval, timeout], [success, failure])| {
        Timings {
            grace: Millis(grace),
            interval: Millis(interval),
            timeout: Millis(timeout),
            success,
            failure,
        }
    })
}

fn scale() -> impl Strategy<Value = Scale> {
    (0..4_u32, 0..4_u32, 0..4_u32).prop_map(|(count, min, max)| Scale { count, min, max })
}

fn resources() -> impl Strategy<Value = Resources> {
    (option::of(any::<u32>()), option::of(any::<u64>())).prop_map(
        |(cpu_millicores, memory_bytes)| Resources {
            cpu_millicores,
            memory_bytes,
        },
    )
}

fn targets() -> impl Strategy<Value = Targets> {
    let number = || option::of(any::<u32>());
    let cooldown = option::of(any::<u64>());
    (number(), number(), number(), number(), cooldown).prop_map(
        |(cpu_percent, memory_percent, rps, concurrency, cooldown)| Targets {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown: cooldown.map(Millis),
        },
    )
}

fn deployment() -> impl Strategy<Value = Deployment> {
    prop_oneof![
        Just(Deployment::default()),
        (0..=100_u32, 100..=200_u32).prop_map(|(minimum, maximum)| Deployment { minimum, maximum }),
    ]
}

fn lifecycle() -> impl Strategy<Value = Lifecycle> {
    (option::of(run()), option::of(run())).prop_map(|(pre_stop, post_start)| Lifecycle {
        pre_stop,
        post_start,
    })
}

fn declared() -> impl Strategy<Value = Declared> {
    let variable =
        (text(), option::of(text())).prop_map(|(name, default)| Variable { name, default });
    (any::<bool>(), vec(variable, 0..3)).prop_map(|(everything, variables)| Declared {
        everything,
        variables,
    })
}

fn affinity() -> impl Strategy<Value = Affinity> {
    (any::<u32>(), text(), text()).prop_map(|(weight, label, value)| Affinity {
        weight,
        label,
        value,
    })
}
