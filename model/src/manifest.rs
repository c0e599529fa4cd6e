//! What an app says of itself in `fleet.yml`.
//!
//! These are the values of a manifest, read and checked where a build is taken in. The text of a
//! manifest belongs to its build and never changes; what `${NAME}` in it stands for belongs to a
//! release. [`Manifest::interpolate`] brings the two together when a release is loaded.

mod check;
mod health;
mod interpolate;
mod later;
mod scale;
mod service;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

pub use self::{
    check::{Doubt, domain, health_path, network},
    health::{Health, Liveness, Startup, Timings},
    interpolate::{interpolated, names_in},
    scale::{Resources, Scale, Targets},
    service::{
        Affinity, Build, DEFAULT_TERMINATION_GRACE, Deployment, Lifecycle, Port, Run, Scheme,
        Service, SourceStep,
    },
    variables::{Declared, Variable},
};
use crate::ids::ServiceName;

/// The manifest of a build: its text as written, and what of it this version understands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    pub text: String,
    /// Variables declared for every service.
    pub environment: Declared,
    pub services: BTreeMap<ServiceName, Service>,
    /// Names of the timers; see [`Manifest::unsupported`].
    pub timers: BTreeSet<String>,
    /// Names of the resources; see [`Manifest::unsupported`].
    pub resources: BTreeSet<String>,
    /// Names of the balancers; see [`Manifest::unsupported`].
    pub balancers: BTreeSet<String>,
}
