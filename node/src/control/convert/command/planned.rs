//! What the planner decides.

use fleet_model::{
    command::{Action, Advance, Placement, Step, Verdict},
    ids::{FrontendId, NodeId, ServiceName},
};
use fleet_proto::stored::{self, advance_rollout, settle_loaded, step};

use crate::control::convert::{DecodeError, Stored, present, required};

impl Stored for Placement {
    type Wire = stored::Placement;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            loaded,
            service,
            slot,
            node,
            assumed,
        } = self;
        stored::Placement {
            loaded: Some(loaded.to_stored()),
            service: service.to_stored(),
            slot: *slot,
            node: node.0,
            assumed: *assumed,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Placement {
            loaded,
            service,
            slot,
            node,
            assumed,
        } = wire;
        Ok(Self {
            loaded: required(loaded, "placement.loaded")?,
            service: ServiceName::from_stored(service)?,
            slot,
            node: NodeId(node),
            assumed,
        })
    }
}

impl Stored for Step {
    type Wire = stored::Step;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            frontend,
            assumed,
            action,
        } = self;
        let action = match action {
            Action::Withdraw { why } => step::Action::Withdraw(why.clone()),
            Action::Stop { why } => step::Action::Stop(why.clone()),
            Action::Forget => step::Action::Forget(stored::Unit {}),
        };
        stored::Step {
            frontend: frontend.0,
            assumed: *assumed,
            action: Some(action),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Step {
            frontend,
            assumed,
            action,
        } = wire;
        Ok(Self {
            frontend: FrontendId(frontend),
            assumed,
            action: match present(action, "step.action")? {
                step::Action::Withdraw(why) => Action::Withdraw { why },
                step::Action::Stop(why) => Action::Stop { why },
                step::Action::Forget(stored::Unit {}) => Action::Forget,
            },
        })
    }
}

impl Stored for Verdict {
    type Wire = settle_loaded::Verdict;

    fn to_stored(&self) -> Self::Wire {
        match self {
            Self::Running => settle_loaded::Verdict::Running(stored::Unit {}),
            Self::Failed { reason } => settle_loaded::Verdict::Failed(reason.clone()),
            Self::Gone => settle_loaded::Verdict::Gone(stored::Unit {}),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match wire {
            settle_loaded::Verdict::Running(stored::Unit {}) => Self::Running,
            settle_loaded::Verdict::Failed(reason) => Self::Failed { reason },
            settle_loaded::Verdict::Gone(stored::Unit {}) => Self::Gone,
        })
    }
}

impl Stored for Advance {
    type Wire = advance_rollout::Step;

    fn to_stored(&self) -> Self::Wire {
        match self {
            Self::Switch => advance_rollout::Step::Switch(stored::Unit {}),
            Self::Confirmed => advance_rollout::Step::Confirmed(stored::Unit {}),
            Self::Drained => advance_rollout::Step::Drained(stored::Unit {}),
            Self::Fail { reason } => advance_rollout::Step::Fail(reason.clone()),
            Self::Roll => advance_rollout::Step::Roll(stored::Unit {}),
            Self::Settle => advance_rollout::Step::Settle(stored::Unit {}),
            Self::Guarded => advance_rollout::Step::Guarded(stored::Unit {}),
            Self::Revert { reason } => advance_rollout::Step::Revert(reason.clone()),
            Self::Reverted => advance_rollout::Step::Reverted(stored::Unit {}),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match wire {
            advance_rollout::Step::Switch(stored::Unit {}) => Self::Switch,
            advance_rollout::Step::Confirmed(stored::Unit {}) => Self::Confirmed,
            advance_rollout::Step::Drained(stored::Unit {}) => Self::Drained,
            advance_rollout::Step::Fail(reason) => Self::Fail { reason },
            advance_rollout::Step::Roll(stored::Unit {}) => Self::Roll,
            advance_rollout::Step::Settle(stored::Unit {}) => Self::Settle,
            advance_rollout::Step::Guarded(stored::Unit {}) => Self::Guarded,
            advance_rollout::Step::Revert(reason) => Self::Revert { reason },
            advance_rollout::Step::Reverted(stored::Unit {}) => Self::Reverted,
        })
    }
}
