//! Commands of autoscaling.

use fleet_model::{
    Command,
    command::{AutoscalingChange, Rescale, TargetsChange},
    ids::{EnvironmentKey, ServiceName},
    scaling::PolicyKind,
    time::Millis,
};
use fleet_proto::stored::{
    self, command_envelope::Command as Wire, set_autoscaling::Change as WireChange,
};

use super::super::{DecodeError, Stored, all_stored, present, required};

pub(super) fn change_to_stored(environment: &EnvironmentKey, change: AutoscalingChange) -> Wire {
    let change = match change {
        AutoscalingChange::Thresholds {
            down_percent,
            up_percent,
        } => WireChange::Thresholds(stored::ScalingThresholds {
            down_percent,
            up_percent,
        }),
        AutoscalingChange::Rates {
            remove,
            add_percent,
        } => WireChange::Rates(stored::ScalingRates {
            remove,
            add_percent,
        }),
        AutoscalingChange::GracePeriod(grace) => WireChange::GracePeriodMs(grace.0),
        AutoscalingChange::Policy(policy) => WireChange::Policy(policy.to_stored()),
        AutoscalingChange::Targets(targets) => WireChange::Targets(targets_to_stored(targets)),
        AutoscalingChange::Cooldown(cooldown) => WireChange::CooldownMs(cooldown.0),
    };
    Wire::SetAutoscaling(stored::SetAutoscaling {
        environment: Some(environment.to_stored()),
        change: Some(change),
    })
}

pub(super) fn change_from_stored(wire: stored::SetAutoscaling) -> Result<Command, DecodeError> {
    let stored::SetAutoscaling {
        environment,
        change,
    } = wire;
    let change = match present(change, "set_autoscaling.change")? {
        WireChange::Thresholds(stored::ScalingThresholds {
            down_percent,
            up_percent,
        }) => AutoscalingChange::Thresholds {
            down_percent,
            up_percent,
        },
        WireChange::Rates(stored::ScalingRates {
            remove,
            add_percent,
        }) => AutoscalingChange::Rates {
            remove,
            add_percent,
        },
        WireChange::GracePeriodMs(grace) => AutoscalingChange::GracePeriod(Millis(grace)),
        WireChange::Policy(policy) => AutoscalingChange::Policy(PolicyKind::from_stored(policy)?),
        WireChange::Targets(targets) => AutoscalingChange::Targets(targets_from_stored(targets)),
        WireChange::CooldownMs(cooldown) => AutoscalingChange::Cooldown(Millis(cooldown)),
    };
    Ok(Command::SetAutoscaling {
        environment: required(environment, "set_autoscaling.environment")?,
        change,
    })
}

fn targets_to_stored(targets: TargetsChange) -> stored::ScalingTargets {
    let TargetsChange {
        cpu_percent,
        memory_percent,
        rps,
        concurrency,
    } = targets;
    let target = |change: Option<Option<u32>>| change.map(|value| stored::NewTarget { value });
    stored::ScalingTargets {
        cpu_percent: target(cpu_percent),
        memory_percent: target(memory_percent),
        rps: target(rps),
        concurrency: target(concurrency),
    }
}

fn targets_from_stored(wire: stored::ScalingTargets) -> TargetsChange {
    let stored::ScalingTargets {
        cpu_percent,
        memory_percent,
        rps,
        concurrency,
    } = wire;
    let change = |target: Option<stored::NewTarget>| target.map(|target| target.value);
    TargetsChange {
        cpu_percent: change(cpu_percent),
        memory_percent: change(memory_percent),
        rps: change(rps),
        concurrency: change(concurrency),
    }
}

pub(super) fn rescale_to_stored(items: &[Rescale]) -> Wire {
    Wire::Rescale(stored::Rescale {
        items: all_stored(items),
    })
}

impl Stored for Rescale {
    type Wire = stored::RescaleItem;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            loaded,
            service,
            decision,
        } = self;
        stored::RescaleItem {
            loaded: Some(loaded.to_stored()),
            service: service.to_stored(),
            decision: Some(decision.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::RescaleItem {
            loaded,
            service,
            decision,
        } = wire;
        Ok(Self {
            loaded: required(loaded, "rescale.loaded")?,
            service: ServiceName::from_stored(service)?,
            decision: required(decision, "rescale.decision")?,
        })
    }
}
