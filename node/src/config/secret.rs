//! The shared secret of a cluster and how it rides on every call between nodes.
//!
//! Frontends share the loopback of their node, so every port of fleet asks for it, also there.
//! It is one secret for the whole cluster until nodes have certificates.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::{Request, Status};

use super::write_atomic;

/// 32 bytes as 64 hexadecimal digits. Never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("could not read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("could not write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("not a cluster secret: 64 hexadecimal digits expected")]
    Form,
}

impl Secret {
    /// A new one from the randomness of the operating system.
    pub fn generate() -> Self {
        use std::fmt::Write as _;
        let bytes: [u8; 32] = rand::random();
        let mut text = String::with_capacity(64);
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        Self(text.into())
    }

    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let text = std::fs::read_to_string(path).map_err(|source| SecretError::Read {
            path: path.to_owned(),
            source,
        })?;
        text.parse()
    }

    /// Mode 0600, replaced atomically.
    pub fn write(&self, path: &Path) -> Result<(), SecretError> {
        write_atomic(path, format!("{}\n", self.0).as_bytes(), 0o600).map_err(|source| {
            SecretError::Write {
                path: path.to_owned(),
                source,
            }
        })
    }

    /// The digits, to be written to a file or told to the operator who asked for them.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Attaches the secret to every call of a client.
    pub fn client(&self) -> BearerClient {
        let value = format!("Bearer {}", self.0).parse::<MetadataValue<Ascii>>();
        BearerClient(value.ok().map(|mut value| {
            value.set_sensitive(true);
            value
        }))
    }

    /// Refuses every call that does not carry the secret.
    pub fn server(&self) -> BearerServer {
        BearerServer(digest(self.0.as_bytes()))
    }
}

impl FromStr for Secret {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(SecretError::Form);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// See [`Secret::client`].
#[derive(Clone, Debug)]
pub struct BearerClient(Option<MetadataValue<Ascii>>);

impl Interceptor for BearerClient {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        // Hexadecimal digits always make a header value.
        let value = self
            .0
            .clone()
            .ok_or_else(|| Status::internal("secret is not a header"))?;
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

/// See [`Secret::server`].
#[derive(Clone)]
pub struct BearerServer([u8; 32]);

impl BearerServer {
    /// Whether an `authorization` header carries the secret.
    ///
    /// Digests are compared, all 32 bytes of them, so that the time taken tells nothing about
    /// how much of a guess was right.
    pub fn admits(&self, header: Option<&[u8]>) -> bool {
        let offered = header
            .and_then(|header| header.strip_prefix(b"Bearer "))
            .unwrap_or_default();
        let pairs = self.0.iter().zip(digest(offered));
        let difference = pairs.fold(0u8, |seen, (ours, theirs)| seen | (ours ^ theirs));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for BearerServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerServer(…)")
    }
}

impl Interceptor for BearerServer {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let header = request
            .metadata()
            .get("authorization")
            .map(MetadataValue::as_bytes);
        if self.admits(header) {
            return Ok(request);
        }
        // One sentence for a missing and for a wrong one.
        Err(Status::unauthenticated("missing or wrong cluster secret"))
    }
}

fn digest(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}
