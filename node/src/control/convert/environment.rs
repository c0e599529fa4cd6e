//! Environments and their settings.

use std::sync::Arc;

use fleet_model::{
    Time,
    access::RequestLimits,
    environment::{Environment, Limits, Previous, Scaling, Settings},
    ids::{ReleaseId, ServiceName},
    time::Millis,
};
use fleet_proto::stored::{self, previous};

use super::{
    DecodeError, Stored,
    access::{limit_from_stored, limit_to_stored},
    optional, present,
    release::{variables_from_stored, variables_to_stored},
    required,
};

impl Stored for Environment {
    type Wire = stored::Environment;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            key,
            created,
            updated,
            active,
            previous,
            variables,
            newest,
            settings,
            masked,
            destroying,
            revision,
        } = self;
        stored::Environment {
            key: Some(key.to_stored()),
            created_ms: created.to_stored(),
            updated_ms: updated.to_stored(),
            active: active.as_ref().map(ReleaseId::to_stored),
            previous: Some(previous.to_stored()),
            variables: variables_to_stored(variables),
            newest: newest.as_ref().map(ReleaseId::to_stored),
            settings: Some(settings.to_stored()),
            destroying: *destroying,
            revision: *revision,
            masked: masked.iter().map(ToString::to_string).collect(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Environment {
            key,
            created_ms,
            updated_ms,
            active,
            previous,
            variables,
            newest,
            settings,
            destroying,
            revision,
            masked,
        } = wire;
        Ok(Self {
            key: required(key, "environment.key")?,
            created: Time(created_ms),
            updated: Time(updated_ms),
            active: optional(active)?,
            previous: required(previous, "environment.previous")?,
            variables: variables_from_stored(variables),
            newest: optional(newest)?,
            settings: required(settings, "environment.settings")?,
            masked: masked.into_iter().map(Arc::<str>::from).collect(),
            destroying,
            revision,
        })
    }
}

impl Stored for Previous {
    type Wire = stored::Previous;

    fn to_stored(&self) -> Self::Wire {
        let previous = match self {
            Self::Never => previous::Previous::Never(stored::Unit {}),
            Self::None => previous::Previous::None(stored::Unit {}),
            Self::Release(release) => previous::Previous::Release(release.to_stored()),
        };
        stored::Previous {
            previous: Some(previous),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.previous, "environment.previous")? {
            previous::Previous::Never(stored::Unit {}) => Self::Never,
            previous::Previous::None(stored::Unit {}) => Self::None,
            previous::Previous::Release(release) => Self::Release(ReleaseId::from_stored(release)?),
        })
    }
}

impl Stored for Settings {
    type Wire = stored::Settings;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            whitelist,
            certificate,
            redirect,
            recycling,
            protected,
            maintenance,
            limits,
            requests,
            tracked_branches,
            drain,
            guard,
            scale,
            autoscaling,
        } = self;
        stored::Settings {
            whitelist: whitelist.clone(),
            certificate: certificate.clone(),
            no_redirect: !redirect,
            recycling: *recycling,
            protected: *protected,
            maintenance: *maintenance,
            limits: Some(limits.to_stored()),
            requests: limit_to_stored(requests.all),
            address_requests: limit_to_stored(requests.address),
            tracked_branches: tracked_branches.clone(),
            drain_ms: drain.0,
            guard_ms: guard.0,
            scale: scale
                .iter()
                .map(|(service, scaling)| (service.to_stored(), scaling.to_stored()))
                .collect(),
            autoscaling: Some(autoscaling.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Settings {
            whitelist,
            certificate,
            recycling,
            protected,
            maintenance,
            limits,
            tracked_branches,
            drain_ms,
            guard_ms,
            scale,
            autoscaling,
            no_redirect,
            requests,
            address_requests,
        } = wire;
        Ok(Self {
            whitelist,
            certificate,
            redirect: !no_redirect,
            recycling,
            protected,
            maintenance,
            limits: required(limits, "settings.limits")?,
            requests: RequestLimits {
                all: limit_from_stored(requests),
                address: limit_from_stored(address_requests),
            },
            tracked_branches,
            drain: Millis(drain_ms),
            guard: Millis(guard_ms),
            scale: scale
                .into_iter()
                .map(|(service, scaling)| {
                    Ok((
                        ServiceName::from_stored(service)?,
                        Scaling::from_stored(scaling)?,
                    ))
                })
                .collect::<Result<_, DecodeError>>()?,
            autoscaling: optional(autoscaling)?.unwrap_or_default(),
        })
    }
}

impl Stored for Scaling {
    type Wire = stored::Scaling;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            min,
            max,
            cpu_millicores,
            memory_bytes,
        } = *self;
        stored::Scaling {
            min,
            max,
            cpu_millicores,
            memory_bytes,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Scaling {
            min,
            max,
            cpu_millicores,
            memory_bytes,
        } = wire;
        Ok(Self {
            min,
            max,
            cpu_millicores,
            memory_bytes,
        })
    }
}

impl Stored for Limits {
    type Wire = stored::Limits;

    fn to_stored(&self) -> Self::Wire {
        let Self { min, max } = *self;
        stored::Limits { min, max }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Limits { min, max } = wire;
        Ok(Self { min, max })
    }
}
