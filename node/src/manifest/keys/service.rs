//! The keys of a service.

use fleet_model::manifest::Scheme;

use super::{
    HOUR, Key, Kind,
    checks::{HEALTH, LIVENESS, STARTUP},
    key,
    scale::{DEPLOYMENT, SCALE},
};

/// The names of [`Scheme::ALL`], which a test compares.
pub(crate) const SCHEMES: &[&str] = &["http", "https", "grpc", "secure-grpc"];
const _: () = assert!(SCHEMES.len() == Scheme::ALL.len());

pub(super) const SERVICE: &[Key] = &[
    key("accessControl", Kind::Anything, "{}", "rights with a cloud provider").ignored(),
    key(
        "agent",
        Kind::Or(&Kind::Flag, AGENT),
        "true",
        "one frontend on each node instead of a count; each is told its node's address in \
         `INSTANCE_IP`",
    )
    .or("false"),
    key("annotations", Kind::Anything, "[a=b]", "notes for the platform").ignored(),
    key(
        "build",
        Kind::Or(&Kind::Text, BUILD),
        "{command: make}",
        "the directory of the source, or how the artefact is made of it",
    )
    .or("`.`"),
    key("certificate", Kind::Anything, "{duration: 2160h}", "the certificate of `domain`").ignored(),
    key(
        "command",
        Kind::Run,
        "[./serve, --quiet]",
        "how a frontend is started: a text is a line for `/bin/sh -c`, a list is executed as it is; \
         without one, the release is refused when it is loaded",
    ),
    key("configMounts", Kind::Anything, "[{id: app-config}]", "files put in place").refused(),
    key(
        "deployment",
        Kind::Section(DEPLOYMENT),
        "{minimum: 100, maximum: 150}",
        "bounds of a rolling update",
    ),
    key("disableHostUsers", Kind::Anything, "true", "user namespaces of a provider").ignored(),
    key("dnsConfig", Kind::Anything, "{ndots: 5}", "how names are looked up").ignored(),
    key(
        "domain",
        Kind::Domains,
        "'shop.example.org, www.example.org'",
        "host names of its own, as a list or parted by commas; a first label may be `*`; they lead \
         to the active release",
    ),
    key(
        "drain",
        Kind::Whole(0, HOUR),
        "30",
        "seconds from leaving the routes to SIGTERM, for requests under way",
    ),
    key(
        "environment",
        Kind::Environment,
        "[QUEUE, WORKERS=2]",
        "variables for this service alone, as at the top",
    )
    .or("see [Variables](#variables)"),
    key(
        "grpcHealthEnabled",
        Kind::Flag,
        "true",
        "health is asked by gRPC (`grpc.health.v1.Health`) instead of by `health.path`",
    )
    .or("false"),
    key(
        "health",
        Kind::Or(&Kind::Path, HEALTH),
        "/health",
        "whether a frontend is ready for requests",
    )
    .or("a TCP connection to the port"),
    key("image", Kind::Text, "nginx:1.27", "an image to run instead of the artefact").refused(),
    key("imagePullSecrets", Kind::Anything, "[]", "access to registries").ignored(),
    key("ingressAnnotations", Kind::Anything, "[a=b]", "notes for the platform's ingress").ignored(),
    key(
        "init",
        Kind::Flag,
        "true",
        "a reaper of orphaned processes; fleet always has one",
    )
    .or("true"),
    key(
        "initContainer",
        Kind::Section(INIT),
        "{command: ./migrate}",
        "a step that must end well before the command starts",
    ),
    key("internal", Kind::Flag, "true", "no route leads to it from outside").or("false"),
    key(
        "internalRouter",
        Kind::Flag,
        "true",
        "the same as `internal`; not both",
    )
    .or("false"),
    key("labels", Kind::Anything, "{tier: web}", "labels of the service").ignored(),
    key(
        "lifecycle",
        Kind::Section(LIFECYCLE),
        "{preStop: ./deregister}",
        "commands beside the life of a frontend",
    ),
    key(
        "liveness",
        Kind::Section(LIVENESS),
        "{path: /alive}",
        "whether a frontend still works; one that does not is ended and replaced",
    ),
    key(
        "nodeAffinityLabels",
        Kind::Items(AFFINITY),
        "[{weight: 10, label: disk, value: ssd}]",
        "labels a node should carry; weights of those it does are summed",
    ),
    key(
        "nodeSelectorLabels",
        Kind::Labels,
        "{disk: ssd}",
        "labels a node must carry",
    ),
    key(
        "port",
        Kind::Or(&Kind::Port, PORT),
        "https:3000",
        "number, or scheme and number, the app would choose by itself; it must listen on `$PORT`; \
         with `grpc` it is spoken to in HTTP/2",
    )
    .or("none: no endpoint, healthy while it runs"),
    key("ports", Kind::Anything, "[5000, 5001/udp]", "further ports").refused(),
    key("privileged", Kind::Flag, "true", "all rights on the node").or("false").refused(),
    key("resources", Kind::Texts, "[main]", "resources whose addresses it is told"),
    key(
        "scale",
        Kind::Or(&Kind::Count, SCALE),
        "2-5",
        "how many frontends, and how large; a mapping without `count`, `min` and `max` leaves their \
         number to the environment",
    )
    .or("the environment's autoscaling limits decide"),
    key("securityContext", Kind::Anything, "{runAsNonRoot: true}", "rights; fleet gives none").ignored(),
    key(
        "singleton",
        Kind::Flag,
        "true",
        "never two at once: the old frontend stops before the new one starts, and ends by itself 10 s after control was last heard",
    )
    .or("false"),
    key(
        "startupProbe",
        Kind::Section(STARTUP),
        "{path: /started, failureThreshold: 30}",
        "whether a frontend has come up; nothing else is asked before",
    ),
    key(
        "sticky",
        Kind::Flag,
        "true",
        "a client keeps its frontend, by a cookie, for as long as that is healthy",
    )
    .or("false"),
    key(
        "termination",
        Kind::Section(TERMINATION),
        "{grace: 60}",
        "how a frontend ends",
    ),
    key("test", Kind::Anything, "make test", "how it is tested").ignored(),
    key(
        "timeout",
        Kind::Whole(1, 24 * HOUR),
        "120",
        "seconds the ingress waits for an answer to begin; of an upload, since its last byte",
    )
    .or("60"),
    key("tls", Kind::Anything, "{redirect: true}", "whether plain requests are sent to TLS").ignored(),
    key("volumeOptions", Kind::Anything, "[]", "directories that are kept or shared").refused(),
    key("volumes", Kind::Anything, "[/data]", "directories that are kept").refused(),
    key(
        "whitelist",
        Kind::Networks,
        "'10.0.0.0/8, 192.0.2.7'",
        "networks of the clients that are let in, as a list or parted by commas; the environment's whitelist must let them in too",
    ),
];

