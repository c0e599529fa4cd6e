//! Names, ids and keys: text and numbers, checked on the way in.

use std::sync::Arc;

use fleet_model::ids::{
    AppName, BuildId, Digest, EnvironmentKey, EnvironmentName, FrontendId, InvalidName, LoadedKey,
    NodeId, ReleaseId, RequestId, RolloutId, ServiceName,
};
use fleet_proto::stored;

use super::{DecodeError, Stored, required};

macro_rules! text {
    ($($type:ty, $field:literal, $parse:expr;)+) => {$(
        impl Stored for $type {
            type Wire = String;

            fn to_stored(&self) -> String {
                self.as_str().to_owned()
            }

            fn from_stored(wire: String) -> Result<Self, DecodeError> {
                let parse: fn(&str) -> Option<$type> = $parse;
                parse(&wire).ok_or_else(|| DecodeError::Invalid { field: $field, value: wire })
            }
        }
    )+};
}

fn valid<T>(name: Result<T, InvalidName>) -> Option<T> {
    name.ok()
}

text! {
    AppName, "app", |text| valid(Self::parse(text));
    EnvironmentName, "environment", |text| valid(Self::parse(text));
    ServiceName, "service", |text| valid(Self::parse(text));
    ReleaseId, "release", Self::parse;
    BuildId, "build", Self::parse;
    Digest, "digest", Self::parse;
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Stored for $type {
            type Wire = u64;

            fn to_stored(&self) -> u64 {
                self.0
            }

            fn from_stored(wire: u64) -> Result<Self, DecodeError> {
                Ok(Self(wire))
            }
        }
    )+};
}

numbers!(NodeId, FrontendId, RolloutId);

impl Stored for RequestId {
    type Wire = String;

    fn to_stored(&self) -> String {
        self.0.as_ref().to_owned()
    }

    fn from_stored(wire: String) -> Result<Self, DecodeError> {
        Ok(Self(wire.into()))
    }
}

impl Stored for Arc<str> {
    type Wire = String;

    fn to_stored(&self) -> String {
        self.as_ref().to_owned()
    }

    fn from_stored(wire: String) -> Result<Self, DecodeError> {
        Ok(wire.into())
    }
}

impl Stored for EnvironmentKey {
    type Wire = stored::EnvironmentKey;

    fn to_stored(&self) -> Self::Wire {
        let Self { app, name } = self;
        stored::EnvironmentKey {
            app: app.to_stored(),
            name: name.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::EnvironmentKey { app, name } = wire;
        Ok(Self {
            app: AppName::from_stored(app)?,
            name: EnvironmentName::from_stored(name)?,
        })
    }
}

impl Stored for LoadedKey {
    type Wire = stored::LoadedKey;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            environment,
            release,
        } = self;
        stored::LoadedKey {
            environment: Some(environment.to_stored()),
            release: release.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::LoadedKey {
            environment,
            release,
        } = wire;
        Ok(Self {
            environment: required(environment, "loaded.environment")?,
            release: ReleaseId::from_stored(release)?,
        })
    }
}
