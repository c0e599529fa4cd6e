//! Directories: one deterministic tar. Owners and times are left out, permissions are reduced to
//! "executable or not", links are kept as links, and entries come sorted, so equal content gives
//! equal bytes on every machine.

use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Read as _, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tar::{Builder, EntryType, Header};

use super::ignored::walk;
use super::{Hashing, Kept, Package, Scratch};
use crate::failure::Failure;

/// Packs what is not ignored; the release is named by the digest of its content.
pub(super) fn pack(root: &Path) -> Result<Package, Failure> {
    let paths = walk(root)?;
    if paths.is_empty() {
        return Err(Failure::usage(format!(
            "{} holds nothing to release",
            root.display()
        )));
    }
    let (scratch, file) = Scratch::create()?;
    let (sha256, size) = write(root, &paths, BufWriter::new(file))?;
    Ok(Package {
        name: sha256[..7].to_owned(),
        commit: String::new(),
        subject: String::new(),
        sha256,
        size,
        file: Kept::Ours(scratch),
    })
}

/// Writes the tar; returns its digest and length.
fn write(root: &Path, paths: &[PathBuf], to: impl Write) -> Result<(String, u64), Failure> {
    let mut tar = Builder::new(Hashing::new(to));
    for path in paths {
        append(&mut tar, root, path)
            .map_err(|error| Failure::failed(format!("cannot pack {}: {error}", path.display())))?;
    }
    let finished = tar
        .into_inner()
        .and_then(|mut hashing| hashing.flush().map(|()| hashing));
    let hashing =
        finished.map_err(|error| Failure::failed(format!("cannot keep the archive: {error}")))?;
    let (sha256, size, _) = hashing.finish();
    Ok((sha256, size))
}

fn append(tar: &mut Builder<impl Write>, root: &Path, path: &Path) -> io::Result<()> {
    let from = root.join(path);
    let about = fs::symlink_metadata(&from)?;
    let mut header = Header::new_gnu();
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    if about.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        header.set_size(0);
        tar.append_link(&mut header, path, fs::read_link(&from)?)
    } else if about.is_file() {
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if is_executable(&about) { 0o755 } else { 0o644 });
        header.set_size(about.len());
        // A file that grows meanwhile must not spill into the next entry; one that shrinks would
        // shift everything after it.
        let mut content = File::open(&from)?.take(about.len());
        tar.append_data(&mut header, path, &mut content)?;
        if content.limit() > 0 {
            return Err(io::Error::other("it became shorter while it was read"));
        }
        Ok(())
    } else {
        Err(io::Error::other("neither file, directory nor link"))
    }
}

fn is_executable(about: &Metadata) -> bool {
    about.permissions().mode() & 0o111 != 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    fn names(package: &Package) -> Vec<String> {
        let mut tar = tar::Archive::new(File::open(package.path()).unwrap());
        let entries = tar.entries().unwrap();
        entries
            .map(|e| e.unwrap().path().unwrap().display().to_string())
            .collect()
    }

    fn sample() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("fleet.yml", "services: {}");
        put("bin/web", "#!/bin/sh");
        put("target/junk", "x");
        put("src/tmp/kept", "x");
        put("tmp/gone", "x");
        put("tmp/back", "x");
        put(".git/HEAD", "x");
        put(".hidden", "x");
        put(".gitignore", "/target\n*.log\n");
        put("a.log", "x");
        put(".dockerignore", "# no\ntmp\n!tmp/back\n.dockerignore\n");
        symlink("web", dir.path().join("bin/link")).unwrap();
        fs::set_permissions(
            dir.path().join("bin/web"),
            fs::Permissions::from_mode(0o700),
        )
        .unwrap();
        dir
    }

    #[test]
    fn packs_what_is_not_ignored() {
        let dir = sample();
        let package = pack(dir.path()).unwrap();
        assert_eq!(
            names(&package),
            [
                ".gitignore",
                ".hidden",
                "bin/link",
                "bin/web",
                "fleet.yml",
                "src/tmp/kept",
                "tmp/back"
            ]
        );
        assert_eq!(package.name, package.sha256[..7]);
        assert_eq!(package.size, fs::metadata(package.path()).unwrap().len());
    }

    #[test]
    fn equal_content_gives_equal_bytes() {
        let (first, second) = (sample(), sample());
        let (first, second) = (pack(first.path()).unwrap(), pack(second.path()).unwrap());
        assert_eq!(first.sha256, second.sha256);
        let kept = first.path().to_owned();
        drop(first);
        assert!(!kept.exists(), "the scratch file stays behind");
    }

    #[test]
    fn sockets_and_empty_directories_are_refused() {
        let dir = sample();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("sock")).unwrap();
        let refusal = pack(dir.path()).unwrap_err();
        assert!(refusal.what.contains("sock: neither file"), "{refusal}");
        assert!(pack(tempfile::tempdir().unwrap().path()).is_err());
    }
}
