//! The keys of health, liveness and startup checks.

use super::{HOUR, Key, Kind, key};

const SECONDS: Kind = Kind::Whole(1, HOUR);
const PORT: Kind = Kind::Or(&Kind::Port, super::service::PORT);

pub(super) const HEALTH: &[Key] = &[
    key(
        "disable",
        Kind::Flag,
        "true",
        "a TCP connection to the port is enough",
    )
    .or("false"),
    key(
        "grace",
        SECONDS,
        "20",
        "seconds from start to the first healthy answer; after that the frontend counts as failed",
    )
    .or("60"),
    key("interval", SECONDS, "2", "seconds between checks").or("5"),
    key(
        "path",
        Kind::Path,
        "/health",
        "what is asked for; an answer from 200 to 399 is healthy",
    )
    .or("/"),
    key(
        "port",
        PORT,
        "3000",
        "the port that is asked; any but the service's own is refused when the release is loaded",
    )
    .or("the service's"),
    key("timeout", SECONDS, "1", "seconds to wait for an answer").or("interval − 1, at least 1"),
];

const TIMES: Kind = Kind::Whole(1, 1000);
const GRACE: Kind = Kind::Whole(0, HOUR);

pub(super) const LIVENESS: &[Key] = &[
    key(
        "failureThreshold",
        TIMES,
        "5",
        "failures in a row after which the frontend is ended and replaced; `failure` means the same",
    )
    .or("3"),
    key("failure", TIMES, "5", "the same as `failureThreshold`"),
    key(
        "grace",
        GRACE,
        "30",
        "seconds from start, or from the passing of the startup check, to the first question",
    )
    .or("10"),
    key("interval", SECONDS, "10", "seconds between checks").or("5"),
    key(
        "path",
        Kind::Path,
        "/alive",
        "what is asked for; an answer from 200 to 399 is a success",
    )
    .required(),
    key(
        "port",
        PORT,
        "3000",
        "the port that is asked; any but the service's own is refused when the release is loaded",
    )
    .or("the service's"),
    key(
        "successThreshold",
        TIMES,
        "1",
        "successes in a row that count as one; `success` means the same",
    )
    .or("1"),
    key("success", TIMES, "1", "the same as `successThreshold`"),
    key("timeout", SECONDS, "3", "seconds to wait for an answer").or("5"),
];

const AS_LIVENESS: &str = "as `liveness`";

pub(super) const STARTUP: &[Key] = &[
    key(
        "failureThreshold",
        TIMES,
        "30",
        "failures in a row after which the frontend counts as failed; `failure` means the same",
    )
    .or(AS_LIVENESS),
    key("failure", TIMES, "30", "the same as `failureThreshold`"),
    key(
        "grace",
        GRACE,
        "2",
        "seconds from start to the first question",
    )
    .or(AS_LIVENESS),
    key("interval", SECONDS, "1", "seconds between checks").or(AS_LIVENESS),
    key(
        "path",
        Kind::Path,
        "/started",
        "what is asked for; an answer from 200 to 399 is a success",
    )
    .or("a TCP connection to the port"),
    key(
        "port",
        PORT,
        "3000",
        "the port that is asked; any but the service's own is refused when the release is loaded",
    )
    .or("the service's"),
    key(
        "successThreshold",
        TIMES,
        "1",
        "successes in a row that mean it has come up; `success` means the same",
    )
    .or(AS_LIVENESS),
    key("success", TIMES, "1", "the same as `successThreshold`"),
    key(
        "tcpSocketPort",
        PORT,
        "3000",
        "the port to connect to instead of asking for a path; any but the service's own is refused \
         when the release is loaded",
    ),
    key("timeout", SECONDS, "3", "seconds to wait for an answer").or(AS_LIVENESS),
];
