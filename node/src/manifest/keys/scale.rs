//! The keys of `scale` and `deployment`.

use super::{COUNT, HOUR, Key, Kind, key};

/// A hundred thousand cores and ten tebibytes: more than any machine has.
const MILLICORES: Kind = Kind::Whole(1, 100_000_000);
const MEBIBYTES: Kind = Kind::Whole(1, 10 << 20);
const FRONTENDS: Kind = Kind::Whole(*COUNT.start(), *COUNT.end());

pub(super) const SCALE: &[Key] = &[
    key(
        "autoscale",
        Kind::Section(AUTOSCALE),
        "{cpu: {threshold: 70}}",
        "the same as `targets`, in other words",
    ),
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
        "what each frontend should have to do; the count follows, whatever policy the environment has",
    ),
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

const PERCENT: Kind = Kind::Whole(1, 1000);

const TARGETS: &[Key] = &[
    key(
        "concurrency",
        Kind::Whole(1, 1_000_000),
        "20",
        "requests in flight",
    ),
    key(
        "cpu",
        PERCENT,
        "70",
        "percent of `scale.cpu`, or of one core",
    ),
    key("custom", Kind::Anything, "[]", "measures of a provider").refused(),
    key("external", Kind::Anything, "[]", "measures from outside").refused(),
    key(
        "memory",
        PERCENT,
        "80",
        "percent of `scale.memory`, or of `scale.limit.memory`",
    ),
    key(
        "requests",
        Kind::Whole(60, 60_000_000),
        "3000",
        "requests a minute, as 60 times `rps`",
    ),
    key("rps", Kind::Whole(1, 1_000_000), "50", "requests a second"),
];

const AUTOSCALE: &[Key] = &[
    key(
        "cooldownPeriod",
        Kind::Whole(0, HOUR),
        "300",
        "seconds over which the most that was wanted counts when the number shrinks",
    )
    .or("the environment's"),
    key(
        "cpu",
        Kind::Or(&PERCENT, THRESHOLD),
        "{threshold: 70}",
        "as `targets.cpu`",
    ),
    key(
        "gpuUtilization",
        Kind::Anything,
        "{threshold: 80}",
        "how busy graphics processors are",
    )
    .refused(),
    key(
        "memory",
        Kind::Or(&PERCENT, THRESHOLD),
        "{threshold: 80}",
        "as `targets.memory`",
    ),
    key(
        "pollingInterval",
        Kind::Whole(1, HOUR),
        "30",
        "seconds between two looks; fleet looks whenever there is news",
    )
    .ignored(),
    key(
        "queueDepth",
        Kind::Anything,
        "{threshold: 10}",
        "the length of a queue",
    )
    .refused(),
];

const THRESHOLD: &[Key] = &[key("threshold", PERCENT, "70", "percent")];

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
