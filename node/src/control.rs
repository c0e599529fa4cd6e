//! The control process: the replicated state and everything that reads or changes it.

pub mod codec;
mod convert;
pub mod state_machine;
