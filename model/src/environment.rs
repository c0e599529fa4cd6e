//! Environments and the releases loaded into them.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use crate::{
    Time,
    access::{ALLOW_ALL, RequestLimits},
    certificate::SELF_SIGNED,
    command::{Code, Rejection},
    ids::{AppName, BuildId, EnvironmentKey, EnvironmentName, ReleaseId, ServiceName},
    manifest::{Manifest, Resources},
    release::Variables,
    scaling::{Autoscaling, Past},
    time::Millis,
};

/// The environment created with an app.
pub const DEFAULT_NAME: &str = "prod";

/// An isolated place for releases of an app, with its variables and settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    pub key: EnvironmentKey,
    pub created: Time,
    pub updated: Time,
    /// The one release that receives traffic on the environment's own host names.
    pub active: Option<ReleaseId>,
    pub previous: Previous,
    /// What the next release of this environment runs with.
    pub variables: Variables,
    /// The release made last, active or not; the next `set` forks it.
    pub newest: Option<ReleaseId>,
    pub settings: Settings,
    /// Variables whose values are not shown on a terminal; a matter of display only.
    pub masked: OrdSet<Arc<str>>,
    /// Being destroyed: everything in it is unloaded, then it is gone.
    pub destroying: bool,
    /// Log index of the last change.
    pub revision: u64,
}

/// What was active before; three different blanks in the predecessors' tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Previous {
    /// Nothing was ever active.
    Never,
    /// The release active now is the first.
    None,
    Release(ReleaseId),
}

/// What users set per environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub whitelist: String,
    pub certificate: String,
    /// Plain HTTP is sent to HTTPS once the certificate is one that clients believe.
    pub redirect: bool,
    /// ON: an unhealthy frontend is replaced. OFF: it only leaves routing.
    pub recycling: bool,
    /// Guards destroy, deactivate and the unloading of the active release.
    pub protected: bool,
    /// The ingress answers 503 with a page.
    pub maintenance: bool,
    pub limits: Limits,
    /// What is asked of it at most.
    pub requests: RequestLimits,
    pub tracked_branches: Vec<String>,
    /// How long requests in flight may hold back the stop of a frontend.
    pub drain: Millis,
    /// How long a promoted release is watched after it took over; zero: not at all.
    pub guard: Millis,
    /// What `scale` set by hand, stronger than the manifest.
    pub scale: OrdMap<ServiceName, Scaling>,
    /// How counts follow the load.
    pub autoscaling: Autoscaling,
}

/// What `scale` set for a service. An absent value leaves the manifest's or the environment's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scaling {
    pub min: Option<u32>,
    pub max: Option<u32>,
    /// CPU of each frontend, in thousandths of a core.
    pub cpu_millicores: Option<u32>,
    /// Memory of each frontend, in bytes.
    pub memory_bytes: Option<u64>,
}

/// Bounds of the count of each scaled service of each loaded release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub min: u32,
    pub max: u32,
}

impl Limits {
    /// The nearest count within; the maximum counts where the two are no range.
    #[must_use]
    pub fn clamp(self, count: u32) -> u32 {
        count.max(self.min).min(self.max)
    }
}

/// How long requests in flight may hold back a stop where nothing else was set.
pub const DEFAULT_DRAIN: Millis = Millis::seconds(30);

/// How long a promoted release is watched where nothing else was set (docs/rollout.md).
pub const DEFAULT_GUARD: Millis = Millis::seconds(30);

/// The largest count one service may be given; beyond it a typo is more likely than a wish.
pub const MOST_FRONTENDS: u32 = 10_000;

impl Settings {
    /// Fleet's defaults (surface.md A.4): 2/10 for `prod`, 2/2 elsewhere; recycling OFF.
    #[must_use]
    pub fn initial(name: &EnvironmentName) -> Self {
        let max = if name.as_str() == DEFAULT_NAME { 10 } else { 2 };
        Self {
            whitelist: ALLOW_ALL.to_owned(),
            certificate: SELF_SIGNED.to_owned(),
            redirect: true,
            recycling: false,
            protected: false,
            maintenance: false,
            limits: Limits { min: 2, max },
            requests: RequestLimits::default(),
            tracked_branches: Vec::new(),
            drain: DEFAULT_DRAIN,
            guard: DEFAULT_GUARD,
            scale: OrdMap::new(),
            autoscaling: Autoscaling::default(),
        }
    }
}

