//! Between the domain and its stored form (`proto/fleet/stored`), one file per noun.
//!
//! Invariants: storing is total, reading back what was stored gives an equal value, and reading
//! refuses what this version does not understand instead of guessing. Every conversion takes its
//! struct apart field by field, so that a field added to the domain cannot be forgotten here.

mod access;
mod acme;
mod answer;
mod app;
mod backup;
mod build;
mod certificate;
mod command;
mod environment;
mod event;
mod frontend;
mod loaded;
mod manifest;
mod names;
mod node;
mod release;
mod rollout;
mod scaling;
mod trust;

use fleet_model::Time;

pub(super) use self::{event::Answer, loaded::LoadedAt};
use super::codec::DecodeError;

/// A value of the domain that has a stored form.
pub(super) trait Stored: Sized {
    type Wire;

    fn to_stored(&self) -> Self::Wire;

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError>;
}

/// A field that must be there; protobuf cannot say so itself.
fn required<W, T: Stored<Wire = W>>(
    wire: Option<W>,
    field: &'static str,
) -> Result<T, DecodeError> {
    present(wire, field).and_then(T::from_stored)
}

fn present<W>(wire: Option<W>, field: &'static str) -> Result<W, DecodeError> {
    wire.ok_or(DecodeError::Missing { field })
}

fn optional<W, T: Stored<Wire = W>>(wire: Option<W>) -> Result<Option<T>, DecodeError> {
    wire.map(T::from_stored).transpose()
}

fn all_stored<'a, T: Stored + 'a>(items: impl IntoIterator<Item = &'a T>) -> Vec<T::Wire> {
    items.into_iter().map(T::to_stored).collect()
}

fn all<W, T: Stored<Wire = W>, C: FromIterator<T>>(
    wire: impl IntoIterator<Item = W>,
) -> Result<C, DecodeError> {
    wire.into_iter().map(T::from_stored).collect()
}

impl Stored for Time {
    type Wire = u64;

    fn to_stored(&self) -> u64 {
        self.0
    }

    fn from_stored(wire: u64) -> Result<Self, DecodeError> {
        Ok(Self(wire))
    }
}

/// Enums without data: one number per variant, and none that is unspecified or unknown.
macro_rules! plain_enum {
    ($model:ty, $wire:ident, $field:literal, [$($variant:ident),+ $(,)?]) => {
        impl $crate::control::convert::Stored for $model {
            type Wire = i32;

            fn to_stored(&self) -> i32 {
                match self {
                    $(Self::$variant => fleet_proto::stored::$wire::$variant as i32,)+
                }
            }

            fn from_stored(wire: i32) -> Result<Self, $crate::control::codec::DecodeError> {
                match fleet_proto::stored::$wire::try_from(wire) {
                    $(Ok(fleet_proto::stored::$wire::$variant) => Ok(Self::$variant),)+
                    Ok(fleet_proto::stored::$wire::Unspecified) | Err(_) => {
                        Err($crate::control::codec::DecodeError::Unknown {
                            field: $field,
                            value: wire,
                        })
                    }
                }
            }
        }
    };
}
use plain_enum;
