//! Manifests that use every documented form.

use std::{fs, path::Path};

use fleet_model::{
    ids::ServiceName,
    manifest::{
        Affinity, Build, Deployment, Liveness, Manifest, Resources, Run, Scale, Service, Startup,
        Targets, Timings, Variable,
    },
    time::Millis,
};

use super::super::parse;

fn read(name: &str) -> Manifest {
    let directory = Path::new("tests/manifest/examples");
    let text = fs::read_to_string(directory.join(name)).unwrap();
    parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn service<'a>(manifest: &'a Manifest, name: &str) -> &'a Service {
    &manifest.services[&ServiceName::parse(name).unwrap()]
}

fn line(text: &str) -> Option<Run> {
    Some(Run::Shell(text.to_owned()))
}

#[test]
fn all_are_taken() {
    let directory = "tests/manifest/examples";
    let mut seen = 0;
    for entry in fs::read_dir(directory).unwrap() {
        read(entry.unwrap().file_name().to_str().unwrap());
        seen += 1;
    }
    assert!(seen >= 4, "{seen} examples");
}

#[test]
fn a_web_service_with_everything() {
    let manifest = read("everything.yml");
    let web = service(&manifest, "web");
    assert_eq!(web.command, line("bin/web --port ${PORT}"));
    assert_eq!(
        web.build,
        Some(Build {
            path: "./web".to_owned(),
            manifest: "Dockerfile.web".to_owned(),
            args: [
                ("COMMIT".to_owned(), "${COMMIT}".to_owned()),
                ("MODE".to_owned(), "fast=1".to_owned())
            ]
            .into(),
            command: line("make web"),
        })
    );
    let timings = Timings {
        grace: Millis::seconds(3),
        failure: 5,
        ..Timings::default()
    };
    assert_eq!(
        web.liveness,
        Some(Liveness {
            path: "/alive".to_owned(),
            timings
        })
    );
    assert_eq!(
        web.startup,
        Some(Startup {
            path: Some("/started".to_owned()),
            timings: Timings {
                interval: Millis::seconds(1),
                failure: 30,
                ..timings
            }
        })
    );
    assert_eq!(
        web.scale,
        Some(Scale {
            count: 2,
            min: 2,
            max: 6
        })
    );
    assert_eq!(
        web.requests,
        Resources {
            cpu_millicores: Some(250),
            memory_bytes: Some(512 << 20)
        }
    );
    assert_eq!(
        web.limits,
        Resources {
            cpu_millicores: Some(1000),
            memory_bytes: Some(512 << 20)
        }
    );
    assert_eq!(
        web.targets,
        Targets {
            cpu_percent: Some(70),
            memory_percent: Some(80),
            rps: Some(50),
            concurrency: Some(20),
            cooldown: Some(Millis::seconds(120)),
        }
    );
    assert_eq!(
        web.deployment,
        Deployment {
            minimum: 75,
            maximum: 150
        }
    );
    assert_eq!(web.init_step, line("bin/migrate"));
    assert_eq!(web.lifecycle.pre_stop, line("sleep 1"));
    assert_eq!(
        web.lifecycle.post_start,
        Some(Run::Argv(vec!["bin/announce".to_owned(), "up".to_owned()]))
    );
    assert_eq!(web.termination_grace, Millis::seconds(45));
    assert_eq!(web.drain, Some(Millis::seconds(10)));
    assert_eq!(web.timeout, Some(Millis::seconds(120)));
    assert_eq!(web.domains, ["${HOST}", "*.example.org"]);
    assert_eq!(web.node_selector["disk"], "ssd");
    assert_eq!(
        web.node_affinity,
        [Affinity {
            weight: 10,
            label: "zone".to_owned(),
            value: "a".to_owned()
        }]
    );
    assert!(web.sticky && web.later.is_empty(), "{:?}", web.later);
    assert_eq!(manifest.unsupported(), None);
}

#[test]
fn variables_are_kept_in_order() {
    let manifest = read("everything.yml");
    let named = |name: &str, default: Option<&str>| Variable {
        name: name.to_owned(),
        default: default.map(str::to_owned),
    };
    assert!(!manifest.environment.everything);
    assert_eq!(
        manifest.environment.variables,
        [
            named("HOST", None),
            named("EMPTY", Some("")),
            named("URL", Some("https://${HOST}/?a=b"))
        ]
    );
    assert!(service(&manifest, "web").environment.everything);
}

#[test]
fn agents_and_singletons_change_one_at_a_time() {
    let manifest = read("everything.yml");
    for name in ["metrics", "scheduler"] {
        let deployment = service(&manifest, name).deployment;
        assert_eq!(deployment, Deployment::ONE_AT_A_TIME, "{name}");
    }
    assert!(service(&manifest, "metrics").agent);
    assert!(service(&manifest, "scheduler").singleton);
    assert_eq!(service(&manifest, "scheduler").port, None);
    let startup = service(&manifest, "api").startup.clone().unwrap();
    assert_eq!(startup.path, None);
    assert_eq!(startup.timings, Timings::default());
}

#[test]
fn what_comes_later_is_kept_and_named() {
    let manifest = read("convox.yml");
    assert_eq!(
        manifest.timers.iter().collect::<Vec<_>>(),
        ["cleanup", "report"]
    );
    assert_eq!(
        manifest.resources.iter().collect::<Vec<_>>(),
        ["cache", "main"]
    );
    assert_eq!(manifest.balancers.iter().collect::<Vec<_>>(), ["stream"]);
    let web = service(&manifest, "web");
    assert_eq!(web.resources, ["main", "cache"]);
    assert_eq!(web.command, None);
    let later: Vec<_> = service(&manifest, "worker").later.iter().collect();
    assert_eq!(
        later,
        [
            "agent.ports",
            "health.port",
            "initContainer.image",
            "ports",
            "scale.autoscale.gpuUtilization",
            "scale.autoscale.queueDepth",
            "scale.gpu",
            "scale.targets.external",
            "startupProbe.tcpSocketPort",
            "volumes"
        ]
    );
}