const AGENT: &[Key] = &[
    key("enabled", Kind::Flag, "true", "whether it is one").or("true"),
    key("ports", Kind::Anything, "[8125/udp]", "further ports").refused(),
];

const BUILD: &[Key] = &[
    key(
        "args",
        Kind::Texts,
        "[VERSION=2]",
        "arguments of the Dockerfile, and what a build step is told in its environment",
    ),
    key(
        "command",
        Kind::Run,
        "make",
        "a step run in the source by a worker; what it leaves there is the artefact (docs/builds.md)",
    )
    .or("none: the source is the artefact"),
    key("manifest", Kind::Text, "Dockerfile.web", "the Dockerfile").or("Dockerfile"),
    key("path", Kind::Text, "web", "directory of the source").or("."),
];

const INIT: &[Key] = &[
    key(
        "command",
        Kind::Run,
        "./migrate",
        "runs in the place of the frontend, with its variables and `INIT_CONTAINER=true`; any status \
         but 0 fails the frontend",
    )
    .required(),
    key("configMounts", Kind::Anything, "[{id: app-config}]", "files put in place").refused(),
    key("image", Kind::Text, "migrate:1", "an image of its own").refused(),
    key("volumeOptions", Kind::Anything, "[]", "directories that are kept or shared").refused(),
];

const LIFECYCLE: &[Key] = &[
    key(
        "postStart",
        Kind::Run,
        "./register",
        "runs as soon as the command does",
    ),
    key(
        "preStop",
        Kind::Run,
        "./deregister",
        "runs before SIGTERM, within the termination grace",
    ),
];

const AFFINITY: &[Key] = &[
    key("label", Kind::Text, "disk", "the label's name").required(),
    key("value", Kind::Text, "ssd", "the label's value").required(),
    key("weight", Kind::Whole(1, 100), "10", "how much it draws").or("1"),
];

pub(super) const PORT: &[Key] = &[
    key("port", Kind::Port, "3000", "the number").required(),
    key("scheme", Kind::Choice(SCHEMES), "https", "the scheme").or("http"),
];

const TERMINATION: &[Key] = &[key(
    "grace",
    Kind::Whole(0, HOUR),
    "60",
    "seconds from SIGTERM to SIGKILL",
)
.or("30")];
