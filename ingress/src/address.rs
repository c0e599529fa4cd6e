//! Where a frontend listens, as its worker said it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::config::Endpoint;

/// An IP address or the name of a node, and a port. A name is looked up for each connection: a
/// node may change its address, and connections are made seldom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    Ip(SocketAddr),
    Named(Endpoint),
}

impl FromStr for Address {
    type Err = crate::config::EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(address) => Ok(Self::Ip(address)),
            Err(_) => text.parse().map(Self::Named),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Named(endpoint) => endpoint.fmt(f),
        }
    }
}

impl Address {
    /// A connection to it; the first of a name's addresses that answers.
    pub(super) async fn connect(&self) -> io::Result<tokio::net::TcpStream> {
        match self {
            Self::Ip(address) => tokio::net::TcpStream::connect(address).await,
            Self::Named(node) => tokio::net::TcpStream::connect((node.host(), node.port())).await,
        }
    }
}
