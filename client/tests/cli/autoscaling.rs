//! What is set about counts, and how the log of decisions is read.

use fleet_client::Exit;
use fleet_proto::v1::set_autoscaling_request::Change;
use fleet_proto::v1::{
    AutoscalingPolicy, AutoscalingRates, AutoscalingTargets, AutoscalingThresholds, Instant,
    LogLine,
};
use tonic::Code;

use crate::fake::{Fake, status};
use crate::run::line;

#[tokio::test]
async fn what_decides_counts_is_sent_and_told() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let table = [
        (
            "env autoscaling thresholds prod 20 80",
            "thresholds are now 20 % and 80 %",
            Change::Thresholds(AutoscalingThresholds {
                down_percent: 20,
                up_percent: 80,
            }),
        ),
        (
            "env prod autoscaling rates 1 10",
            "rates are now -1 and +10 %",
            Change::Rates(AutoscalingRates {
                remove: 1,
                add_percent: 10,
            }),
        ),
        (
            "env autoscaling grace-period prod 600",
            "grace period is now 600 s",
            Change::GraceSeconds(600),
        ),
        (
            "env prod autoscaling policy target",
            "policy is now target",
            Change::Policy(AutoscalingPolicy::Target.into()),
        ),
        (
            "env autoscaling targets prod --cpu 70 --rps none",
            "targets are now cpu 70, rps none",
            Change::Targets(AutoscalingTargets {
                cpu_percent: Some(70),
                requests_per_second: Some(0),
                ..Default::default()
            }),
        ),
        (
            "env prod autoscaling cooldown 120",
            "cooldown is now 120 s",
            Change::CooldownSeconds(120),
        ),
    ];
    for (words, now, change) in table {
        let ended = line(words, &[&address]).run().await;
        let told = format!("Autoscaling of environment prod: {now}\n");
        assert_eq!(ended.output, told, "{words}: {}", ended.errors);
        let sent = fake.script.lock().unwrap().changes.pop();
        assert_eq!(sent, Some(change), "{words}");
    }
    fake.refuse(status(
        Code::InvalidArgument,
        "a grace period of 30 s is shorter than 60 s",
        "INVALID_VALUE",
        "at least 60",
        &[],
    ));
    let refused = line("env autoscaling grace-period prod 30", &[&address]);
    let refused = refused.run().await;
    assert_eq!(refused.exit, Exit::Usage);
    assert_eq!(
        refused.errors,
        "error: a grace period of 30 s is shorter than 60 s\nhint: at least 60\n"
    );
}

#[tokio::test]
async fn describing_asks_for_a_release_and_a_service() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let ended = line("env prod autoscaling describe active -s web", &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::Done, "{}", ended.errors);
    assert!(
        ended.output.contains("\nweb of 8ef9d2f"),
        "{}",
        ended.output
    );
    assert!(!ended.output.contains("\nadmin "), "{}", ended.output);
    let seen = fake.seen();
    assert_eq!(
        (seen[0].method, &*seen[0].environment, &*seen[0].release),
        ("describe_autoscaling", "prod", "active")
    );
    let unknown = line("env autoscaling describe prod -s wep", &[&address]);
    let unknown = unknown.run().await;
    assert_eq!(unknown.exit, Exit::NotFound);
    assert_eq!(
        unknown.errors,
        "error: no service wep is scaled in environment prod of shop\nhint: did you mean: web\n"
    );
    let json = line("env autoscaling describe prod -o json", &[&address])
        .run()
        .await;
    let parsed: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(parsed["environment"], "prod");
}

fn said(second: u64, text: &str) -> LogLine {
    LogLine {
        at: Some(Instant {
            unix_ms: 1_433_814_925_000 + second * 1_000,
        }),
        source: "autoscaling/web".to_owned(),
        text: text.to_owned(),
    }
}

#[tokio::test]
async fn a_log_is_read_page_by_page_from_a_day_ago() {
    let fake = Fake::default();
    let address = fake.serve().await;
    fake.script.lock().unwrap().pages = [
        vec![said(0, "2 -> 3"), said(1, "3 -> 4\x1b[2J")],
        vec![said(2, "holds")],
    ]
    .into();
    let ended = line("log view prod active autoscaling-logs", &[&address])
        .run()
        .await;
    assert_eq!(
        ended.output,
        "2015-06-09T01:55:25Z autoscaling/web 2 -> 3\n\
         2015-06-09T01:55:26Z autoscaling/web 3 -> 4\\x1b[2J\n\
         2015-06-09T01:55:27Z autoscaling/web holds\n",
        "{}",
        ended.errors
    );
    let views = fake.script.lock().unwrap().views.clone();
    let asked = &views[0];
    assert_eq!(
        [&asked.environment, &asked.release, &asked.group],
        ["prod", "active", "autoscaling-logs"]
    );
    let day_ago = 1_433_814_925_000 - 86_400_000;
    assert_eq!(asked.start.map(|at| at.unix_ms), Some(day_ago));
    let tokens: Vec<&str> = views.iter().map(|view| &*view.page_token).collect();
    assert_eq!(tokens, ["", "1", "2"]);
}

#[tokio::test]
async fn a_log_has_bounds_and_an_environment() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let words = "log view active autoscaling-logs -e prod \
                 --start-time 2015-06-09T01:00:00+0000 --end-time 2015-06-09T02:00:00Z";
    let ended = line(words, &[&address]).run().await;
    assert_eq!((ended.exit, &*ended.output), (Exit::Done, ""));
    let asked = fake.script.lock().unwrap().views[0].clone();
    assert_eq!(asked.environment, "prod");
    let bounds = [asked.start, asked.end].map(|at| at.map(|at| at.unix_ms));
    assert_eq!(bounds, [Some(1_433_811_600_000), Some(1_433_815_200_000)]);

    for (words, error) in [
        ("log view active autoscaling-logs", "which environment?"),
        (
            "log view prod active autoscaling-logs -e qa",
            "two environments: prod and -e qa",
        ),
    ] {
        let ended = line(words, &[&address]).run().await;
        assert_eq!(ended.exit, Exit::Usage, "{words}");
        assert!(ended.errors.contains(error), "{}", ended.errors);
    }
}

#[tokio::test]
async fn a_log_is_followed_until_it_is_gone() {
    let fake = Fake::default();
    let address = fake.serve().await;
    fake.script.lock().unwrap().pages =
        [vec![said(0, "2 -> 3")], vec![], vec![said(9, "3 -> 2")]].into();
    fake.refuse(status(
        Code::NotFound,
        "8ef9d2f is gone",
        "NOT_LOADED",
        "",
        &[],
    ));
    let ended = line("log view prod active autoscaling-logs -f", &[&address])
        .run()
        .await;
    assert_eq!(ended.exit, Exit::NotFound);
    assert_eq!(
        ended.output,
        "2015-06-09T01:55:25Z autoscaling/web 2 -> 3\n\
         2015-06-09T01:55:34Z autoscaling/web 3 -> 2\n"
    );
    assert_eq!(ended.errors, "error: 8ef9d2f is gone\n");
}

#[tokio::test]
async fn groups_are_listed() {
    let fake = Fake::default();
    let address = fake.serve().await;
    let ended = line("log list prod active", &[&address]).run().await;
    let last = ended.output.lines().last().unwrap();
    assert_eq!(last, "prod           8ef9d2f    autoscaling-logs");
    assert_eq!(&*fake.seen()[0].release, "active");
}
