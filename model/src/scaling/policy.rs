//! Policies: by what rule a count follows the load, and the numbers of the rule.

use std::fmt;

use crate::{
    environment::{Loaded, Settings},
    ids::ServiceName,
    manifest::{Resources, Targets},
    time::Millis,
};

/// How the counts of an environment follow the load (`env autoscaling`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Autoscaling {
    /// Which of the two rules counts; the numbers of the other are kept.
    pub policy: PolicyKind,
    pub step: Step,
    pub target: Target,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PolicyKind {
    Step,
    /// What environments begin with: by simulation `step` misses twenty times the minutes
    /// (docs/adr/0011).
    #[default]
    Target,
}

impl PolicyKind {
    pub const ALL: [Self; 2] = [Self::Step, Self::Target];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Target => "target",
        }
    }
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Fleet's rule (surface.md A.3, A.4): above one threshold of CPU a share is added, below another
/// a few are removed, and then nothing for the grace period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Fewer when the mean CPU of [`Step::DOWN_WINDOW`] is below it.
    pub down_percent: u32,
    /// More when the mean CPU of [`Step::UP_WINDOW`] is above it.
    pub up_percent: u32,
    /// Frontends removed at once.
    pub remove: u32,
    /// Frontends added at once, in percent of the count, rounded down, and at least one.
    pub add_percent: u32,
    /// From one change to the next.
    pub grace: Millis,
}

impl Step {
    pub const UP_WINDOW: Millis = Millis::seconds(2 * 60);
    pub const DOWN_WINDOW: Millis = Millis::seconds(6 * 60);
}

impl Default for Step {
    fn default() -> Self {
        Self {
            down_percent: 20,
            up_percent: 80,
            remove: 1,
            add_percent: 10,
            grace: Millis::seconds(300),
        }
    }
}

/// The shortest grace period (surface.md A.3).
pub const LEAST_GRACE: Millis = Millis::seconds(60);

/// As many frontends as carry the load with each at its target; the signal that asks for most wins.
/// The fast window is that of the Knative pod autoscaler, the tolerance and the memory for shrinking
/// those of the Kubernetes horizontal pod autoscaler (docs/autoscaling.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// CPU of a frontend, in percent of what it requests; of one core where it requests nothing.
    pub cpu_percent: Option<u32>,
    /// Memory of a frontend, in percent of what it requests; else of its limit; else this is no
    /// signal.
    pub memory_percent: Option<u32>,
    /// Requests a second, of one frontend.
    pub rps: Option<u32>,
    /// Requests in flight, of one frontend.
    pub concurrency: Option<u32>,
    /// The count is not lowered below what the load of this time asked for.
    pub cooldown: Millis,
}

impl Target {
    /// The load that is followed in calm weather. By simulation (docs/adr/0011): a minute, as the
    /// Knative pod autoscaler has it, lags behind a rise by half of itself, and twenty seconds miss
    /// half as many minutes for 2 % more instances. Whole tens, for the windows beyond a minute.
    pub const SLOW_WINDOW: Millis = Millis::seconds(20);
    /// The load that is followed once it asks for [`Self::BURST`] times what is ready, and for as
    /// long as [`Self::SLOW_WINDOW`] after the count grew by it.
    pub const FAST_WINDOW: Millis = Millis::seconds(6);
    /// How many times what is ready the fast window must ask for to be followed.
    pub const BURST: u32 = 2;
    /// Or, of CPU, once the ready frontends use so much of what they request in that window: who is
    /// at its limit cannot show what there is beyond it.
    pub const SATURATED_PERCENT: u32 = 90;
}

impl Target {
    /// The part of the cooldown in which it is known what the load asked for.
    #[must_use]
    pub fn reach(&self) -> Millis {
        self.cooldown.min(REMEMBERED)
    }
}

/// How far back it is known what the load asked for.
const REMEMBERED: Millis = Millis::seconds(300);

/// A load that differs by less than this from what the count is meant for changes nothing.
pub const TOLERANCE_PERCENT: u32 = 10;

/// [`Target::cooldown`] where nothing else was set.
pub const COOLDOWN: Millis = Millis::seconds(300);

/// The longest cooldown. What the load asked for is remembered for five minutes; a longer cooldown
/// also counts from the last change.
pub const LONGEST_COOLDOWN: Millis = Millis::seconds(3600);

impl Default for Target {
    fn default() -> Self {
        Self {
            cpu_percent: Some(70),
            memory_percent: None,
            rps: None,
            concurrency: None,
            cooldown: COOLDOWN,
        }
    }
}

/// The rule one service is scaled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    Step(Step),
    Target(Target),
}

impl Policy {
    /// The rule of a service: what its manifest aims at, else what its environment says.
    #[must_use]
    pub fn of(autoscaling: &Autoscaling, own: &Targets) -> Self {
        let Targets {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown,
        } = *own;
        let aims = [cpu_percent, memory_percent, rps, concurrency];
        if aims.iter().any(Option::is_some) {
            return Self::Target(Target {
                cpu_percent,
                memory_percent,
                rps,
                concurrency,
                cooldown: cooldown.unwrap_or(autoscaling.target.cooldown),
            });
        }
        match autoscaling.policy {
            PolicyKind::Step => Self::Step(autoscaling.step),
            PolicyKind::Target => Self::Target(autoscaling.target),
        }
    }

    /// How far back is looked before a count is lowered.
    #[must_use]
    pub fn reach(&self) -> Millis {
        match self {
            Self::Step(_) => Step::DOWN_WINDOW,
            Self::Target(target) => target.reach().max(Target::SLOW_WINDOW),
        }
    }

    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        match self {
            Self::Step(_) => PolicyKind::Step,
            Self::Target(_) => PolicyKind::Target,
        }
    }
}

/// The rule of a service of a loaded release.
pub(crate) fn policy_of(loaded: &Loaded, service: &ServiceName, settings: &Settings) -> Policy {
    let described = loaded.manifest.services.get(service);
    let own = described.map(|service| service.targets).unwrap_or_default();
    Policy::of(&settings.autoscaling, &own)
}

/// What 100 % of a frontend is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Never 0.
    pub cpu_millicores: u32,
    /// `None`: there is nothing that memory could be a share of.
    pub memory_bytes: Option<u64>,
}

impl Size {
    /// By what a frontend requests; CPU of one core where it requests none, memory of its limit.
    #[must_use]
    pub fn of(requests: Resources, limits: Resources) -> Self {
        let cpu = requests.cpu_millicores.filter(|cpu| *cpu > 0);
        let memory = requests.memory_bytes.or(limits.memory_bytes);
        Self {
            cpu_millicores: cpu.unwrap_or(1000),
            memory_bytes: memory.filter(|bytes| *bytes > 0),
        }
    }
}
