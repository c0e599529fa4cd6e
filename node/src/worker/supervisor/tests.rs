#![allow(clippy::unwrap_used)]

pub(crate) mod fake;
mod life;
mod property;
mod restart;
mod steps;
mod table;
