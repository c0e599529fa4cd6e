//! Every key a manifest may have (surface.md B.4).

pub(super) const TOP: &[&str] = &[
    "appSettings",
    "balancers",
    "budget",
    "configs",
    "environment",
    "labels",
    "resources",
    "services",
    "timers",
];

pub(super) const SERVICE: &[&str] = &[
    "accessControl",
    "agent",
    "annotations",
    "build",
    "certificate",
    "command",
    "configMounts",
    "deployment",
    "dnsConfig",
    "domain",
    "drain",
    "environment",
    "grpcHealthEnabled",
    "health",
    "image",
    "imagePullSecrets",
    "ingressAnnotations",
    "init",
    "initContainer",
    "internal",
    "internalRouter",
    "labels",
    "lifecycle",
    "liveness",
    "nodeAffinityLabels",
    "nodeSelectorLabels",
    "port",
    "ports",
    "privileged",
    "resources",
    "scale",
    "securityContext",
    "singleton",
    "startupProbe",
    "sticky",
    "termination",
    "test",
    "timeout",
    "tls",
    "volumeOptions",
    "volumes",
    "whitelist",
];

pub(super) const HEALTH: &[&str] = &["disable", "grace", "interval", "path", "port", "timeout"];

pub(super) const SCALE: &[&str] = &[
    "autoscale",
    "count",
    "cpu",
    "gpu",
    "keda",
    "limit",
    "max",
    "memory",
    "min",
    "targets",
    "vpa",
];

pub(super) const TERMINATION: &[&str] = &["grace"];

/// The known key that `key` was most likely meant to be.
pub(super) fn nearest(key: &str, known: &[&'static str]) -> Option<&'static str> {
    // Of the right word in another case nothing is wrong but the case.
    if let Some(same) = known.iter().find(|known| known.eq_ignore_ascii_case(key)) {
        return Some(same);
    }
    let scored = known
        .iter()
        .map(|known| (strsim::jaro_winkler(key, known), *known));
    let (score, best) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    // Below this, suggestions are worse than none ("ports" for "pots", nothing for "foo").
    (score > 0.8).then_some(best)
}
