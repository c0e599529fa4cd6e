//! Verbs of whitelists, and the limits of environments.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum WhitelistVerb {
    /// List all whitelists
    List,
    /// Make one; it allows nobody yet
    Create { name: String },
    /// Allow an address or a network, as 192.0.2.7 or 10.0.0.0/8
    Allow {
        name: String,
        #[arg(value_name = "CIDR")]
        network: String,
    },
    /// Allow it no longer; requests on open connections are refused too
    Revoke {
        name: String,
        #[arg(value_name = "CIDR")]
        network: String,
    },
    /// Print the rules of one
    Describe { name: String },
    /// Destroy one that no environment has
    Destroy { name: String },
}

/// What is asked of an environment at most.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub struct LimitOptions {
    /// Requests in flight, or OFF
    #[arg(long, value_name = "N", value_parser = number)]
    pub in_flight: Option<u32>,
    /// Requests a second, and how many may come at once (else a second's worth); or OFF
    #[arg(long, value_name = "N[,BURST]")]
    pub rate: Option<Rate>,
    /// Requests in flight of each client address, or OFF
    #[arg(long, value_name = "N", value_parser = number)]
    pub address_in_flight: Option<u32>,
    /// Requests a second of each client address, or OFF
    #[arg(long, value_name = "N[,BURST]")]
    pub address_rate: Option<Rate>,
}

/// A second's requests, and how many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// 0: any number.
    pub per_second: u32,
    pub burst: u32,
}

impl std::str::FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rate, burst) = match text.split_once(',') {
            None => (text, text),
            Some((_, "0")) => return Err("the burst must be at least 1".to_owned()),
            Some((rate, burst)) => (rate, burst),
        };
        Ok(Self {
            per_second: number(rate)?,
            burst: number(burst)?,
        })
    }
}

/// OFF is 0 on the wire.
fn number(text: &str) -> Result<u32, String> {
    if text.eq_ignore_ascii_case("OFF") {
        return Ok(0);
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| "not a number of at least 1, nor OFF".to_owned())
}
