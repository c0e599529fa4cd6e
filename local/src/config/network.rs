//! A network as `10.0.0.0/8`, or one address.

pub use fleet_model::network::{Network, NetworkError};
