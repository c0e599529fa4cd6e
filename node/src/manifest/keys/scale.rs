//! The keys of `scale` and `deployment`.

use super::{COUNT, Key, Kind, key};

/// A hundred thousand cores and ten tebibytes: more than any machine has.
const MILLICORES: Kind = Kind::Whole(1, 100_000_000);
const MEBIBYTES: Kind = Kind::Whole(1, 10 << 20);
const FRONTENDS: Kind = Kind::Whole(*COUNT.start(), *COUNT.end());

pub(super) const SCALE: &[Key] = &[
    key(
        "autoscale",
        Kind::Anything,
        "{cpu: {threshold: 70}}",
        "thresholds of autoscaling",
    )
    .ignored(),
    key(
        "count",
        Kind::Count,
        "2-5",
        "frontends when the service is first deployed, or the bounds of their number",
    )
    .or("`min`, else 1"),
    key(
        "cpu",
        MILLICORES,
        "250",
        "thousandths of a core a frontend is reckoned to need; bounds nothing",
    ),
    key(
        "gpu",
        Kind::Anything,
        "1",
        "graphics processors of a frontend",
    )
    .refused(),
    key(
        "keda",
        Kind::Anything,
        "{triggers: []}",
        "scaling by outside events",
    )
    .ignored(),
    key(
        "limit",
        Kind::Section(LIMIT),
        "{cpu: 500, memory: 1024}",
        "what a frontend cannot exceed",
    ),
    key("max", FRONTENDS, "10", "frontends at most").or("`count`"),
    key(
        "memory",
        MEBIBYTES,
        "512",
        "MiB a frontend is reckoned to need, and its limit where `limit.memory` is not said",
    ),
    key("min", FRONTENDS, "2", "frontends at least").or("`count`"),
    key(
        "targets",
        Kind::Section(TARGETS),
        "{cpu: 70}",
        "what autoscaling aims at",
    )
    .ignored(),
    key(
        "vpa",
        Kind::Anything,
        "{updateMode: Initial}",
        "scaling of a frontend's size",
    )
    .ignored(),
];

const LIMIT: &[Key] = &[
    key("cpu", MILLICORES, "500", "thousandths of a core").or("unlimited"),
    key(
        "memory",
        MEBIBYTES,
        "1024",
        "MiB; beyond it the frontend is killed",
    )
    .or("`scale.memory`"),
];

const TARGETS: &[Key] = &[
    key("cpu", Kind::Whole(1, 1000), "70", "percent of `scale.cpu`"),
    key("custom", Kind::Anything, "[]", "measures of a provider").ignored(),
    key("external", Kind::Anything, "[]", "measures from outside").ignored(),
    key(
        "memory",
        Kind::Whole(1, 1000),
        "80",
        "percent of `scale.memory`",
    ),
    key("requests", Kind::Anything, "200", "requests per minute").ignored(),
];

pub(super) const DEPLOYMENT: &[Key] = &[
    key(
        "maximum",
        Kind::Whole(100, 200),
        "150",
        "percent of the count that old and new frontends together never exceed",
    )
    .or("200; of agents and singletons 100"),
    key(
        "minimum",
        Kind::Whole(0, 100),
        "100",
        "percent of the count that are always healthy",
    )
    .or("50; of agents and singletons 0"),
];
