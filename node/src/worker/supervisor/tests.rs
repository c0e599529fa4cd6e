#![allow(clippy::unwrap_used)]

mod fake;
mod life;
mod property;
mod restart;
mod table;
