//! The keys at the top.

use super::{
    Key, Kind, key,
    parts::{BALANCER, RESOURCE, TIMER},
    service::SERVICE,
};

pub(crate) const TOP: &[Key] = &[
    key(
        "appSettings",
        Kind::Anything,
        "{awsLogs: {cwRetention: 31}}",
        "settings of a provider",
    )
    .ignored(),
    key(
        "balancers",
        Kind::Each(BALANCER),
        "{stream: {service: www, ports: ['5000:3000']}}",
        "load balancers that pass connections on instead of requests",
    )
    .refused(),
    key(
        "budget",
        Kind::Anything,
        "{monthly: 100}",
        "what the app may cost",
    )
    .ignored(),
    key(
        "configs",
        Kind::Anything,
        "[{id: app-config, name: app.conf}]",
        "files kept beside the variables",
    )
    .ignored(),
    key(
        "environment",
        Kind::Environment,
        "[DATABASE_URL, LOG_LEVEL=info]",
        "variables for every service: `NAME`, which must be set before a release runs, \
         `NAME=default`, or `\"*\"` for all there are",
    )
    .or("see [Variables](#variables)"),
    key(
        "labels",
        Kind::Anything,
        "{team: platform}",
        "labels of the app",
    )
    .ignored(),
    key(
        "params",
        Kind::Anything,
        "{BuildCpu: 512}",
        "parameters of the app",
    )
    .ignored(),
    key(
        "resources",
        Kind::Each(RESOURCE),
        "{main: {type: postgres}}",
        "databases and caches that belong to an environment",
    )
    .refused(),
    key(
        "services",
        Kind::Each(SERVICE),
        "{www: {command: ./serve, port: 3000}}",
        "what runs, by name",
    )
    .required(),
    key(
        "timers",
        Kind::Each(TIMER),
        "{nightly: {command: ./clean, schedule: '0 3 * * *', service: www}}",
        "commands that run by the clock",
    )
    .refused(),
];
