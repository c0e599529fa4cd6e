//! `env autoscaling`: what decides the counts of an environment, and what was decided.

use fleet_proto::v1::environments_client::EnvironmentsClient;
use fleet_proto::v1::set_autoscaling_request::Change;
use fleet_proto::v1::{
    AutoscalingPolicy, AutoscalingRates, AutoscalingTargets, AutoscalingThresholds,
    DescribeAutoscalingRequest, DescribeAutoscalingResponse, Receipt, SetAutoscalingDesiredRequest,
    SetAutoscalingLimitsRequest, SetAutoscalingRequest,
};

use crate::args::{AutoscalingVerb, Policy, TargetOptions};
use crate::commands::receipt;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grammar::nearest;
use crate::session::Session;
use crate::view::AutoscalingView;

pub(super) async fn run(session: &mut Session, verb: AutoscalingVerb) -> Result<(), Failure> {
    let (environment, change, now) = match verb {
        AutoscalingVerb::Limits {
            environment,
            min,
            max,
        } => return limits(session, environment, min, max).await,
        AutoscalingVerb::Desired { environment, words } => {
            return by_hand(session, environment, &words).await;
        }
        AutoscalingVerb::Describe {
            environment,
            release,
            service,
        } => return describe(session, environment, release, service).await,
        AutoscalingVerb::Thresholds {
            environment,
            down,
            up,
        } => {
            let change = Change::Thresholds(AutoscalingThresholds {
                down_percent: down,
                up_percent: up,
            });
            let now = format!("thresholds are now {down} % and {up} %");
            (environment, change, now)
        }
        AutoscalingVerb::Rates {
            environment,
            remove,
            add,
        } => {
            let change = Change::Rates(AutoscalingRates {
                remove,
                add_percent: add,
            });
            let now = format!("rates are now -{remove} and +{add} %");
            (environment, change, now)
        }
        AutoscalingVerb::GracePeriod {
            environment,
            seconds,
        } => {
            let now = format!("grace period is now {seconds} s");
            (environment, Change::GraceSeconds(seconds), now)
        }
        AutoscalingVerb::Policy {
            environment,
            policy,
        } => {
            let (policy, word) = match policy {
                Policy::Step => (AutoscalingPolicy::Step, "step"),
                Policy::Target => (AutoscalingPolicy::Target, "target"),
            };
            let now = format!("policy is now {word}");
            (environment, Change::Policy(policy.into()), now)
        }
        AutoscalingVerb::Targets {
            environment,
            targets,
        } => {
            let now = format!("targets are now {}", told(&targets));
            (environment, changed(&targets), now)
        }
        AutoscalingVerb::Cooldown {
            environment,
            seconds,
        } => {
            let now = format!("cooldown is now {seconds} s");
            (environment, Change::CooldownSeconds(seconds), now)
        }
    };
    set(session, environment, change, now).await
}

/// `desired [RELEASE] COUNT`.
async fn by_hand(
    session: &mut Session,
    environment: String,
    words: &[String],
) -> Result<(), Failure> {
    let (release, count) = match words {
        [count] => (String::new(), count),
        [release, count] => (release.clone(), count),
        _ => return Err(Failure::usage("autoscaling desired ENV [RELEASE] COUNT")),
    };
    let count = count
        .parse()
        .map_err(|_| Failure::usage(format!("\"{count}\" is no number of frontends")))?;
    desired(session, environment, release, count).await
}

/// Changes one thing; `now` says what it is from now on.
async fn set(
    session: &mut Session,
    environment: String,
    change: Change,
    now: String,
) -> Result<(), Failure> {
    let command = SetAutoscalingRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment,
        change: Some(change),
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_autoscaling(r).await
        })
        .await?;
    let message = |r: &Receipt| format!("Autoscaling of environment {}: {now}", r.environment);
    receipt::tell(session, answer.receipt, message).await
}

fn changed(targets: &TargetOptions) -> Change {
    Change::Targets(AutoscalingTargets {
        cpu_percent: targets.cpu.map(|target| target.number()),
        memory_percent: targets.memory.map(|target| target.number()),
        requests_per_second: targets.rps.map(|target| target.number()),
        concurrency: targets.concurrency.map(|target| target.number()),
    })
}

/// Those that were given: `cpu 70, rps none`.
fn told(targets: &TargetOptions) -> String {
    let given = [
        ("cpu", targets.cpu),
        ("memory", targets.memory),
        ("rps", targets.rps),
        ("concurrency", targets.concurrency),
    ];
    let told: Vec<String> = given
        .iter()
        .filter_map(|(name, target)| target.map(|target| format!("{name} {target}")))
        .collect();
    told.join(", ")
}

async fn describe(
    session: &mut Session,
    environment: String,
    release: Option<String>,
    service: Option<String>,
) -> Result<(), Failure> {
    let question = DescribeAutoscalingRequest {
        app: session.app().await?,
        environment,
        release: release.unwrap_or_default(),
        // Of all, so that the nearest name of a misspelt one is known.
        service: String::new(),
    };
    let mut answer = session
        .read(question, |c, r| async move {
            EnvironmentsClient::new(c).describe_autoscaling(r).await
        })
        .await?;
    if let Some(service) = service {
        only(&mut answer, &service)?;
    }
    let drawn = session.console.output_is_terminal;
    let view = AutoscalingView::from(&answer);
    session.console.result(&view, |view| view.text(drawn))
}

/// Leaves nothing but one service, which must exist.
fn only(answer: &mut DescribeAutoscalingResponse, service: &str) -> Result<(), Failure> {
    let services = answer.releases.iter().flat_map(|release| &release.services);
    let names: Vec<String> = services.map(|service| service.name.clone()).collect();
    if !names.iter().any(|name| name == service) {
        let what = format!(
            "no service {service} is scaled in environment {} of {}",
            answer.environment, answer.app
        );
        let mut failure = Failure::new(Exit::NotFound, "UNKNOWN_SERVICE", what);
        let near = nearest(service, names.iter().map(String::as_str));
        failure.candidates = near.map(str::to_owned).into_iter().collect();
        return Err(failure);
    }
    for release in &mut answer.releases {
        release.services.retain(|scaled| scaled.name == service);
    }
    Ok(())
}

async fn limits(
    session: &mut Session,
    environment: String,
    min: u32,
    max: u32,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let request_id = Connection::request_id();
    let command = SetAutoscalingLimitsRequest {
        request_id,
        app,
        environment,
        min,
        max,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_autoscaling_limits(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Autoscaling limits of environment {} are now {min} to {max}",
            r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

async fn desired(
    session: &mut Session,
    environment: String,
    release: String,
    count: u32,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let request_id = Connection::request_id();
    let command = SetAutoscalingDesiredRequest {
        request_id,
        app,
        environment,
        release,
        count,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).set_autoscaling_desired(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        let plural = if count == 1 { "" } else { "s" };
        format!(
            "Release {} is now being scaled to {count} frontend{plural} in environment {}",
            r.release, r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}
