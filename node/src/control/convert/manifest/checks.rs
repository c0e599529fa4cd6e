//! Health, liveness and startup.

use fleet_model::{
    manifest::{Health, Liveness, Startup, Timings},
    time::Millis,
};
use fleet_proto::stored;

use crate::control::convert::{DecodeError, Stored, required};

impl Stored for Health {
    type Wire = stored::Health;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            path,
            grpc,
            interval,
            timeout,
            start_deadline,
        } = self;
        stored::Health {
            path: path.clone(),
            grpc: *grpc,
            interval_ms: interval.0,
            timeout_ms: timeout.0,
            start_deadline_ms: start_deadline.0,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Health {
            path,
            interval_ms,
            timeout_ms,
            start_deadline_ms,
            grpc,
        } = wire;
        Ok(Self {
            path,
            grpc,
            interval: Millis(interval_ms),
            timeout: Millis(timeout_ms),
            start_deadline: Millis(start_deadline_ms),
        })
    }
}

impl Stored for Liveness {
    type Wire = stored::Liveness;

    fn to_stored(&self) -> Self::Wire {
        let Self { path, timings } = self;
        stored::Liveness {
            path: path.clone(),
            timings: Some(timings.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Liveness { path, timings } = wire;
        Ok(Self {
            path,
            timings: required(timings, "liveness.timings")?,
        })
    }
}

impl Stored for Startup {
    type Wire = stored::Startup;

    fn to_stored(&self) -> Self::Wire {
        let Self { path, timings } = self;
        stored::Startup {
            path: path.clone(),
            timings: Some(timings.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Startup { path, timings } = wire;
        Ok(Self {
            path,
            timings: required(timings, "startup.timings")?,
        })
    }
}

impl Stored for Timings {
    type Wire = stored::Timings;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            grace,
            interval,
            timeout,
            success,
            failure,
        } = *self;
        stored::Timings {
            grace_ms: grace.0,
            interval_ms: interval.0,
            timeout_ms: timeout.0,
            success,
            failure,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Timings {
            grace_ms,
            interval_ms,
            timeout_ms,
            success,
            failure,
        } = wire;
        Ok(Self {
            grace: Millis(grace_ms),
            interval: Millis(interval_ms),
            timeout: Millis(timeout_ms),
            success,
            failure,
        })
    }
}
