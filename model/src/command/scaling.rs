//! Autoscaling: its settings, and the counts it decides on.

use std::sync::Arc;

use super::{Code, Detail, Rejection, itself, settings::change};
use crate::{
    State,
    environment::Settings,
    event::Kind,
    ids::{EnvironmentKey, LoadedKey, ServiceName},
    rollout::{Phase, Strategy},
    scaling::{
        Autoscaling, Decision, LEAST_GRACE, LONGEST_COOLDOWN, PolicyKind, Step, Target, aims,
    },
    time::Millis,
};

/// A change of how the counts of an environment follow the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoscalingChange {
    /// CPU below which there shall be fewer, and above which more.
    Thresholds {
        down_percent: u32,
        up_percent: u32,
    },
    /// How many are removed at once, and how many are added, in percent of the count.
    Rates {
        remove: u32,
        add_percent: u32,
    },
    GracePeriod(Millis),
    Policy(PolicyKind),
    Targets(TargetsChange),
    Cooldown(Millis),
}

/// New targets. An absent one stays as it is; `Some(None)` takes it away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TargetsChange {
    pub cpu_percent: Option<Option<u32>>,
    pub memory_percent: Option<Option<u32>>,
    pub rps: Option<Option<u32>>,
    pub concurrency: Option<Option<u32>>,
}

/// A decision about the count of a service of a loaded release. Stale when the count is not the one
/// it was decided from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rescale {
    pub loaded: LoadedKey,
    pub service: ServiceName,
    pub decision: Decision,
}

pub(super) fn set(
    state: &mut State,
    key: &EnvironmentKey,
    asked: AutoscalingChange,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let mut next = current(state, key)?.autoscaling;
    let mut sentence = apply(&mut next, asked, key)?;
    let before = next.policy;
    next.policy = rule_of(asked);
    if next.policy != before {
        sentence.push_str(&format!(", and the policy {before} -> {}", next.policy));
    }
    change(state, key, |settings| settings.autoscaling = next)?;
    state.record(Kind::Scaling, actor, Some(key), key.name.as_str(), sentence);
    Ok(Detail::Done)
}

/// The rule that a change is about: whoever sets a number wants it to count, and those who come from
/// a system with one rule have no word for the other.
fn rule_of(asked: AutoscalingChange) -> PolicyKind {
    match asked {
        AutoscalingChange::Thresholds { .. }
        | AutoscalingChange::Rates { .. }
        | AutoscalingChange::GracePeriod(_) => PolicyKind::Step,
        AutoscalingChange::Targets(_) | AutoscalingChange::Cooldown(_) => PolicyKind::Target,
        AutoscalingChange::Policy(kind) => kind,
    }
}

fn current<'a>(state: &'a State, key: &EnvironmentKey) -> Result<&'a Settings, Rejection> {
    crate::reference::environment(state, key).map(|environment| &environment.settings)
}

