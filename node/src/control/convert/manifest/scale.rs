//! Counts and shares.

use fleet_model::{
    manifest::{Affinity, Deployment, Resources, Scale, Targets},
    time::Millis,
};
use fleet_proto::stored;

use crate::control::convert::{DecodeError, Stored};

impl Stored for Scale {
    type Wire = stored::Scale;

    fn to_stored(&self) -> Self::Wire {
        let Self { count, min, max } = *self;
        stored::Scale { count, min, max }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Scale { count, min, max } = wire;
        Ok(Self { count, min, max })
    }
}

impl Stored for Resources {
    type Wire = stored::Resources;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            cpu_millicores,
            memory_bytes,
        } = *self;
        stored::Resources {
            cpu_millicores,
            memory_bytes,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Resources {
            cpu_millicores,
            memory_bytes,
        } = wire;
        Ok(Self {
            cpu_millicores,
            memory_bytes,
        })
    }
}

impl Stored for Targets {
    type Wire = stored::Targets;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown,
        } = *self;
        stored::Targets {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown_ms: cooldown.map(|cooldown| cooldown.0),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Targets {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown_ms,
        } = wire;
        Ok(Self {
            cpu_percent,
            memory_percent,
            rps,
            concurrency,
            cooldown: cooldown_ms.map(Millis),
        })
    }
}

impl Stored for Deployment {
    type Wire = stored::Deployment;

    fn to_stored(&self) -> Self::Wire {
        let Self { minimum, maximum } = *self;
        stored::Deployment { minimum, maximum }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Deployment { minimum, maximum } = wire;
        Ok(Self { minimum, maximum })
    }
}

impl Stored for Affinity {
    type Wire = stored::Affinity;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            weight,
            label,
            value,
        } = self;
        stored::Affinity {
            weight: *weight,
            label: label.clone(),
            value: value.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Affinity {
            weight,
            label,
            value,
        } = wire;
        Ok(Self {
            weight,
            label,
            value,
        })
    }
}