/// A release loaded into an environment: its frontends exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    pub release: ReleaseId,
    pub build: BuildId,
    /// What it is called in this environment: the build's name, with `-2` and so on behind it when
    /// that is taken. A DNS label.
    pub name: String,
    pub status: LoadedStatus,
    pub loaded: Time,
    pub updated: Time,
    /// When `status` began.
    pub since: Time,
    pub manifest: Arc<Manifest>,
    pub variables: Variables,
    /// The count wanted per service.
    pub desired: OrdMap<ServiceName, u32>,
    pub slots: OrdMap<(ServiceName, u32), Slot>,
    /// Failures in a row of all slots together, kept with `slots` so that nobody has to walk them.
    pub failures: u32,
    /// Services whose frontends placed before a moment are to be replaced (`restart`).
    pub restarts: OrdMap<ServiceName, Time>,
    /// When and why counts changed, of services whose count follows the load.
    pub scaling: OrdMap<ServiceName, Past>,
    /// Log index of the last change of `status` or `desired`.
    pub revision: u64,
}

/// What is remembered of a slot across the frontends that occupied it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slot {
    /// How many frontends it has seen; the incarnation of the newest.
    pub incarnation: u64,
    /// Failures in a row.
    pub failures: u32,
    pub last_failure: Option<Failure>,
}

/// How the last frontend of a slot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub at: Time,
    pub reason: String,
    /// The last lines it wrote.
    pub output: Vec<String>,
}

/// States of a loaded release (surface.md A.2); who may follow whom stands in
/// [`LoadedStatus::may_become`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadedStatus {
    Loading,
    Running,
    Activating,
    Active,
    /// No longer active, but an ingress may still send to it or requests are in flight.
    Deactivating,
    Unloading,
    Failed {
        reason: String,
    },
}

impl LoadedStatus {
    /// As the predecessors print it.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Loading => "LOADING",
            Self::Running => "RUNNING",
            Self::Activating => "ACTIVATING",
            Self::Active => "ACTIVE",
            Self::Deactivating => "DEACTIVATING",
            Self::Unloading => "UNLOADING",
            Self::Failed { .. } => "FAILED",
        }
    }

    /// The transition table.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        use LoadedStatus::{Activating, Active, Deactivating, Failed, Loading, Running, Unloading};
        matches!(
            (self, next),
            (Loading, Running | Failed { .. })
                | (Running, Activating | Active)
                | (Activating, Active | Running)
                // A promotion is being reversed.
                | (Activating, Deactivating)
                | (Active, Deactivating)
                // Back at once: activated again while its last requests were still in flight.
                | (Deactivating, Running | Activating | Active)
                // The first release of an environment failed, and there is none to go back to.
                | (Deactivating, Failed { .. })
                | (Failed { .. }, Loading | Activating)
                | (Loading | Running | Deactivating | Failed { .. }, Unloading)
        )
    }

    /// Whether its frontends are wanted.
    #[must_use]
    pub fn wants_frontends(&self) -> bool {
        !matches!(self, Self::Unloading | Self::Failed { .. })
    }
}

impl Loaded {
    /// Bounds of a service's count: what `scale` set by hand, else the manifest's where it has any,
    /// else the environment's.
    #[must_use]
    pub fn bounds(&self, service: &ServiceName, settings: &Settings) -> Limits {
        let described = self.manifest.services.get(service);
        if described.is_some_and(|service| service.agent) {
            // As many as there are workers.
            return Limits {
                min: 0,
                max: MOST_FRONTENDS,
            };
        }
        let own = match described.and_then(|service| service.scale) {
            Some(scale) => Limits {
                min: scale.min,
                max: scale.max,
            },
            None => settings.limits,
        };
        let by_hand = settings.scale.get(service).copied().unwrap_or_default();
        let min = by_hand.min.unwrap_or(own.min);
        Limits {
            min,
            max: by_hand.max.unwrap_or(own.max).max(min),
        }
    }

