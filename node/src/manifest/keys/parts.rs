//! The keys of timers, resources and balancers: read so that a manifest can be checked before they
//! exist.

use super::{Key, Kind, key};

pub(super) const TIMER: &[Key] = &[
    key(
        "annotations",
        Kind::Anything,
        "[a=b]",
        "notes for the platform",
    ),
    key("command", Kind::Run, "./clean", "what runs").required(),
    key(
        "concurrency",
        Kind::Choice(&["Allow", "Forbid", "Replace"]),
        "Forbid",
        "what happens when it is due and still runs; in any case of letters",
    )
    .or("Allow"),
    key(
        "parallelCount",
        Kind::Whole(1, 1000),
        "2",
        "how many run at once, told apart by `TIMER_INDEX`",
    )
    .or("1"),
    key(
        "schedule",
        Kind::Text,
        "'0 3 * * *'",
        "minute, hour, day, month and weekday, in UTC",
    )
    .required(),
    key("service", Kind::Text, "www", "the service it runs beside").required(),
];

pub(super) const RESOURCE: &[Key] = &[
    key(
        "image",
        Kind::Text,
        "postgres:16",
        "an image instead of the type's own",
    ),
    key(
        "options",
        Kind::Anything,
        "{storage: 20}",
        "version, storage and the like",
    ),
    key("provider", Kind::Text, "aws", "who provides it"),
    key(
        "type",
        Kind::Text,
        "postgres",
        "postgres, mysql, mariadb, redis, memcached or postgis",
    )
    .required(),
];

pub(super) const BALANCER: &[Key] = &[
    key(
        "annotations",
        Kind::Anything,
        "[a=b]",
        "notes for the platform",
    ),
    key(
        "ports",
        Kind::Anything,
        "['5000:3000']",
        "port outside and port of the service",
    ),
    key("service", Kind::Text, "www", "whom it serves").required(),
    key(
        "whitelist",
        Kind::Networks,
        "10.0.0.0/8",
        "networks that are let in",
    ),
];
