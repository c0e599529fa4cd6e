//! `host:port`, as one node tells it to another.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// An address others can dial: a host name or an IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    host: String,
    port: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    #[error("{0:?} is not of the form host:port")]
    Form(String),
    #[error("the port of {0:?} is not a number from 1 to 65535")]
    Port(String),
    #[error("{0:?} cannot be dialled: it means every address of a machine, not one of them")]
    Wildcard(String),
}

impl Endpoint {
    /// The host without port; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The same host with another port.
    pub fn with_port(&self, port: u16) -> Self {
        Self {
            host: self.host.clone(),
            port,
        }
    }

    /// As a URI of the gRPC transport.
    pub fn uri(&self) -> String {
        format!("https://{self}")
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || EndpointError::Form(text.to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(form)?;
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        if host.is_empty() || !(bracketed || host.chars().all(plain)) {
            return Err(form());
        }
        let port = port.parse().ok().filter(|port| *port != 0);
        let port = port.ok_or_else(|| EndpointError::Port(text.to_owned()))?;
        if matches!(host, "0.0.0.0" | "[::]" | "0") {
            return Err(EndpointError::Wildcard(text.to_owned()));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl TryFrom<SocketAddr> for Endpoint {
    type Error = EndpointError;

    fn try_from(address: SocketAddr) -> Result<Self, Self::Error> {
        address.to_string().parse()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}
