//! How counts follow the load, and what was decided of them.

use fleet_model::{
    Time,
    scaling::{
        Autoscaling, Cause, Decision, Hold, Past, PolicyKind, Reading, Signal, Step, Target,
    },
    time::Millis,
};
use fleet_proto::stored::{self, scaling_cause::Cause as WireCause};

use super::{DecodeError, Stored, all, all_stored, plain_enum, present, required};

plain_enum!(PolicyKind, ScalingPolicy, "scaling.policy", [Step, Target]);
plain_enum!(
    Signal,
    ScalingSignal,
    "scaling.signal",
    [Cpu, Memory, Requests, InFlight]
);

impl Stored for Autoscaling {
    type Wire = stored::Autoscaling;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            policy,
            step,
            target,
        } = self;
        stored::Autoscaling {
            policy: policy.to_stored(),
            step: Some(step.to_stored()),
            target: Some(target.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Autoscaling {
            policy,
            step,
            target,
        } = wire;
        Ok(Self {
            policy: PolicyKind::from_stored(policy)?,
            step: required(step, "autoscaling.step")?,
            target: required(target, "autoscaling.target")?,
        })
    }
}

impl Stored for Step {
    type Wire = stored::StepPolicy;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            down_percent,
            up_percent,
            remove,
            add_percent,
            grace,
        } = *self;
        stored::StepPolicy {
            down_percent,
            up_percent,
            remove,
            add_percent,
            grace_ms: grace.0,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::StepPolicy {
            down_percent,
            up_percent,
            remove,
            add_percent,
            grace_ms,
        } = wire;
        Ok(Self {
            down_percent,
            up_percent,
            remove,
            add_percent,
            grace: Millis(grace_ms),
        })
    }
}

impl Stored for Target {
    type Wire = stored::TargetPolicy;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown,
        } = *self;
        stored::TargetPolicy {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown_ms: cooldown.0,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::TargetPolicy {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown_ms,
        } = wire;
        Ok(Self {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown: Millis(cooldown_ms),
        })
    }
}

impl Stored for Past {
    type Wire = stored::ScalingPast;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            grew,
            shrank,
            set,
            decisions,
        } = self;
        let ms = |at: &Option<Time>| at.map(|at| at.0);
        stored::ScalingPast {
            grew_ms: ms(grew),
            shrank_ms: ms(shrank),
            set_ms: ms(set),
            decisions: all_stored(decisions),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::ScalingPast {
            grew_ms,
            shrank_ms,
            set_ms,
            decisions,
        } = wire;
        Ok(Self {
            grew: grew_ms.map(Time),
            shrank: shrank_ms.map(Time),
            set: set_ms.map(Time),
            decisions: all(decisions)?,
        })
    }
}

impl Stored for Decision {
    type Wire = stored::ScalingDecision;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            at,
            from,
            to,
            cause,
            policy,
            bounds,
            ready,
            unheard,
            readings,
        } = self;
        stored::ScalingDecision {
            at_ms: at.0,
            from: *from,
            to: *to,
            cause: Some(cause.to_stored()),
            policy: policy.to_stored(),
            bounds: Some(bounds.to_stored()),
            ready: *ready,
            unheard: *unheard,
            readings: all_stored(readings),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::ScalingDecision {
            at_ms,
            from,
            to,
            cause,
            policy,
            bounds,
            ready,
            readings,
            unheard,
        } = wire;
        Ok(Self {
            at: Time(at_ms),
            from,
            to,
            cause: required(cause, "scaling.cause")?,
            policy: PolicyKind::from_stored(policy)?,
            bounds: required(bounds, "scaling.bounds")?,
            ready,
            unheard,
            readings: all(readings)?,
        })
    }
}

impl Stored for Cause {
    type Wire = stored::ScalingCause;

    fn to_stored(&self) -> Self::Wire {
        let unit = stored::Unit {};
        let heard = |heard: u32, of: u32| stored::ScalingHeard { heard, of };
        let cause = match *self {
            Self::Grew => WireCause::Grew(unit),
            Self::Shrank => WireCause::Shrank(unit),
            Self::Bounded => WireCause::Bounded(unit),
            Self::Held(hold) => match hold {
                Hold::Steady => WireCause::Steady(unit),
                Hold::AtMaximum => WireCause::AtMaximum(unit),
                Hold::Grace { rest } => WireCause::GraceMs(rest.0),
                Hold::Rollout => WireCause::Rollout(unit),
                Hold::Warm { rest } => WireCause::WarmMs(rest.0),
                Hold::Filling { rest } => WireCause::FillingMs(rest.0),
                Hold::UnheardFrontends { heard: h, of } => WireCause::Frontends(heard(h, of)),
                Hold::UnheardIngresses { heard: h, of } => WireCause::Ingresses(heard(h, of)),
                Hold::Gap { rest } => WireCause::GapMs(rest.0),
                Hold::NothingReady => WireCause::NothingReady(unit),
                Hold::NoTarget => WireCause::NoTarget(unit),
            },
        };
        stored::ScalingCause { cause: Some(cause) }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let hold = match present(wire.cause, "scaling.cause")? {
            WireCause::Grew(_) => return Ok(Self::Grew),
            WireCause::Shrank(_) => return Ok(Self::Shrank),
            WireCause::Bounded(_) => return Ok(Self::Bounded),
            WireCause::Steady(_) => Hold::Steady,
            WireCause::AtMaximum(_) => Hold::AtMaximum,
            WireCause::GraceMs(rest) => Hold::Grace { rest: Millis(rest) },
            WireCause::Rollout(_) => Hold::Rollout,
            WireCause::WarmMs(rest) => Hold::Warm { rest: Millis(rest) },
            WireCause::FillingMs(rest) => Hold::Filling { rest: Millis(rest) },
            WireCause::Frontends(stored::ScalingHeard { heard, of }) => {
                Hold::UnheardFrontends { heard, of }
            }
            WireCause::Ingresses(stored::ScalingHeard { heard, of }) => {
                Hold::UnheardIngresses { heard, of }
            }
            WireCause::GapMs(rest) => Hold::Gap { rest: Millis(rest) },
            WireCause::NothingReady(_) => Hold::NothingReady,
            WireCause::NoTarget(_) => Hold::NoTarget,
        };
        Ok(Self::Held(hold))
    }
}

impl Stored for Reading {
    type Wire = stored::ScalingReading;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            signal,
            window,
            value,
            limit,
            asks,
        } = *self;
        stored::ScalingReading {
            signal: signal.to_stored(),
            window_ms: window.0,
            value,
            limit,
            asks,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::ScalingReading {
            signal,
            window_ms,
            value,
            limit,
            asks,
        } = wire;
        Ok(Self {
            signal: Signal::from_stored(signal)?,
            window: Millis(window_ms),
            value,
            limit,
            asks,
        })
    }
}
