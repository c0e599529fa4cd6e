//! Why bytes could not be understood.

/// Bytes that are not what this version of fleet stores.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not protobuf, or not of this message.
    #[error("failed decoding {what}")]
    Malformed {
        what: &'static str,
        source: prost::DecodeError,
    },
    /// Written by a newer fleet, or by none.
    #[error("{what} has version {found}, this fleet reads version {known}")]
    Version {
        what: &'static str,
        found: u32,
        known: u32,
    },
    #[error("{field} is missing")]
    Missing { field: &'static str },
    /// An enum value this version has no name for.
    #[error("{field} has the unknown value {value}")]
    Unknown { field: &'static str, value: i32 },
    #[error("{field} cannot be {value:?}")]
    Invalid { field: &'static str, value: String },
    /// Records of a state that are not in their one order.
    #[error("record {record} of the state is out of order")]
    Order { record: u64 },
    #[error("the state ends after {records} records, before its end")]
    Truncated { records: u64 },
    #[error("failed reading the state")]
    Read(#[from] std::io::Error),
}
