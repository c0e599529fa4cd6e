//! Verbs of certificates.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum CertificateVerb {
    /// List all certificates
    List,
    /// Add one: certificate, chain and private key, from standard input or from files
    #[command(
        after_help = "Without files, three blocks of PEM are read from standard input, each ended by \
                      ^D: the certificate, its chain (may be empty), the private key. Through a pipe \
                      they may simply follow one another."
    )]
    Add(CertificateAdd),
    /// Print one with its chain, as PEM; for self-signed, what clients must trust
    Show { name: String },
    /// Remove one that no environment has
    Remove { name: String },
}

#[derive(Debug, Args)]
pub struct CertificateAdd {
    pub name: String,
    /// File with the certificate, and its chain behind it if there is no --chain
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// File with the chain, beginning with the one that signed the certificate
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub chain: Option<PathBuf>,
    /// File with the private key, not encrypted
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Put it in the place of the one of that name, wherever that is shown
    #[arg(long)]
    pub replace: bool,
    /// Take it although it is expired or not valid yet
    #[arg(long)]
    pub force: bool,
}