    /// What each frontend of a service is held to: what `scale` set by hand, else the manifest's.
    /// CPU is a share to plan with unless the manifest limits it.
    #[must_use]
    pub fn limits(&self, service: &ServiceName, settings: &Settings) -> Resources {
        let described = self.manifest.services.get(service);
        let own = described.map(|service| service.limits).unwrap_or_default();
        let by_hand = settings.scale.get(service).copied().unwrap_or_default();
        Resources {
            cpu_millicores: own
                .cpu_millicores
                .map(|cpu| by_hand.cpu_millicores.unwrap_or(cpu)),
            memory_bytes: by_hand.memory_bytes.or(own.memory_bytes),
        }
    }

    /// What each frontend of a service is reckoned to need: what `scale` set by hand, else the
    /// manifest's.
    #[must_use]
    pub fn requests(&self, service: &ServiceName, settings: &Settings) -> Resources {
        let described = self.manifest.services.get(service);
        let own = described
            .map(|service| service.requests)
            .unwrap_or_default();
        let by_hand = settings.scale.get(service).copied().unwrap_or_default();
        Resources {
            cpu_millicores: by_hand.cpu_millicores.or(own.cpu_millicores),
            memory_bytes: by_hand.memory_bytes.or(own.memory_bytes),
        }
    }

    /// Whether the count of a service may follow the load: it is no agent, and its bounds leave a
    /// choice.
    #[must_use]
    pub fn is_elastic(&self, service: &ServiceName, settings: &Settings) -> bool {
        let Limits { min, max } = self.bounds(service, settings);
        let described = self.manifest.services.get(service);
        min < max && described.is_some_and(|service| !service.agent)
    }

    /// Whether the environment scales this service, in contrast to its own manifest entry.
    #[must_use]
    pub fn scaled_by_environment(&self, service: &ServiceName) -> bool {
        self.manifest
            .services
            .get(service)
            .is_some_and(|s| s.scale.is_none())
    }
}

/// Checks what [`EnvironmentName::parse`] does not: no verb of the grammar, nothing that reads as a
/// git name (surface.md D).
pub fn check_name(app: &AppName, name: &EnvironmentName) -> Result<(), Rejection> {
    let text = name.as_str();
    let hex = text.len() >= 7 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let problem = if reserved(text) {
        "is a word of the command language"
    } else if hex {
        "reads as the name of a commit"
    } else {
        return Ok(());
    };
    Err(Rejection::new(
        Code::InvalidName,
        format!("environment name {text:?} {problem}"),
    )
    .hint(format!(
        "choose another: fleet env create {text}-env -a {app}"
    )))
}

fn reserved(name: &str) -> bool {
    RESERVED.binary_search(&name).is_ok()
}

/// Sorted. Variable verbs, environment verbs, words that read as a release, and those kept for later;
/// the command line has the same list.
const RESERVED: &[&str] = &[
    "activate",
    "active",
    "all",
    "autoscaling",
    "cache",
    "cancel",
    "cert",
    "clone",
    "create",
    "deactivate",
    "describe",
    "destroy",
    "edit",
    "export",
    "get",
    "guard",
    "healthcheck",
    "help",
    "import",
    "limits",
    "list",
    "load",
    "lock",
    "maintenance",
    "mask",
    "newrelic",
    "nfs",
    "none",
    "previous",
    "promote",
    "protected",
    "recycling",
    "redirect",
    "rename",
    "restart",
    "rollback",
    "scale",
    "sectionio",
    "set",
    "solr",
    "unload",
    "unlock",
    "unset",
    "varnish",
    "wait",
    "whitelist",
    "workers",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_words_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted());
        assert!(reserved("autoscaling") && !reserved("staging"));
    }
}
