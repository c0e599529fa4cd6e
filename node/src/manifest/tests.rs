#![allow(clippy::unwrap_used)]

mod examples;
mod generated;
mod malformed;

use fleet_model::{
    ids::ServiceName,
    manifest::{Health, Port, Run, Scale, Scheme, Service},
    time::Millis,
};

use super::*;

fn www(text: &str) -> Service {
    let manifest = parse(text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    assert_eq!(manifest.text, text);
    manifest.services[&ServiceName::parse("www").unwrap()].clone()
}

/// A service `www` with a command and `rest`, one key per line.
fn with(rest: &str) -> Service {
    www(&format!(
        "services:\n  www:\n    command: run\n    {rest}\n"
    ))
}

fn refused(text: &str) -> String {
    parse(text)
        .err()
        .map(|error| error.to_string())
        .unwrap_or_else(|| panic!("taken: {text}"))
}

#[test]
fn a_whole_manifest() {
    let text = "\
environment:
  - COLOR=red
services:
  www:
    command: [/usr/bin/python3, shop.py]
    port: 3000
    health:
      path: /health
      interval: 2
      grace: 20
    termination:
      grace: 10
  admin:
    command: python3 admin.py --quiet
    port: https:4000
    internal: true
    scale: 1
  worker:
    command: ./work
    scale:
      count: 2
      max: 4
timers:
  nightly: {command: ./clean, schedule: '0 3 * * *', service: worker}
";
    let manifest = parse(text).unwrap();
    assert_eq!(manifest.text, text);
    let names: Vec<_> = manifest.services.keys().map(ServiceName::as_str).collect();
    assert_eq!(names, ["admin", "worker", "www"]);
    let service = |name| &manifest.services[&ServiceName::parse(name).unwrap()];
    assert_eq!(
        *service("www"),
        Service {
            port: Some(Port {
                scheme: Scheme::Http,
                number: 3000
            }),
            internal: false,
            health: Health {
                grpc: false,
                path: Some("/health".into()),
                interval: Millis::seconds(2),
                timeout: Millis::seconds(1),
                start_deadline: Millis::seconds(20),
            },
            scale: None,
            termination_grace: Millis::seconds(10),
            ..Service::new(Run::Argv(vec!["/usr/bin/python3".into(), "shop.py".into()]))
        }
    );
    assert_eq!(
        *service("admin"),
        Service {
            port: Some(Port {
                scheme: Scheme::Https,
                number: 4000
            }),
            internal: true,
            health: Health::default(),
            scale: Some(Scale {
                count: 1,
                min: 1,
                max: 1
            }),
            termination_grace: Millis::seconds(30),
            ..Service::new(Run::Shell("python3 admin.py --quiet".into()))
        }
    );
    assert_eq!(service("worker").port, None);
    assert_eq!(
        service("worker").scale,
        Some(Scale {
            count: 2,
            min: 2,
            max: 4
        })
    );
}

#[test]
fn the_example_is_one() {
    let shop = parse(include_str!("../../../examples/shop/fleet.yml")).unwrap();
    let scales: Vec<_> = shop
        .services
        .values()
        .map(|service| service.scale)
        .collect();
    assert_eq!(
        scales,
        [
            Some(Scale {
                count: 1,
                min: 1,
                max: 1
            }),
            None
        ]
    );
    assert!(
        shop.services
            .values()
            .all(|service| service.health.path.as_deref() == Some("/health"))
    );
}

#[test]
fn short_forms() {
    assert_eq!(
        with("health: /up?deep=1").health.path.as_deref(),
        Some("/up?deep=1")
    );
    assert_eq!(
        with("health: {interval: 1}").health.path.as_deref(),
        Some("/")
    );
    assert_eq!(
        with("health: {interval: 1}").health.timeout,
        Millis::seconds(1)
    );
    assert_eq!(with("health: {disable: true, path: /x}").health.path, None);
    assert_eq!(with("health:").health, Health::default());
    assert_eq!(
        with("port: 'grpc:50051'").port.unwrap().scheme,
        Scheme::Grpc
    );
    assert_eq!(with("port: '3000'").port.unwrap().number, 3000);
    let pinned = |count| {
        Some(Scale {
            count,
            min: count,
            max: count,
        })
    };
    assert_eq!(with("scale: 3").scale, pinned(3));
    assert_eq!(with("scale: 0").scale, pinned(0));
    assert_eq!(
        with("scale: 2-5").scale,
        Some(Scale {
            count: 2,
            min: 2,
            max: 5
        })
    );
    assert_eq!(
        with("scale: {count: 2-5}").scale,
        Some(Scale {
            count: 2,
            min: 2,
            max: 5
        })
    );
    assert_eq!(
        with("scale: {count: 3, min: 1, max: 9}")
            .scale
            .unwrap()
            .count,
        3
    );
    assert_eq!(with("scale: {min: 2}").scale, pinned(2));
    assert_eq!(
        with("scale: {max: 4}").scale,
        Some(Scale {
            count: 1,
            min: 1,
            max: 4
        })
    );
    assert_eq!(with("scale: {cpu: 256, memory: 512}").scale, None);
    let said_twice = "scale: {targets: {cpu: 70}, autoscale: {cpu: {threshold: 70}}}";
    assert_eq!(with(said_twice).targets.cpu_percent, Some(70));
    let a_minute = with("scale: {targets: {requests: 3599}}").targets;
    assert_eq!((a_minute.rps, a_minute.any()), (Some(59), true));
    let cooldown = with("scale: {autoscale: {cooldownPeriod: 60}}").targets;
    assert_eq!(cooldown.cooldown, Some(Millis::seconds(60)));
    assert!(!cooldown.any(), "a cooldown is nothing to aim at");
    assert!(with("internalRouter: true").internal);
    assert_eq!(with("domain: 'a.org, b.org'").domains, ["a.org", "b.org"]);
    assert_eq!(with("domain: [a.org, '${B}']").domains, ["a.org", "${B}"]);
    assert!(with("agent: {enabled: true}").agent);
    assert!(!with("agent: {enabled: false}").agent);
    assert_eq!(
        with("port: {port: 443, scheme: https}").port,
        with("port: https:443").port
    );
}

#[test]
fn what_yaml_can_do() {
    // A byte order mark, anchors with merges, and words that look like booleans.
    let service = www(
        "\u{feff}services:\n  base: &base\n    command: run\n    port: 1\n  www:\n    <<: *base\n    port: 2\n",
    );
    assert_eq!(service.port.unwrap().number, 2);
    assert_eq!(service.command, Some(Run::Shell("run".into())));
    assert_eq!(
        www("services: {www: {command: no}}").command,
        Some(Run::Shell("no".into()))
    );
    let words = www("services: {www: {command: [a, yes, '7', 0755, 1_000]}}")
        .command
        .unwrap();
    assert_eq!(
        words,
        Run::Argv(
            ["a", "yes", "7", "0755", "1_000"]
                .map(String::from)
                .to_vec()
        )
    );
}

/// Where and why: each text with its error.
#[test]
fn errors_name_place_key_and_the_nearest_known_key() {
    let cases = [
        (
            "",
            "line 1, column 1: the manifest must be a mapping, not nothing",
        ),
        (
            "- a",
            "line 1, column 1: the manifest must be a mapping, not a list",
        ),
        ("labels: {a: b}", "line 1, column 1: services are missing"),
        ("services:", "line 1, column 1: services are missing"),
        ("services: {}", "line 1, column 11: services has no entry"),
        (
            "services: [a]",
            "line 1, column 11: services must be a mapping, not a list",
        ),
        (
            "services:\n  www: {command: a}\ntimer: {}",
            r#"line 3, column 1: unknown key "timer" in the manifest; did you mean timers?"#,
        ),
        (
            "services:\n  www:\n    comand: a",
            r#"line 3, column 5: unknown key "comand" in service www; did you mean command?"#,
        ),
        (
            "services:\n  www:\n    command: a\n    stickY: true",
            r#"line 4, column 5: unknown key "stickY" in service www; did you mean sticky?"#,
        ),
        (
            "services: {www: {command: a, health: {zzz: 1}}}",
            r#"line 1, column 39: unknown key "zzz" in health of service www; known are disable, grace, interval, path, port, timeout"#,
        ),
        (
            "services:\n  Www: {command: a}",
            r#"line 2, column 3: service name "Www" must begin with a lowercase letter"#,
        ),
        (
            "services: {www: a}",
            r#"line 1, column 17: service www must be a mapping, not the text "a""#,
        ),
        (
            "services: {www: {command: {a: b}}}",
            "line 1, column 27: command must be text or a list of texts, not a mapping",
        ),
        (
            "services: {www: {command: ' '}}",
            "line 1, column 27: command is empty",
        ),
        (
            "services: {www: {command: []}}",
            "line 1, column 27: command names no program",
        ),
        (
            "services: {www: {command: [sleep, 1.10]}}",
            "line 1, column 35: a word of command must be text, not the number 1.1: put it in quotes",
        ),
        (
            "services: {www: {command: \"a\\0\"}}",
            "line 1, column 27: command has a NUL character",
        ),
        (
            "services: {www: {command: a, port: 70000}}",
            "line 1, column 36: port must be a number from 1 to 65535 or as http:3000, not the number 70000",
        ),
        (
            "services: {www: {command: a, port: 0}}",
            "line 1, column 36: port must be a number from 1 to 65535 or as http:3000, not the number 0",
        ),
        (
            "services: {www: {command: a, port: 'ftp:21'}}",
            r#"line 1, column 36: port has scheme "ftp"; known are http, https, grpc, secure-grpc"#,
        ),
        (
            "services: {www: {command: a, internal: yes}}",
            r#"line 1, column 40: internal must be true or false, not the text "yes""#,
        ),
        (
            "services: {www: {command: a, internal: true, internalRouter: true}}",
            "line 1, column 12: service www has both internal and internalRouter; choose one",
        ),
        (
            "services: {www: {command: a, health: {interval: 0}}}",
            "line 1, column 49: interval must be a whole number from 1 to 3600, not the number 0",
        ),
        (
            "services: {www: {command: a, health: {timeout: 5s}}}",
            r#"line 1, column 48: timeout must be a whole number from 1 to 3600, not the text "5s""#,
        ),
        (
            "services: {www: {command: a, scale: -1}}",
            "line 1, column 37: scale must be a whole number from 0 to 10000, not the number -1",
        ),
        (
            "services: {www: {command: a, scale: 2147483648}}",
            "line 1, column 37: scale must be a whole number from 0 to 10000, not the number 2147483648",
        ),
        (
            "services: {www: {command: a, scale: 5-2}}",
            r#"line 1, column 37: scale must be as 2 or 1-5, up to 10000, not the text "5-2""#,
        ),
        (
            "services: {www: {command: a, scale: {targets: {cpu: 70}, autoscale: {cpu: 80}}}}",
            "line 1, column 37: scale of service www has cpu 70 in targets and 80 in autoscale; choose one",
        ),
        (
            "services: {www: {command: a, scale: {targets: {rps: 5, requests: 300}}}}",
            "line 1, column 37: targets of scale of service www have both rps and requests; choose one",
        ),
        (
            "services: {www: {command: a, scale: {targets: {requests: 59}}}}",
            "line 1, column 58: requests must be a whole number from 60 to 60000000, not the number 59",
        ),
        (
            "services: {www: {command: a, scale: {min: 3, max: 2}}}",
            "line 1, column 37: scale of service www has count 3 outside of 3 to 2",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refused(text), expected, "{text}");
    }
    for path in [
        "//evil",
        "@host/",
        "health",
        "/a b",
        "/a\r\nHost: x",
        "/#a",
        "/\\evil",
        "/ü",
        "",
    ] {
        let said = refused(&format!(
            "services: {{www: {{command: a, health: {path:?}}}}}"
        ));
        assert!(
            said.contains("a health path must begin with one /"),
            "{said}"
        );
    }
}

/// What the YAML reader itself refuses; of its words only the place and the gist are fixed.
#[test]
fn hostile_and_broken_yaml() {
    let deep = "[".repeat(10_000);
    let block: String = (0..100)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let bomb: String = std::iter::once("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned())
        .chain((1..9).map(|n| {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            format!("a{n}: &a{n} [{aliases}]\n")
        }))
        .collect();
    let large = format!("services: {{}} # {}", "x".repeat(LARGEST));
    let cases = [
        (
            "services: {www: {command: a}}\nservices: {}",
            "line 2, column 1",
            "duplicate key \"services\"",
        ),
        ("services:\n\twww: 1", "line 2, column 2", "tabs"),
        ("services: [", "line 1, column 11", "unclosed"),
        ("a: *nowhere", "line 1", "unknown anchor"),
        ("a: !!python/object x", "line 1", "tag"),
        ("a: 1e400", "line 1, column 4", "number is too large"),
        ("a: 1\n---\nb: 2", "line 2, column 1", "second document"),
        (&deep, "line 1, column 65", "recursion limit"),
        (&block, "line 65, column 65", "more than 64 deep"),
        (&bomb, "line 3, column", "aliases add more than 1000 nodes"),
        (&large, "line 1, column 1", "larger than 1048576 bytes"),
    ];
    for (text, place, gist) in cases {
        let began = std::time::Instant::now();
        let said = refused(text);
        let start = &text[..text.len().min(40)];
        assert!(
            said.starts_with(place) && said.contains(gist),
            "{start}: {said}"
        );
        assert!(!said.contains("line 0"), "{start}: {said}");
        assert!(!said.contains('\n') && said.len() < 300, "{start}: {said}");
        assert!(
            began.elapsed().as_secs() < 2,
            "{start} took {:?}",
            began.elapsed()
        );
    }
}
