//! What people and nodes ask for.

use std::sync::Arc;

use fleet_model::{
    command::{NewBuild, Registration, Scale, VariableChange},
    ids::{AppName, Digest, EnvironmentKey, EnvironmentName, NodeId},
};
use fleet_proto::stored;

use crate::control::convert::{DecodeError, Stored, all, all_stored, optional, required};

impl Stored for Registration {
    type Wire = stored::Registration;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            address,
            roles,
            labels,
            architecture,
            id,
        } = self;
        stored::Registration {
            name: name.clone(),
            address: address.clone(),
            roles: all_stored(roles),
            labels: labels.clone(),
            architecture: architecture.clone(),
            id: id.map(|id| id.0),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Registration {
            name,
            address,
            roles,
            labels,
            architecture,
            id,
        } = wire;
        Ok(Self {
            name,
            address,
            roles: all(roles)?,
            labels,
            architecture,
            id: id.map(NodeId),
        })
    }
}

impl Stored for NewBuild {
    type Wire = stored::NewBuild;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            app,
            name,
            message,
            digest,
            size,
            manifest,
            holder,
            environment,
            description,
        } = self;
        stored::NewBuild {
            app: app.to_stored(),
            name: name.clone(),
            message: message.clone(),
            digest: digest.to_stored(),
            size: *size,
            manifest: Some(manifest.to_stored()),
            holder: holder.0,
            environment: environment.as_ref().map(EnvironmentName::to_stored),
            description: description.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::NewBuild {
            app,
            name,
            message,
            digest,
            size,
            manifest,
            holder,
            environment,
            description,
        } = wire;
        Ok(Self {
            app: AppName::from_stored(app)?,
            name,
            message,
            digest: Digest::from_stored(digest)?,
            size,
            manifest: Arc::new(required(manifest, "create_build.manifest")?),
            holder: NodeId(holder),
            environment: optional(environment)?,
            description,
        })
    }
}

/// A change of variables with the environment it is made in.
pub(super) fn change_to_stored(
    environment: &EnvironmentKey,
    change: &VariableChange,
) -> stored::SetVariables {
    let VariableChange {
        set,
        unset,
        replace,
        base,
    } = change;
    stored::SetVariables {
        environment: Some(environment.to_stored()),
        set: set
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        unset: all_stored(unset),
        replace: *replace,
        base: base.clone(),
    }
}

pub(super) fn change_from_stored(
    wire: stored::SetVariables,
) -> Result<(EnvironmentKey, VariableChange), DecodeError> {
    let stored::SetVariables {
        environment,
        set,
        unset,
        replace,
        base,
    } = wire;
    let change = VariableChange {
        set: set
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        unset: all(unset)?,
        replace,
        base,
    };
    Ok((required(environment, "set_variables.environment")?, change))
}

impl Stored for Scale {
    type Wire = stored::ScaleService;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            environment,
            service,
            count,
            min,
            max,
            cpu_millicores,
            memory_bytes,
        } = self;
        stored::ScaleService {
            environment: Some(environment.to_stored()),
            service: service.clone(),
            count: *count,
            min: *min,
            max: *max,
            cpu_millicores: *cpu_millicores,
            memory_bytes: *memory_bytes,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::ScaleService {
            environment,
            service,
            count,
            min,
            max,
            cpu_millicores,
            memory_bytes,
        } = wire;
        Ok(Self {
            environment: required(environment, "scale.environment")?,
            service,
            count,
            min,
            max,
            cpu_millicores,
            memory_bytes,
        })
    }
}

pub(super) fn switch_to_stored(environment: &EnvironmentKey, on: bool) -> stored::SetSwitch {
    stored::SetSwitch {
        environment: Some(environment.to_stored()),
        on,
    }
}

pub(super) fn promote_to_stored(
    environment: &EnvironmentKey,
    reference: Option<&String>,
    force: bool,
) -> stored::Promote {
    stored::Promote {
        environment: Some(environment.to_stored()),
        reference: reference.cloned(),
        force,
    }
}

pub(super) fn create_from_to_stored(
    environment: &EnvironmentKey,
    build_from: &str,
    variables_from: &str,
) -> stored::CreateFrom {
    stored::CreateFrom {
        environment: Some(environment.to_stored()),
        build_from: build_from.to_owned(),
        variables_from: variables_from.to_owned(),
    }
}

pub(super) fn activate_to_stored(
    environment: &EnvironmentKey,
    reference: &str,
    now: bool,
) -> stored::Activate {
    stored::Activate {
        environment: Some(environment.to_stored()),
        reference: reference.to_owned(),
        now,
    }
}

pub(super) fn load_to_stored(environment: &EnvironmentKey, reference: &str) -> stored::Load {
    stored::Load {
        environment: Some(environment.to_stored()),
        reference: reference.to_owned(),
    }
}

pub(super) fn unload_to_stored(environment: &EnvironmentKey, reference: &str) -> stored::Unload {
    stored::Unload {
        environment: Some(environment.to_stored()),
        reference: reference.to_owned(),
    }
}
