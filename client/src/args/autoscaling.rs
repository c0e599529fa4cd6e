//! Verbs of autoscaling: what decides the counts of an environment, and what was decided.

use std::fmt;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum AutoscalingVerb {
    /// Bounds of the count of each loaded release
    Limits {
        #[arg(value_name = "ENV")]
        environment: String,
        min: u32,
        max: u32,
    },
    /// Set the count of a loaded release now; autoscaling goes on from there
    Desired {
        #[arg(value_name = "ENV")]
        environment: String,
        /// [RELEASE] COUNT; without a release, the active one
        #[arg(num_args = 1..=2, required = true, value_names = ["RELEASE", "COUNT"])]
        words: Vec<String>,
    },
    /// Policy step: mean CPU in percent below which it shrinks, and above which it grows
    Thresholds {
        #[arg(value_name = "ENV")]
        environment: String,
        down: u32,
        up: u32,
    },
    /// Policy step: frontends removed at a time, and percent of the count added at a time
    Rates {
        #[arg(value_name = "ENV")]
        environment: String,
        remove: u32,
        add: u32,
    },
    /// Policy step: seconds between two changes of a count; at least 60
    GracePeriod {
        #[arg(value_name = "ENV")]
        environment: String,
        seconds: u32,
    },
    /// How counts are decided; a service whose manifest has targets follows these
    Policy {
        #[arg(value_name = "ENV")]
        environment: String,
        #[arg(ignore_case = true)]
        policy: Policy,
    },
    /// Policy target: what each frontend should have to do; none takes a target away
    Targets {
        #[arg(value_name = "ENV")]
        environment: String,
        #[command(flatten)]
        targets: TargetOptions,
    },
    /// Policy target: seconds over which the most that was wanted counts when it shrinks
    Cooldown {
        #[arg(value_name = "ENV")]
        environment: String,
        seconds: u32,
    },
    /// Show what is measured, what was decided, and what would happen next
    Describe {
        #[arg(value_name = "ENV")]
        environment: String,
        /// Only this one; else all that are loaded
        release: Option<String>,
        /// Only those of one service
        #[arg(short, long, value_name = "SERVICE")]
        service: Option<String>,
    },
}

/// How counts are decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Policy {
    /// Mean CPU against two thresholds, a fixed step at a time
    Step,
    /// The count at which each frontend has as much to do as it should
    Target,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct TargetOptions {
    /// Percent of the CPU it asks for
    #[arg(long, value_name = "PERCENT", value_parser = Target::parse)]
    pub cpu: Option<Target>,
    /// Percent of the memory it asks for
    #[arg(long, value_name = "PERCENT", value_parser = Target::parse)]
    pub memory: Option<Target>,
    /// Requests a second
    #[arg(long, value_name = "N", value_parser = Target::parse)]
    pub rps: Option<Target>,
    /// Requests in flight
    #[arg(long, value_name = "N", value_parser = Target::parse)]
    pub concurrency: Option<Target>,
}

/// A number to aim at, or none any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    At(u32),
    None,
}

impl Target {
    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("none") {
            return Ok(Self::None);
        }
        let number = text.parse().ok().filter(|&number| number > 0);
        number
            .map(Self::At)
            .ok_or_else(|| "not a number from 1, nor none".to_owned())
    }

    /// As the API has it: 0 takes one away.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::At(number) => number,
            Self::None => 0,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(number) => number.fmt(f),
            Self::None => f.write_str("none"),
        }
    }
}
