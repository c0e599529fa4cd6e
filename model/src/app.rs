//! Apps: what is released.

use crate::{
    Time,
    ids::{AppName, EnvironmentName},
};

/// A thing that is released. `prod` is created with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    pub name: AppName,
    pub created: Time,
    /// The environment meant by commands that name none.
    pub default_environment: EnvironmentName,
    /// Guards deletion (`apps lock`).
    pub locked: bool,
    /// Log index of the last change.
    pub revision: u64,
}