/// Makes the change if it makes sense, and says it in a sentence.
fn apply(
    next: &mut Autoscaling,
    asked: AutoscalingChange,
    key: &EnvironmentKey,
) -> Result<String, Rejection> {
    let verb =
        |usage: &str| format!("fleet env autoscaling {usage}").replace("ENV", key.name.as_str());
    let refuse = |sentence: String, usage: &str| {
        Err(Rejection::new(Code::InvalidValue, sentence).hint(verb(usage)))
    };
    let Autoscaling {
        policy,
        step,
        target,
    } = next;
    Ok(match asked {
        AutoscalingChange::Thresholds {
            down_percent: down,
            up_percent: up,
        } => {
            if down >= up || up > MOST_PERCENT {
                return refuse(
                    format!(
                        "thresholds {down} % and {up} % do not keep apart: the first must be below \
                         the second, and that at most {MOST_PERCENT} %"
                    ),
                    "thresholds ENV DOWN UP",
                );
            }
            let Step {
                down_percent,
                up_percent,
                ..
            } = *step;
            (step.down_percent, step.up_percent) = (down, up);
            format!("autoscaling thresholds {down_percent}/{up_percent} % -> {down}/{up} %")
        }
        AutoscalingChange::Rates {
            remove: less,
            add_percent: more,
        } => {
            if less == 0 || more == 0 || more > MOST_PERCENT {
                return refuse(
                    format!(
                        "rates of {less} frontends and {more} % do nothing: the first must be at \
                         least 1, the second 1 to {MOST_PERCENT}"
                    ),
                    "rates ENV REMOVE ADD",
                );
            }
            let before = *step;
            (step.remove, step.add_percent) = (less, more);
            format!(
                "autoscaling rates -{}/+{} % -> -{less}/+{more} %",
                before.remove, before.add_percent
            )
        }
        AutoscalingChange::GracePeriod(grace) => {
            if !(LEAST_GRACE..=LONGEST_COOLDOWN).contains(&grace) {
                return refuse(
                    format!(
                        "a grace period of {grace} is not within {LEAST_GRACE} to {LONGEST_COOLDOWN}"
                    ),
                    "grace-period ENV SECONDS",
                );
            }
            let before = std::mem::replace(&mut step.grace, grace);
            format!("autoscaling grace period {before} -> {grace}")
        }
        AutoscalingChange::Policy(kind) => {
            let before = std::mem::replace(policy, kind);
            format!("autoscaling policy {before} -> {kind}")
        }
        AutoscalingChange::Targets(changes) => retarget(target, changes, &verb)?,
        AutoscalingChange::Cooldown(cooldown) => {
            if cooldown > LONGEST_COOLDOWN {
                return refuse(
                    format!("a cooldown of {cooldown} is longer than {LONGEST_COOLDOWN}"),
                    "cooldown ENV SECONDS",
                );
            }
            let before = std::mem::replace(&mut target.cooldown, cooldown);
            format!("autoscaling cooldown {before} -> {cooldown}")
        }
    })
}

/// More than ten times what a frontend requests is a typo.
const MOST_PERCENT: u32 = 1000;
/// Of one frontend: more requests a second, or in flight, are a typo.
const MOST_REQUESTS: u32 = 1_000_000;

fn retarget(
    target: &mut Target,
    asked: TargetsChange,
    verb: &dyn Fn(&str) -> String,
) -> Result<String, Rejection> {
    let TargetsChange {
        cpu_percent,
        memory_percent,
        rps,
        concurrency,
    } = asked;
    let mut next = *target;
    let changes = [
        ("cpu", &mut next.cpu_percent, cpu_percent, MOST_PERCENT),
        (
            "memory",
            &mut next.memory_percent,
            memory_percent,
            MOST_PERCENT,
        ),
        ("rps", &mut next.rps, rps, MOST_REQUESTS),
        (
            "concurrency",
            &mut next.concurrency,
            concurrency,
            MOST_REQUESTS,
        ),
    ];
    let mut said = Vec::new();
    for (name, value, change, most) in changes {
        let Some(change) = change else { continue };
        if change.is_some_and(|value| !(1..=most).contains(&value)) {
            let value = change.unwrap_or_default();
            return Err(Rejection::new(
                Code::InvalidValue,
                format!("a {name} target of {value} is not within 1 to {most}"),
            ));
        }
        let spell = |value: Option<u32>| value.map_or("none".to_owned(), |v| v.to_string());
        said.push(format!("{name} {} -> {}", spell(*value), spell(change)));
        *value = change;
    }
    let left = [
        next.cpu_percent,
        next.memory_percent,
        next.rps,
        next.concurrency,
    ];
    if left.iter().all(Option::is_none) {
        let hint = format!(
            "choose the other policy instead: {}",
            verb("policy ENV step")
        );
        let sentence = "there would be no target left for a count to follow";
        return Err(Rejection::new(Code::InvalidValue, sentence).hint(hint));
    }
    *target = next;
    Ok(match said.is_empty() {
        true => "autoscaling targets stay as they are".to_owned(),
        false => format!("autoscaling targets: {}", said.join(", ")),
    })
}

/// From the planner: what the load asks for.
pub(super) fn rescale(state: &mut State, items: Vec<Rescale>) -> Result<Detail, Rejection> {
    let (mut applied, mut stale) = (0, 0);
    for item in items {
        match rescale_one(state, item) {
            Some(()) => applied += 1,
            None => stale += 1,
        }
    }
    Ok(Detail::Batch { applied, stale })
}

