//! What one node is told and knows: its settings, its identity, its certificate. The processes of a
//! node share it; what they do with it is in the crates above.

pub mod config;
pub mod trust;
