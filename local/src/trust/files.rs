//! What lies on the disk of a node: `trust/` below its data directory, mode 0700, and every file
//! with a key in it 0600 from its first byte on.

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet_trust::{
    CertificateDer, CredentialsError, NodeKey, Seal, SealError, certificates_from_pem,
    certificates_to_pem, key_from_pem, key_to_pem,
};
use serde::{Deserialize, Serialize};

use crate::config::{Paths, write_atomic};

#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    #[error("could not read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("could not write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} does not hold {what}")]
    Form { path: PathBuf, what: &'static str },
    #[error("{path} does not hold the key of a cluster")]
    ClusterKey { path: PathBuf, source: SealError },
}

/// Why a node cannot show who it is.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error(transparent)]
    Files(#[from] FilesError),
    #[error("the certificate of this node cannot be used")]
    Credentials(#[from] CredentialsError),
}

/// A certificate with its key, in one file, so that one is never replaced without the other.
#[derive(Debug)]
pub struct Certified {
    pub certificate: CertificateDer<'static>,
    pub key: NodeKey,
    pub begins: SystemTime,
    pub expires: SystemTime,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CertifiedFile {
    begins_unix_ms: u64,
    expires_unix_ms: u64,
    certificate: String,
    key: String,
}

impl Certified {
    pub fn read(paths: &Paths) -> Result<Self, FilesError> {
        let path = paths.certificate();
        let form = || FilesError::Form {
            path: path.clone(),
            what: "a certificate with its key",
        };
        let file: CertifiedFile = toml::from_str(&read(&path)?).map_err(|_| form())?;
        let certificates = certificates_from_pem(&file.certificate).map_err(|_| form())?;
        Ok(Self {
            certificate: certificates.into_iter().next().ok_or_else(form)?,
            key: key_from_pem(&file.key).ok_or_else(form)?,
            begins: UNIX_EPOCH + Duration::from_millis(file.begins_unix_ms),
            expires: UNIX_EPOCH + Duration::from_millis(file.expires_unix_ms),
        })
    }

    pub fn write(&self, paths: &Paths) -> Result<(), FilesError> {
        let file = CertifiedFile {
            begins_unix_ms: unix_ms(self.begins),
            expires_unix_ms: unix_ms(self.expires),
            certificate: certificates_to_pem([&self.certificate]),
            key: key_to_pem(&self.key),
        };
        write_toml(&paths.certificate(), &file, paths)
    }
}

/// The authority of a cluster in the making, until it is part of the replicated state.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founding {
    certificate: String,
    /// Hexadecimal digits of the sealed key: no key lies open, not even for a moment.
    sealed_key: String,
}

impl Founding {
    #[must_use]
    pub fn new(certificate: &CertificateDer<'static>, sealed_key: &[u8]) -> Self {
        Self {
            certificate: certificates_to_pem([certificate]),
            sealed_key: sealed_key.iter().map(|b| format!("{b:02x}")).collect(),
        }
    }

    pub fn write(&self, paths: &Paths) -> Result<(), FilesError> {
        write_toml(&paths.founding(), self, paths)
    }

    /// Certificate and sealed key of the authority; `None` where nothing is being founded.
    pub fn read(paths: &Paths) -> Result<Option<(CertificateDer<'static>, Vec<u8>)>, FilesError> {
        let path = paths.founding();
        let form = || FilesError::Form {
            path: path.clone(),
            what: "an authority",
        };
        let text = match read(&path) {
            Err(FilesError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Ok(None);
            }
            text => text?,
        };
        let file: Self = toml::from_str(&text).map_err(|_| form())?;
        let certificates = certificates_from_pem(&file.certificate).map_err(|_| form())?;
        let certificate = certificates.into_iter().next().ok_or_else(form)?;
        let digits = file.sealed_key.as_bytes().chunks(2).map(|pair| {
            let pair = std::str::from_utf8(pair).ok()?;
            u8::from_str_radix(pair, 16).ok()
        });
        let sealed_key = digits.collect::<Option<Vec<u8>>>().ok_or_else(form)?;
        Ok(Some((certificate, sealed_key)))
    }
}

pub fn write_authorities(
    paths: &Paths,
    authorities: &[CertificateDer<'static>],
) -> Result<(), FilesError> {
    write(
        &paths.authorities(),
        &certificates_to_pem(authorities),
        paths,
    )
}

pub(super) fn read_authorities(paths: &Paths) -> Result<Vec<CertificateDer<'static>>, FilesError> {
    let path = paths.authorities();
    certificates_from_pem(&read(&path)?).map_err(|_| FilesError::Form {
        path,
        what: "certificates",
    })
}

pub fn write_cluster_key(paths: &Paths, key: &Seal) -> Result<(), FilesError> {
    write(&paths.cluster_key(), &format!("{}\n", key.reveal()), paths)
}

/// # Errors
/// Also on a node without the control role, which has none.
pub fn read_cluster_key(paths: &Paths) -> Result<Seal, FilesError> {
    let path = paths.cluster_key();
    Seal::parse(&read(&path)?).map_err(|source| FilesError::ClusterKey { path, source })
}

pub fn write_operator_token(paths: &Paths, token: &str) -> Result<(), FilesError> {
    write(&paths.operator_token(), &format!("{token}\n"), paths)
}

/// `None` on a node that does not have it.
#[must_use]
pub fn read_operator_token(paths: &Paths) -> Option<String> {
    let token = std::fs::read_to_string(paths.operator_token()).ok()?;
    Some(token.trim().to_owned())
}

/// The key of a join that may have got through unheard, or a new one: the cluster gives a
/// certificate for a repeated request only to the key of the first.
pub fn read_joining_key(paths: &Paths) -> Result<NodeKey, FilesError> {
    let path = paths.joining_key();
    match read(&path) {
        Err(FilesError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            let failed = |error| FilesError::Write {
                path: path.clone(),
                source: io::Error::other(error),
            };
            let key = NodeKey::generate().map_err(failed)?;
            write(&path, &key_to_pem(&key), paths)?;
            Ok(key)
        }
        text => key_from_pem(&text?).ok_or(FilesError::Form {
            path,
            what: "a key",
        }),
    }
}

/// Changes whenever one of the files is replaced.
pub(super) fn stamp(paths: &Paths) -> [Option<(u64, i64, i64)>; 2] {
    let of = |path: PathBuf| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.ino(), file.mtime(), file.mtime_nsec()))
    };
    [of(paths.certificate()), of(paths.authorities())]
}

fn write_toml(path: &Path, file: &impl Serialize, paths: &Paths) -> Result<(), FilesError> {
    let text = toml::to_string(file).map_err(|error| FilesError::Write {
        path: path.to_owned(),
        source: io::Error::other(error),
    })?;
    write(path, &text, paths)
}

fn write(path: &Path, text: &str, paths: &Paths) -> Result<(), FilesError> {
    let mut directory = std::fs::DirBuilder::new();
    let made = directory.recursive(true).mode(0o700).create(paths.trust());
    made.and_then(|()| write_atomic(path, text.as_bytes(), 0o600))
        .map_err(|source| FilesError::Write {
            path: path.to_owned(),
            source,
        })
}

fn read(path: &Path) -> Result<String, FilesError> {
    std::fs::read_to_string(path).map_err(|source| FilesError::Read {
        path: path.to_owned(),
        source,
    })
}

fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
