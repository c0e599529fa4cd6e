//! What decides the counts of an environment: as it is set, and as the leader explains it.

mod scaled;

use std::sync::Arc;

use fleet_model::{
    State,
    command::{AutoscalingChange, TargetsChange},
    environment::Environment,
    ids::LoadedKey,
    plan::Load,
    reference,
    scaling::{Autoscaling, Policy, PolicyKind},
    time::Millis,
};
use fleet_proto::v1::{self, set_autoscaling_request::Change};
use tonic::{Response, Status};

use super::{instant, resolve};
use crate::control::{
    Context, forward,
    refusal::{invalid, rejected, unread},
};

/// What is to be changed.
pub(super) fn change(asked: Option<Change>) -> Result<AutoscalingChange, Status> {
    Ok(match asked {
        Some(Change::Thresholds(thresholds)) => AutoscalingChange::Thresholds {
            down_percent: thresholds.down_percent,
            up_percent: thresholds.up_percent,
        },
        Some(Change::Rates(rates)) => AutoscalingChange::Rates {
            remove: rates.remove,
            add_percent: rates.add_percent,
        },
        Some(Change::GraceSeconds(seconds)) => {
            AutoscalingChange::GracePeriod(Millis::seconds(seconds.into()))
        }
        Some(Change::Policy(policy)) => AutoscalingChange::Policy(kind(policy)?),
        Some(Change::Targets(targets)) => AutoscalingChange::Targets(retarget(&targets)),
        Some(Change::CooldownSeconds(seconds)) => {
            AutoscalingChange::Cooldown(Millis::seconds(seconds.into()))
        }
        None => return Err(invalid("the request changes nothing", "set `change`")),
    })
}

fn kind(policy: i32) -> Result<PolicyKind, Status> {
    match v1::AutoscalingPolicy::try_from(policy) {
        Ok(v1::AutoscalingPolicy::Step) => Ok(PolicyKind::Step),
        Ok(v1::AutoscalingPolicy::Target) => Ok(PolicyKind::Target),
        _ => Err(invalid(
            "the request names no policy",
            "there are two: STEP and TARGET",
        )),
    }
}

/// Of an absent target nothing is said, and 0 takes one away.
fn retarget(targets: &v1::AutoscalingTargets) -> TargetsChange {
    let change = |asked: Option<u32>| asked.map(|target| Some(target).filter(|t| *t > 0));
    TargetsChange {
        cpu_percent: change(targets.cpu_percent),
        memory_percent: change(targets.memory_percent),
        rps: change(targets.requests_per_second),
        concurrency: change(targets.concurrency),
    }
}

/// What is measured, was decided, and would be next: only the leader knows.
pub(super) async fn describe(
    context: &Arc<Context>,
    asked: v1::DescribeAutoscalingRequest,
) -> Result<Response<v1::DescribeAutoscalingResponse>, Status> {
    if let Some(peer) = forward::leader(context).await? {
        let mut client = v1::environments_client::EnvironmentsClient::new(peer);
        let answer = client.describe_autoscaling(asked).await;
        return answer.map_err(forward::relayed);
    }
    let state = context.read(false).await.map_err(unread)?;
    let key = resolve::environment(&state, &asked.app, &asked.environment)?;
    let environment = reference::environment(&state, &key).map_err(|r| rejected(&r))?;
    let only = match asked.release.as_str() {
        "" => None,
        release => Some(resolve::loaded(&state, &key, release)?),
    };
    let now = context.now();
    let settings = &environment.settings;
    let view = View {
        state: &state,
        load: &context.board.load(),
        environment,
        now,
    };
    Ok(Response::new(v1::DescribeAutoscalingResponse {
        at: Some(instant(now)),
        app: key.app.to_string(),
        environment: key.name.to_string(),
        settings: Some(self::settings(&settings.autoscaling)),
        min: settings.limits.min,
        max: settings.limits.max,
        releases: view.releases(only.as_ref(), &asked.service),
    }))
}

/// Everything that is looked at.
struct View<'a> {
    state: &'a State,
    load: &'a Load,
    environment: &'a Environment,
    now: fleet_model::Time,
}

impl View<'_> {
    fn releases(&self, only: Option<&LoadedKey>, service: &str) -> Vec<v1::ScaledRelease> {
        let loaded = self.state.loaded_in(&self.environment.key);
        let mut wanted: Vec<_> = loaded
            .filter(|(key, _)| only.is_none_or(|only| only == *key))
            .collect();
        wanted.sort_by(|(_, a), (_, b)| (b.loaded, &b.name).cmp(&(a.loaded, &a.name)));
        let active = self.environment.active.as_ref();
        wanted
            .into_iter()
            .map(|(key, loaded)| v1::ScaledRelease {
                name: loaded.name.clone(),
                release_id: key.release.to_string(),
                active: active == Some(&key.release),
                services: self.services(key, loaded, service),
            })
            .collect()
    }
}

/// The rules of an environment, as it shows them.
pub(super) fn settings(autoscaling: &Autoscaling) -> v1::AutoscalingSettings {
    let Autoscaling {
        policy,
        step,
        target,
    } = *autoscaling;
    let policy = match policy {
        PolicyKind::Step => v1::AutoscalingPolicy::Step,
        PolicyKind::Target => v1::AutoscalingPolicy::Target,
    };
    v1::AutoscalingSettings {
        policy: policy.into(),
        thresholds: Some(v1::AutoscalingThresholds {
            down_percent: step.down_percent,
            up_percent: step.up_percent,
        }),
        rates: Some(v1::AutoscalingRates {
            remove: step.remove,
            add_percent: step.add_percent,
        }),
        grace_seconds: seconds(step.grace),
        targets: Some(v1::AutoscalingTargets {
            cpu_percent: target.cpu_percent,
            memory_percent: target.memory_percent,
            requests_per_second: target.rps,
            concurrency: target.concurrency,
        }),
        cooldown_seconds: seconds(target.cooldown),
        as_created: *autoscaling == Autoscaling::default(),
    }
}

/// The rule of one service, beside the numbers of the other that its environment has.
fn own_settings(policy: Policy, environment: &Autoscaling) -> v1::AutoscalingSettings {
    let mut own = *environment;
    own.policy = policy.kind();
    match policy {
        Policy::Step(step) => own.step = step,
        Policy::Target(target) => own.target = target,
    }
    settings(&own)
}

fn seconds(span: Millis) -> u32 {
    u32::try_from(span.0 / 1000).unwrap_or(u32::MAX)
}
