//! Verbs of certificates.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub enum CertificateVerb {
    /// List all certificates
    List,
    /// Add one: certificate, chain and private key, from standard input or from files; or one that
    /// an authority gives and renews
    #[command(
        after_help = "Without files, three blocks of PEM are read from standard input, each ended by \
                      ^D: the certificate, its chain (may be empty), the private key. Through a pipe \
                      they may simply follow one another.\n\nWith --acme nothing is read: the \
                      certificate is ordered once an environment has it (fleet env cert ENV NAME), and \
                      again when two thirds of its life are over. Asking for it is agreeing to the \
                      authority's terms. How far it is: fleet cert list."
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
    /// Have it ordered from an authority, and renewed in time
    #[arg(long, conflicts_with_all = ["cert", "chain", "key", "force"])]
    pub acme: bool,
    /// Address of the authority's directory; without it that of Let's Encrypt
    #[arg(long, value_name = "URL", requires = "acme")]
    pub directory: Option<String>,
    /// File with the certificates by which the authority's own server is believed, instead of those
    /// that the nodes' systems believe
    #[arg(long, value_name = "FILE", requires = "acme")]
    pub directory_ca: Option<PathBuf>,
    /// Whom the authority may write to
    #[arg(long, value_name = "ADDRESS", requires = "acme")]
    pub email: Option<String>,
    /// A host it shall be for; may be repeated. Without it: the domains of its environments
    #[arg(long = "domain", value_name = "HOST", requires = "acme")]
    pub domains: Vec<String>,
    /// How the authority is shown that the hosts are ours
    #[arg(
        long,
        value_name = "METHOD",
        requires = "acme",
        default_value = "http-01"
    )]
    pub challenge: Challenge,
}

/// By the words of RFC 8555 and RFC 8737.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Challenge {
    /// A page on port 80
    #[value(name = "http-01")]
    Http,
    /// A certificate on port 443
    #[value(name = "tls-alpn-01")]
    TlsAlpn,
}
