//! An entry of `services`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Declared, Health, Liveness, Manifest, Resources, Scale, Startup, Targets};
use crate::{ids::ServiceName, time::Millis};

/// An entry of `services`. Defaults are those of surface.md B.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// How its frontends are started; without one, its image or Dockerfile says how.
    pub command: Option<Run>,
    /// An image to run instead of what was built.
    pub image: Option<String>,
    /// How the artefact is made of the source; `None` only beside an image or where nothing is said.
    pub build: Option<Build>,
    /// A service without one has no endpoint, is not probed over the network and is healthy while
    /// it runs.
    pub port: Option<Port>,
    /// Not reachable from outside.
    pub internal: bool,
    pub health: Health,
    /// Frontends that fail it are replaced.
    pub liveness: Option<Liveness>,
    /// Asked until it passes; nothing else is asked before.
    pub startup: Option<Startup>,
    /// `None`: the environment's autoscaling bounds scale it. `Some`: the manifest does.
    pub scale: Option<Scale>,
    /// What a frontend is reckoned to need: a share, not a bound.
    pub requests: Resources,
    /// What a frontend cannot exceed.
    pub limits: Resources,
    /// What the count follows, of the requests.
    pub targets: Targets,
    /// How many frontends there are while a release is rolled out.
    pub deployment: Deployment,
    /// The old frontend stops before the new one starts.
    pub singleton: bool,
    /// One frontend on each node.
    pub agent: bool,
    /// A client keeps its frontend.
    pub sticky: bool,
    /// A reaper of orphans runs as the first process.
    pub init: bool,
    /// Runs to its end, in the place of the frontend, before the command starts.
    pub init_step: Option<Run>,
    pub lifecycle: Lifecycle,
    /// From SIGTERM to SIGKILL.
    pub termination_grace: Millis,
    /// From withdrawal to SIGTERM, for requests under way.
    pub drain: Option<Millis>,
    /// How long the ingress waits for an answer.
    pub timeout: Option<Millis>,
    /// Host names of its own, as `shop.example.org` or `*.example.org`.
    pub domains: Vec<String>,
    /// Networks of the clients that are let in, as `10.0.0.0/8`; empty: everybody is.
    pub whitelist: Vec<String>,
    /// Variables declared for this service alone.
    pub environment: Declared,
    /// Names of the resources it is linked to.
    pub resources: Vec<String>,
    /// Labels a node must carry.
    pub node_selector: BTreeMap<String, String>,
    /// Labels a node should carry.
    pub node_affinity: Vec<Affinity>,
    /// Keys that ask for what does not exist yet, as `volumes`; see
    /// [`super::Manifest::unsupported`].
    pub later: BTreeSet<String>,
}

/// How something is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Run {
    /// One string, as Convox writes it: handed to `/bin/sh -c`.
    Shell(String),
    /// A list: executed as it is, no shell involved.
    Argv(Vec<String>),
}

impl fmt::Display for Run {
    /// For people: as written, words parted by blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell(line) => f.write_str(line),
            Self::Argv(words) => f.write_str(&words.join(" ")),
        }
    }
}

/// How source becomes an artefact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// Directory of the source, seen from the manifest.
    pub path: String,
    /// The Dockerfile, seen from `path`.
    pub manifest: String,
    /// Arguments of the Dockerfile and of the step, by name, with defaults as given.
    pub args: BTreeMap<String, String>,
    /// A step to run on the source before it becomes the artefact. `None`: it is one as it is.
    pub command: Option<Run>,
}

impl Default for Build {
    fn default() -> Self {
        Self {
            path: ".".to_owned(),
            manifest: "Dockerfile".to_owned(),
            args: BTreeMap::new(),
            command: None,
        }
    }
}

/// A step to run on the source, and the service whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStep<'a> {
    pub service: &'a ServiceName,
    pub build: &'a Build,
    pub command: &'a Run,
}

