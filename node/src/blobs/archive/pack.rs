//! Makes an archive of a tree.
//!
//! The same tree gives the same bytes wherever and whenever it is packed: entries are sorted, they
//! have no owner, and all have one date. What the walker would refuse is not all refused here: who
//! packs a tree that others have written looks at the archive afterwards.

use std::{
    fs::{self, File, Metadata},
    io::{self, Read as _, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::OFlags;
use tar::{Builder, EntryType, Header};

/// An entry that cannot be packed.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct PackError {
    /// Inside the tree.
    pub path: PathBuf,
    pub source: io::Error,
}

/// Writes the tree below `root` as a tar archive; every entry is dated `modified`, in seconds since
/// 1970. Nobody may change the tree meanwhile.
///
/// # Errors
/// When `out` takes no more, an entry cannot be read, or it is neither file, directory nor link.
pub fn pack(root: &Path, modified: u64, out: impl Write) -> Result<(), PackError> {
    let mut tar = Builder::new(out);
    let mut found = Vec::new();
    list(root, Path::new(""), &mut found)?;
    for (path, about) in found {
        let packed = append(&mut tar, root, &path, &about, modified);
        packed.map_err(|source| PackError { path, source })?;
    }
    let whole = |source| PackError {
        path: PathBuf::from("."),
        source,
    };
    tar.into_inner()
        .and_then(|mut out| out.flush())
        .map_err(whole)
}

/// Everything below `path`, which lies in `root`; directories before what is in them.
fn list(root: &Path, path: &Path, found: &mut Vec<(PathBuf, Metadata)>) -> Result<(), PackError> {
    let failed = |source| PackError {
        path: path.to_owned(),
        source,
    };
    let entries = fs::read_dir(root.join(path)).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let about = entry.metadata().map_err(failed)?;
        let path = path.join(entry.file_name());
        let inside = about.is_dir().then(|| path.clone());
        found.push((path, about));
        if let Some(inside) = inside {
            list(root, &inside, found)?;
        }
    }
    Ok(())
}

fn append(
    tar: &mut Builder<impl Write>,
    root: &Path,
    path: &Path,
    about: &Metadata,
    modified: u64,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(modified);
    header.set_size(0);
    let from = root.join(path);
    if about.is_dir() {
        header.set_entry_type(EntryType::Directory);
        header.set_mode(0o755);
        tar.append_data(&mut header, path, io::empty())
    } else if about.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_mode(0o777);
        tar.append_link(&mut header, path, fs::read_link(&from)?)
    } else if about.is_file() {
        let executable = about.permissions().mode() & 0o111 != 0;
        header.set_entry_type(EntryType::Regular);
        header.set_mode(if executable { 0o755 } else { 0o644 });
        header.set_size(about.len());
        let mut content = open(&from)?.take(about.len());
        tar.append_data(&mut header, path, &mut content)?;
        match content.limit() {
            0 => Ok(()),
            _ => Err(io::Error::other("became shorter while it was read")),
        }
    } else {
        Err(io::Error::other("is neither file, directory nor link"))
    }
}

/// Never through a link, whatever has become of the file.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    File::options()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::{fs::symlink, net::UnixListener};

    use super::*;
    use crate::blobs::archive::{Limits, inspect, unpack};

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let long = "d".repeat(120);
        fs::create_dir_all(dir.path().join("empty")).unwrap();
        fs::create_dir_all(dir.path().join(&long).join(&long)).unwrap();
        fs::write(dir.path().join("fleet.yml"), "services: {}\n").unwrap();
        fs::write(dir.path().join(&long).join(&long).join("deep"), "deep").unwrap();
        fs::write(dir.path().join("run"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(dir.path().join("run"), fs::Permissions::from_mode(0o700)).unwrap();
        symlink("run", dir.path().join("link")).unwrap();
        dir
    }

    fn packed(dir: &Path) -> Vec<u8> {
        let mut bytes = Vec::new();
        pack(dir, 1_500_000_000, &mut bytes).unwrap();
        bytes
    }

    #[test]
    fn equal_trees_give_equal_bytes_which_unpack_to_the_same() {
        let (first, second) = (tree(), tree());
        let bytes = packed(first.path());
        assert_eq!(bytes, packed(second.path()));
        let inspected = inspect(bytes.as_slice(), &Limits::default()).unwrap();
        assert_eq!(inspected.manifest, "services: {}\n");
        let out = tempfile::tempdir().unwrap();
        let again = out.path().join("tree");
        unpack(bytes.as_slice(), &again, &Limits::default()).unwrap();
        assert_eq!(packed(&again), bytes);
        assert!(again.join("empty").is_dir());
    }

    #[test]
    fn sockets_are_refused_by_name() {
        let dir = tree();
        let _socket = UnixListener::bind(dir.path().join("agent.sock")).unwrap();
        let refusal = pack(dir.path(), 1, io::sink()).unwrap_err().to_string();
        assert_eq!(refusal, "agent.sock: is neither file, directory nor link");
    }

    #[test]
    fn links_that_leave_are_seen_by_who_looks_afterwards() {
        let dir = tree();
        symlink("/etc/passwd", dir.path().join("away")).unwrap();
        let bytes = packed(dir.path());
        let refusal = inspect(bytes.as_slice(), &Limits::default()).unwrap_err();
        assert!(refusal.to_string().contains("away"), "{refusal}");
    }
}
