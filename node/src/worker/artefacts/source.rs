//! Artefacts from the control nodes that hold them: fetched as archives, verified against their
//! names, unpacked, and the archives dropped.

use std::io;
use std::path::{Path, PathBuf};

use fleet_model::ids::Digest;

use super::Source;
use crate::blobs::{self, archive};
use crate::trust::Trust;
use crate::worker::assignment::Artefact;
use crate::worker::hands::FetchError;
use crate::worker::machine::chain;

#[derive(Clone)]
pub(crate) struct Holders {
    client: blobs::Client,
    archives: blobs::Store,
}

impl Holders {
    /// Archives on their way are kept in `directory`, artefacts will be unpacked below `artefacts`.
    pub(crate) fn open(trust: &Trust, directory: &Path, artefacts: &Path) -> anyhow::Result<Self> {
        let archives = blobs::Store::open(directory, blobs::LARGEST)?;
        std::fs::create_dir_all(artefacts)?;
        archive::remove_leftovers(artefacts)?;
        Ok(Self {
            client: blobs::Client::new(trust.clone()),
            archives,
        })
    }
}

impl Source for Holders {
    async fn unpack(&self, artefact: &Artefact, directory: &Path) -> Result<(), FetchError> {
        let object = blobs::Object {
            digest: artefact.digest.clone(),
            size: artefact.size_bytes,
        };
        let holders: Vec<_> = artefact.holders.iter().map(ToString::to_string).collect();
        let fetched = self.client.fetch(&object, &holders, &self.archives).await;
        fetched.map_err(|error| later("could not fetch the artefact", &error))?;
        let (archives, directory) = (self.archives.clone(), directory.to_owned());
        let unpacked =
            tokio::task::spawn_blocking(move || unpack(&archives, &object.digest, directory));
        match unpacked.await {
            Ok(unpacked) => unpacked,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

fn unpack(archives: &blobs::Store, digest: &Digest, directory: PathBuf) -> Result<(), FetchError> {
    let file = archives
        .open_unverified(digest)
        .map_err(|error| later("could not open the fetched artefact", &error))?;
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let file = file.ok_or_else(|| later("the fetched artefact is gone", &missing()))?;
    let unpacked = match archive::unpack(file, &directory, &archive::Limits::default()) {
        Ok(_) | Err(archive::Error::Exists { .. }) => Ok(()),
        Err(
            error @ (archive::Error::NoSpace { .. }
            | archive::Error::Write { .. }
            | archive::Error::Read { .. }),
        ) => Err(later("could not unpack the artefact", &error)),
        // The archive itself is at fault, and stays so.
        Err(error) => Err(FetchError {
            reason: format!("the artefact was refused: {}", chain(&error)),
            hopeless: true,
        }),
    };
    if let Err(error) = archives.remove(digest) {
        tracing::warn!(%digest, %error, "could not remove an archive that was unpacked");
    }
    unpacked
}

fn later(doing: &str, error: &(dyn std::error::Error + 'static)) -> FetchError {
    FetchError {
        reason: format!("{doing}: {}", chain(error)),
        hopeless: false,
    }
}
