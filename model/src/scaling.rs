//! Autoscaling: how many frontends a service shall have, by what its frontends and the ingresses
//! measure.
//!
//! Three things are kept apart. [`Signals`] is the leader's memory of what it has heard: windows of
//! a fixed size, never committed, empty when another leads. [`decide`] is a function of a
//! [`Question`] that says everything it depends on, so that a simulator asks exactly what the
//! leader asks. [`Decision`] is the answer with the numbers it was reached by; it is committed, and
//! [`Past`] remembers the last ones. `plan::scaling` brings the three together.
//!
//! Invariants: a decision never leaves the bounds; what was not heard, or makes no sense, never
//! lowers a count; frontends that start count as capacity when more are asked for. All arithmetic
//! is of whole numbers, so that no input is "not a number" and every machine reckons alike
//! (docs/autoscaling.md has the mathematics).

mod decide;
mod decision;
mod explain;
mod line;
mod policy;
mod question;
mod signals;
mod window;

pub use self::{
    decide::{Gate, Gates, Heard, Question, decide},
    decision::{Cause, Decision, Hold, KEPT_DECISIONS, Past, Reading, Signal},
    explain::{Explanation, Measure, Point, explain},
    policy::{
        Autoscaling, COOLDOWN, LEAST_GRACE, LONGEST_COOLDOWN, Policy, PolicyKind, Size, Step,
        TOLERANCE_PERCENT, Target,
    },
    signals::{FRESH, FrontendTraffic, FrontendUsage, SWEEP, ServiceKey, Signals},
    window::{Flow, ServiceSignals},
};
pub(crate) use self::{
    policy::policy_of,
    question::{Subject, aims},
};
