//! Looks at an archive without unpacking it.

use std::io::Read;

use super::{
    Error, Limits, Totals,
    name::Name,
    stream::Body,
    walk::{Mode, Sink, walk},
};

/// Names a manifest may have, the first one found in this order being the app's.
pub const MANIFESTS: [&str; 2] = ["fleet.yml", "convox.yml"];

/// An archive that may be unpacked, and its manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub totals: Totals,
    /// One of [`MANIFESTS`].
    pub manifest_name: String,
    /// As written; [`crate::manifest`] reads it.
    pub manifest: String,
}

/// Reads all of `reader` and refuses what [`super::unpack`] would refuse, and an archive without a
/// manifest.
pub fn inspect(reader: impl Read, limits: &Limits) -> Result<Inspection, Error> {
    let mut look = Look {
        limits: *limits,
        manifests: [None, None],
        top: Top::default(),
    };
    let totals = walk(reader, limits, &mut look)?;
    let found = MANIFESTS
        .iter()
        .zip(look.manifests)
        .find_map(|(name, text)| Some((name, text?)));
    let Some((name, text)) = found else {
        return Err(Error::NoManifest {
            below: look.top.manifest(),
        });
    };
    let name = (*name).to_owned();
    match String::from_utf8(text) {
        Ok(manifest) => Ok(Inspection {
            totals,
            manifest_name: name,
            manifest,
        }),
        Err(_) => Err(Error::ManifestNotText { name }),
    }
}

struct Look {
    limits: Limits,
    /// Bytes of those of [`MANIFESTS`] seen at the root.
    manifests: [Option<Vec<u8>>; 2],
    top: Top,
}

/// Which of [`MANIFESTS`] `name` is.
fn position(name: &[u8]) -> Option<usize> {
    MANIFESTS
        .iter()
        .position(|manifest| manifest.as_bytes() == name)
}

impl Look {
    /// Anything but a regular file under a manifest's name is refused: it would be read now and
    /// mean something else later.
    fn not_a_manifest(&mut self, name: &Name) -> Result<(), Error> {
        self.top.see(name);
        match position(name.bytes()) {
            Some(found) => Err(Error::ManifestNotAFile {
                name: MANIFESTS[found].to_owned(),
            }),
            None => Ok(()),
        }
    }
}

impl Sink for Look {
    fn directory(&mut self, name: &Name) -> Result<(), Error> {
        self.not_a_manifest(name)
    }

    fn file(&mut self, name: &Name, _: Mode, body: &mut Body<'_, '_>) -> Result<(), Error> {
        self.top.see(name);
        let Some(found) = position(name.bytes()) else {
            return Ok(());
        };
        let mut text = Vec::new();
        let mut buffer = [0; 16 << 10];
        loop {
            match body.read(&mut buffer)? {
                0 => break,
                read => text.extend_from_slice(&buffer[..read]),
            }
            if text.len() as u64 > self.limits.manifest {
                let name = MANIFESTS[found].to_owned();
                return Err(Error::ManifestTooLarge {
                    name,
                    limit: self.limits.manifest,
                });
            }
        }
        self.manifests[found] = Some(text);
        Ok(())
    }

    fn symlink(&mut self, name: &Name, _: &[u8]) -> Result<(), Error> {
        self.not_a_manifest(name)
    }

    fn hard_link(&mut self, name: &Name, _: &Name) -> Result<(), Error> {
        self.not_a_manifest(name)
    }
}

/// Whether everything lies below one directory, for the advice when no manifest was found.
#[derive(Default)]
struct Top {
    first: Option<Vec<u8>>,
    several: bool,
    manifest: Option<String>,
}

impl Top {
    fn see(&mut self, name: &Name) {
        let bytes = name.bytes();
        let top = bytes.split(|byte| *byte == b'/').next().unwrap_or(bytes);
        self.several |= self.first.get_or_insert_with(|| top.to_vec()) != top;
        let (parent, file) = name.split();
        if parent == top && position(file).is_some() {
            self.manifest.get_or_insert_with(|| name.printable());
        }
    }

    fn manifest(self) -> Option<String> {
        self.manifest.filter(|_| !self.several)
    }
}