impl Manifest {
    /// What is to be run on the source, in the order of the services' names. Services that ask for
    /// the same share one step, told under the first of their names.
    #[must_use]
    pub fn source_steps(&self) -> Vec<SourceStep<'_>> {
        let mut steps: Vec<SourceStep<'_>> = Vec::new();
        for (service, of) in &self.services {
            let Some(build) = &of.build else { continue };
            let Some(command) = &build.command else {
                continue;
            };
            if !steps.iter().any(|step| step.build == build) {
                steps.push(SourceStep {
                    service,
                    build,
                    command,
                });
            }
        }
        steps
    }
}

/// Port and scheme a service speaks; the number is what the app would choose by itself, the worker
/// hands the real one over in `PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    pub scheme: Scheme,
    pub number: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
    Grpc,
    /// gRPC over TLS.
    SecureGrpc,
}

impl Scheme {
    pub const ALL: [Self; 4] = [Self::Http, Self::Https, Self::Grpc, Self::SecureGrpc];
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Grpc => "grpc",
            Self::SecureGrpc => "secure-grpc",
        })
    }
}

/// Bounds of a rolling update, in percent of the count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// Healthy frontends are never fewer; 0 to 100.
    pub minimum: u32,
    /// Frontends of old and new together are never more; 100 to 200.
    pub maximum: u32,
}

impl Deployment {
    /// For agents and singletons: two of them at once are what they must not be.
    pub const ONE_AT_A_TIME: Self = Self {
        minimum: 0,
        maximum: 100,
    };
}

impl Default for Deployment {
    fn default() -> Self {
        Self {
            minimum: 50,
            maximum: 200,
        }
    }
}

/// What runs beside the command, in the place of the frontend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lifecycle {
    /// Before SIGTERM, within the termination grace.
    pub pre_stop: Option<Run>,
    /// As soon as the command runs.
    pub post_start: Option<Run>,
}

/// A label that draws frontends to a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// 1 to 100; those of all matching labels are summed.
    pub weight: u32,
    pub label: String,
    pub value: String,
}

/// SIGTERM to SIGKILL where the manifest says nothing (surface.md B.4, `termination.grace`).
pub const DEFAULT_TERMINATION_GRACE: Millis = Millis::seconds(30);

impl Service {
    /// A service that says nothing but how it is started.
    #[must_use]
    pub fn new(command: Run) -> Self {
        Self {
            command: Some(command),
            ..Self::default()
        }
    }

    /// Whether a node with these labels may have its frontends.
    #[must_use]
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut wanted = self.node_selector.iter();
        wanted.all(|(label, value)| labels.get(label) == Some(value))
    }

    /// Whether its frontends are spoken to in HTTP/2 from the first byte.
    #[must_use]
    pub fn speaks_http2(&self) -> bool {
        let scheme = self.port.as_ref().map(|port| port.scheme);
        scheme == Some(Scheme::Grpc)
    }

    /// Whether the ingress routes to it.
    #[must_use]
    pub fn public(&self) -> bool {
        self.port.is_some() && !self.internal
    }
}

impl Default for Service {
    fn default() -> Self {
        Self {
            command: None,
            image: None,
            build: None,
            port: None,
            internal: false,
            health: Health::default(),
            liveness: None,
            startup: None,
            scale: None,
            requests: Resources::default(),
            limits: Resources::default(),
            targets: Targets::default(),
            deployment: Deployment::default(),
            singleton: false,
            agent: false,
            sticky: false,
            // surface.md B.4, `init`.
            init: true,
            init_step: None,
            lifecycle: Lifecycle::default(),
            termination_grace: DEFAULT_TERMINATION_GRACE,
            drain: None,
            timeout: None,
            domains: Vec::new(),
            whitelist: Vec::new(),
            environment: Declared::default(),
            resources: Vec::new(),
            node_selector: BTreeMap::new(),
            node_affinity: Vec::new(),
            later: BTreeSet::new(),
        }
    }
}
