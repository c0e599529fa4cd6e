//! Loaded releases and the memory of their slots.

use std::{collections::BTreeMap, sync::Arc};

use fleet_model::{
    Time,
    environment::{Failure, Loaded, LoadedStatus, Slot},
    ids::{BuildId, LoadedKey, ServiceName},
    scaling::Past,
};
use fleet_proto::stored::{self, loaded_status::Status};
use imbl::OrdMap;

use super::{
    DecodeError, Stored, optional, present,
    release::{variables_from_stored, variables_to_stored},
    required,
};

/// A loaded release with the environment it is loaded into.
pub(in crate::control) struct LoadedAt {
    pub(in crate::control) key: LoadedKey,
    pub(in crate::control) loaded: Loaded,
}

impl Stored for LoadedAt {
    type Wire = stored::Loaded;

    fn to_stored(&self) -> Self::Wire {
        let Self { key, loaded } = self;
        let Loaded {
            // The key has it.
            release: _,
            build,
            name,
            status,
            loaded,
            updated,
            since,
            manifest,
            variables,
            desired,
            slots,
            // The slots have them.
            failures: _,
            restarts,
            scaling,
            revision,
        } = loaded;
        stored::Loaded {
            key: Some(key.to_stored()),
            build: build.to_stored(),
            name: name.clone(),
            status: Some(status.to_stored()),
            loaded_ms: loaded.to_stored(),
            updated_ms: updated.to_stored(),
            since_ms: since.to_stored(),
            manifest: Some(manifest.to_stored()),
            variables: variables_to_stored(variables),
            desired: counts_to_stored(desired),
            slots: slots
                .iter()
                .map(|((service, number), slot)| slot_to_stored(service, *number, slot))
                .collect(),
            revision: *revision,
            restarts_ms: restarts
                .iter()
                .map(|(service, at)| (service.to_stored(), at.0))
                .collect(),
            scaling: scaling
                .iter()
                .map(|(service, past)| (service.to_stored(), past.to_stored()))
                .collect(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Loaded {
            key,
            build,
            name,
            status,
            loaded_ms,
            updated_ms,
            since_ms,
            manifest,
            variables,
            desired,
            slots,
            revision,
            restarts_ms,
            scaling,
        } = wire;
        let key: LoadedKey = required(key, "loaded.key")?;
        let slots: OrdMap<(ServiceName, u32), Slot> = slots
            .into_iter()
            .map(slot_from_stored)
            .collect::<Result<_, _>>()?;
        let loaded = Loaded {
            release: key.release.clone(),
            build: BuildId::from_stored(build)?,
            name,
            status: required(status, "loaded.status")?,
            loaded: Time(loaded_ms),
            updated: Time(updated_ms),
            since: Time(since_ms),
            manifest: Arc::new(required(manifest, "loaded.manifest")?),
            variables: variables_from_stored(variables),
            desired: counts_from_stored(desired)?,
            failures: slots.values().map(|slot| slot.failures).sum(),
            slots,
            restarts: restarts_ms
                .into_iter()
                .map(|(service, at)| Ok((ServiceName::from_stored(service)?, Time(at))))
                .collect::<Result<_, DecodeError>>()?,
            scaling: scaling
                .into_iter()
                .map(|(service, past)| {
                    Ok((ServiceName::from_stored(service)?, Past::from_stored(past)?))
                })
                .collect::<Result<_, DecodeError>>()?,
            revision,
        };
        Ok(Self { key, loaded })
    }
}

pub(super) fn counts_to_stored(counts: &OrdMap<ServiceName, u32>) -> BTreeMap<String, u32> {
    counts
        .iter()
        .map(|(service, count)| (service.to_stored(), *count))
        .collect()
}

pub(super) fn counts_from_stored(
    wire: BTreeMap<String, u32>,
) -> Result<OrdMap<ServiceName, u32>, DecodeError> {
    wire.into_iter()
        .map(|(service, count)| Ok((ServiceName::from_stored(service)?, count)))
        .collect()
}

impl Stored for LoadedStatus {
    type Wire = stored::LoadedStatus;

    fn to_stored(&self) -> Self::Wire {
        let status = match self {
            Self::Loading => Status::Loading(stored::Unit {}),
            Self::Running => Status::Running(stored::Unit {}),
            Self::Activating => Status::Activating(stored::Unit {}),
            Self::Active => Status::Active(stored::Unit {}),
            Self::Deactivating => Status::Deactivating(stored::Unit {}),
            Self::Unloading => Status::Unloading(stored::Unit {}),
            Self::Failed { reason } => Status::Failed(reason.clone()),
        };
        stored::LoadedStatus {
            status: Some(status),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.status, "loaded.status")? {
            Status::Loading(stored::Unit {}) => Self::Loading,
            Status::Running(stored::Unit {}) => Self::Running,
            Status::Activating(stored::Unit {}) => Self::Activating,
            Status::Active(stored::Unit {}) => Self::Active,
            Status::Deactivating(stored::Unit {}) => Self::Deactivating,
            Status::Unloading(stored::Unit {}) => Self::Unloading,
            Status::Failed(reason) => Self::Failed { reason },
        })
    }
}

fn slot_to_stored(service: &ServiceName, number: u32, slot: &Slot) -> stored::Slot {
    let Slot {
        incarnation,
        failures,
        last_failure,
    } = slot;
    stored::Slot {
        service: service.to_stored(),
        number,
        incarnation: *incarnation,
        failures: *failures,
        last_failure: last_failure.as_ref().map(Failure::to_stored),
    }
}

fn slot_from_stored(wire: stored::Slot) -> Result<((ServiceName, u32), Slot), DecodeError> {
    let stored::Slot {
        service,
        number,
        incarnation,
        failures,
        last_failure,
    } = wire;
    let slot = Slot {
        incarnation,
        failures,
        last_failure: optional(last_failure)?,
    };
    Ok(((ServiceName::from_stored(service)?, number), slot))
}

impl Stored for Failure {
    type Wire = stored::Failure;

    fn to_stored(&self) -> Self::Wire {
        let Self { at, reason, output } = self;
        stored::Failure {
            at_ms: at.to_stored(),
            reason: reason.clone(),
            output: output.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Failure {
            at_ms,
            reason,
            output,
        } = wire;
        Ok(Self {
            at: Time(at_ms),
            reason,
            output,
        })
    }
}