fn rescale_one(state: &mut State, item: Rescale) -> Option<()> {
    let Rescale {
        loaded: key,
        service,
        decision,
    } = item;
    let (from, to) = (decision.from, decision.to);
    let index = state.index;
    let loaded = state.loaded.get(&key)?;
    let environment = state.environments.get(&key.environment)?;
    let bounds = loaded.bounds(&service, &environment.settings);
    let rollout = state.rollouts.get(&key.environment);
    let rollout = rollout.filter(|rollout| !rollout.phase.over());
    let promotion = rollout.filter(|rollout| rollout.concerns(&key.release));
    let count = match promotion {
        Some(promotion) if promotion.giving_way() == Some(&key.release) => return None,
        Some(promotion) => aims(promotion)?.get(&service),
        None => loaded.desired.get(&service),
    };
    let rolling = rollout.is_some();
    let possible = bounds.clamp(to) == to && loaded.status.wants_frontends();
    if count != Some(&from) || to != from && !possible || to < from && rolling {
        return None;
    }
    let (name, promoted) = (loaded.name.clone(), promotion.is_some());
    if to != from && promoted {
        grow_promotion(state, &key, &service, to - from);
    } else if to != from {
        grow_warming(state, &key, &service, to);
        let loaded = state.loaded.get_mut(&key)?;
        loaded.desired.insert(service.clone(), to);
        loaded.revision = index;
    }
    let sentence = format!("{service} {}", decision.line());
    let past = state.loaded.get_mut(&key)?.scaling.entry(service);
    past.or_default().record(decision);
    let environment = key.environment;
    state.record(Kind::Scaling, &itself(), Some(&environment), name, sentence);
    Some(())
}

/// A promotion under way goes on to more than it began with, and so does its reversal. What it
/// promised to keep healthy, and waits for, stays what it began with ([`crate::rollout::Grown`]).
fn grow_promotion(state: &mut State, key: &LoadedKey, service: &ServiceName, more: u32) {
    let index = state.index;
    let Some(rollout) = state.rollouts.get(&key.environment) else {
        return;
    };
    // Each release has bounds of its own.
    let most = |key: Option<LoadedKey>| most_of(state, &key?, service);
    let incoming = most(rollout.incoming_key()).unwrap_or(0);
    let outgoing = most(rollout.outgoing_key()).unwrap_or(0);
    let Some(rollout) = state.rollouts.get_mut(&key.environment) else {
        return;
    };
    let guarding = matches!(rollout.phase, Phase::Guarding { .. });
    let Strategy::Roll(roll) = &mut rollout.strategy else {
        return;
    };
    let sides = [
        (&mut roll.targets, &mut roll.grown.targets, incoming),
        (&mut roll.outgoing, &mut roll.grown.outgoing, outgoing),
    ];
    for (counts, grown, most) in sides {
        let Some(count) = counts.get_mut(service) else {
            continue;
        };
        let added = more.min(most.saturating_sub(*count));
        *count += added;
        let grown = grown.entry(service.clone()).or_default();
        *grown = grown.saturating_add(added);
    }
    let aim = roll.targets.get(service).copied();
    rollout.revision = index;
    // Nothing rolls any more while the new release is watched: its count is what it aims at.
    if guarding
        && let Some(loaded) = state.loaded.get_mut(key)
        && let (Some(count), Some(aim)) = (loaded.desired.get_mut(service), aim)
    {
        *count = aim;
        loaded.revision = index;
    }
}

fn most_of(state: &State, key: &LoadedKey, service: &ServiceName) -> Option<u32> {
    let settings = &state.environments.get(&key.environment)?.settings;
    Some(state.loaded.get(key)?.bounds(service, settings).max)
}

/// What is about to take over from a release that grows must carry as much.
fn grow_warming(state: &mut State, key: &LoadedKey, service: &ServiceName, to: u32) {
    let index = state.index;
    let incoming = state
        .rollouts
        .get(&key.environment)
        .filter(|rollout| rollout.phase == Phase::Warming)
        .filter(|rollout| rollout.outgoing.as_ref() == Some(&key.release))
        .and_then(|rollout| rollout.incoming_key());
    let settings = state.environments.get(&key.environment);
    let settings = settings.map(|environment| environment.settings.clone());
    let (Some(incoming), Some(settings)) = (incoming, settings) else {
        return;
    };
    if let Some(loaded) = state.loaded.get_mut(&incoming) {
        let bounds = loaded.bounds(service, &settings);
        if let Some(count) = loaded.desired.get_mut(service) {
            *count = bounds.clamp(to.max(*count));
            loaded.revision = index;
        }
    }
}
