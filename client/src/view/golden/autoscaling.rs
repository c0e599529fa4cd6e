//! Autoscaling as it is shown, and the log of its decisions.

use super::*;

#[test]
fn describe_tells_how_counts_follow_the_load() {
    let rows = |settings: AutoscalingSettings| {
        let mut description = prod();
        description.autoscaling = Some(settings);
        let text = DescriptionView::from(&description).text();
        let rows = text
            .lines()
            .skip_while(|row| !row.starts_with("autoscaling max"));
        let rows: Vec<&str> = rows
            .skip(1)
            .take_while(|row| !row.starts_with('-'))
            .collect();
        rows.join("\n")
    };
    assert_eq!(rows(step()), "", "the predecessor's page is as it was");
    let changed = AutoscalingSettings {
        grace_seconds: 600,
        as_created: false,
        ..step()
    };
    assert_eq!(
        rows(changed),
        "autoscaling policy    step\n\
         scale down threshold  20 %\n\
         scale up threshold    80 %\n\
         scale down rate       1\n\
         scale up rate         10 %\n\
         grace period          600 s"
    );
    assert_eq!(
        rows(target()),
        "autoscaling policy   target\n\
         autoscaling targets  cpu 70 %, rps 50\n\
         cooldown             300 s"
    );
}

#[test]
fn autoscaling_says_why() {
    let view = AutoscalingView::from(&scaled());
    assert_snapshot!("autoscaling_describe", view.text(true));
    assert_snapshot!("autoscaling_describe_piped", view.text(false));
    let mut few = scaled();
    let services = &mut few.releases[0].services;
    services[1].history.drain(..118);
    services[1].signals.truncate(1);
    assert_snapshot!(
        "autoscaling_describe_json",
        to_json(&AutoscalingView::from(&few))
    );
}

#[test]
fn logs_have_groups_and_lines() {
    let group = LogGroup {
        environment: "prod".to_owned(),
        release: "8ef9d2f".to_owned(),
        group: "autoscaling-logs".to_owned(),
        first: at("2015-06-09 01:50:25Z"),
        last: at("2015-06-09 01:55:25Z"),
    };
    let silent = LogGroup {
        release: "037205f".to_owned(),
        first: None,
        last: None,
        ..group.clone()
    };
    assert_snapshot!("log_list", LogList::new(&[group, silent]).text());
    let line = LogLine {
        at: at("2015-06-09 01:55:25Z"),
        source: "autoscaling/web".to_owned(),
        text: "3 -> 4\x1b[2J".to_owned(),
    };
    assert_eq!(
        LogLineView::from(&line).line(),
        "2015-06-09T01:55:25Z autoscaling/web 3 -> 4\\x1b[2J\n"
    );
}

fn step() -> AutoscalingSettings {
    AutoscalingSettings {
        policy: AutoscalingPolicy::Step.into(),
        thresholds: Some(AutoscalingThresholds {
            down_percent: 20,
            up_percent: 80,
        }),
        rates: Some(AutoscalingRates {
            remove: 1,
            add_percent: 10,
        }),
        grace_seconds: 300,
        targets: None,
        cooldown_seconds: 300,
        as_created: true,
    }
}

fn target() -> AutoscalingSettings {
    AutoscalingSettings {
        policy: AutoscalingPolicy::Target.into(),
        targets: Some(AutoscalingTargets {
            cpu_percent: Some(70),
            requests_per_second: Some(50),
            ..Default::default()
        }),
        as_created: false,
        ..step()
    }
}

fn scaled() -> DescribeAutoscalingResponse {
    let cpu = AutoscalingSignal {
        name: "cpu".to_owned(),
        unit: "%".to_owned(),
        value: Some(91.25),
        target: Some(80.0),
        aim: SignalAim::Above.into(),
        window_seconds: 120,
        age_ms: Some(430),
        heard: 3,
        expected: 4,
    };
    let shrink = AutoscalingSignal {
        value: None,
        target: Some(20.0),
        aim: SignalAim::Below.into(),
        window_seconds: 360,
        age_ms: None,
        ..cpu.clone()
    };
    let latency = AutoscalingSignal {
        name: "latency".to_owned(),
        unit: "ms".to_owned(),
        value: Some(312.5),
        target: None,
        aim: SignalAim::Unspecified.into(),
        window_seconds: 60,
        age_ms: Some(12_345),
        ..cpu.clone()
    };
    let point = |(n, load): (u64, Option<f64>)| AutoscalingPoint {
        at: at("2015-06-09 01:50:25Z"),
        load,
        count: 2 + u32::try_from(n / 40).unwrap(),
        unit: "requests/s".to_owned(),
    };
    // More points than bars; a gap, and a beginning at which nothing was known.
    let history = (0..120).map(|n| {
        (
            n,
            (n > 5 && !(30..33).contains(&n)).then_some(n as f64 * 3.5),
        )
    });
    let web = ScaledService {
        name: "web".to_owned(),
        settings: Some(target()),
        from_manifest: true,
        min: 2,
        max: 10,
        desired: 4,
        ready: 3,
        starting: 1,
        signals: vec![cpu, shrink, latency],
        decisions: vec![AutoscalingDecision {
            at: at("2015-06-09 01:55:25Z"),
            from: 3,
            to: 4,
            line: "cpu 91 % of 70 %\x1b[2J: 3 -> 4 of 2 to 10".to_owned(),
            cause: "GREW".to_owned(),
        }],
        next: "holds until the frontend that starts is ready".to_owned(),
        history: history.map(point).collect(),
        ..Default::default()
    };
    let admin = ScaledService {
        name: "admin".to_owned(),
        pinned: true,
        min: 1,
        max: 1,
        desired: 1,
        ready: 1,
        ..Default::default()
    };
    DescribeAutoscalingResponse {
        at: at("2015-06-09 01:55:27Z"),
        app: "shop".to_owned(),
        environment: "prod".to_owned(),
        settings: Some(step()),
        min: 2,
        max: 10,
        releases: vec![ScaledRelease {
            name: "8ef9d2f".to_owned(),
            release_id: "RABCDEFGHIJ".to_owned(),
            active: true,
            services: vec![admin, web],
        }],
    }
}
