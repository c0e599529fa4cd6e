//! Archives nobody thought of.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt as _};

use proptest::prelude::*;

use super::{
    build::{Tar, gzip, zstd},
    *,
};

fn name() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec!["a", "b", "c", "..", ".", "", "a\0b"]);
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"))
}

/// Kinds that mostly pass, so that sequences of several entries are accepted often enough.
fn kind() -> impl Strategy<Value = u8> {
    prop::sample::select(b"00001122255xLg6".to_vec())
}

fn tar() -> impl Strategy<Value = Vec<u8>> {
    let entry = (kind(), name(), name(), "[a-z]{0,3}");
    prop::collection::vec(entry, 0..8).prop_map(|entries| {
        let add = |tar: Tar, (kind, name, link, body): (u8, String, String, String)| {
            let body = if matches!(kind, b'0' | b'L') {
                body.as_bytes()
            } else {
                b""
            };
            let link = if matches!(kind, b'1' | b'2') {
                link.as_str()
            } else {
                ""
            };
            tar.entry(kind, &name, link, body)
        };
        entries.into_iter().fold(Tar::new(), add).end()
    })
}

/// Where a path leads when links are followed, checked by hand: every step must stay below `root`.
fn stays_inside(root: &Path, link: &Path) -> bool {
    let target = fs::read_link(link).unwrap();
    let mut at = link.parent().unwrap().to_owned();
    for part in target.components() {
        match part {
            std::path::Component::ParentDir => {
                at = at.canonicalize().unwrap_or(at);
                at.pop();
            }
            std::path::Component::CurDir => {}
            std::path::Component::Normal(name) => at.push(name),
            _ => return false,
        }
        if !at
            .canonicalize()
            .map_or(at.starts_with(root), |real| real.starts_with(root))
        {
            return false;
        }
    }
    true
}

fn visit(root: &Path, dir: &Path, found: &mut BTreeMap<PathBuf, u64>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            visit(root, &path, found);
        } else if metadata.is_symlink() {
            assert!(
                stays_inside(root, &path),
                "{} leads outside",
                path.display()
            );
        } else {
            assert!(metadata.is_file());
            found.insert(path.strip_prefix(root).unwrap().to_owned(), metadata.len());
        }
    }
}

/// The regular files another parser sees; hard links are looked up.
fn listing(archive: &[u8]) -> BTreeMap<PathBuf, u64> {
    let plain = |path: &Path| {
        path.components()
            .filter(|part| part.as_os_str() != ".")
            .collect()
    };
    let mut found: BTreeMap<PathBuf, u64> = BTreeMap::new();
    for entry in tar::Archive::new(archive).entries().unwrap() {
        let entry = entry.unwrap();
        let name: PathBuf = plain(Path::new(std::ffi::OsStr::from_bytes(&entry.path_bytes())));
        let kind = entry.header().entry_type();
        if kind.is_file() {
            found.insert(name, entry.size());
        } else if kind.is_hard_link() {
            let target: PathBuf = plain(&entry.link_name().unwrap().unwrap());
            found.insert(name, found[&target]);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    /// Whatever is accepted lies inside, leads nowhere else, and is what another parser sees.
    #[test]
    fn entries_in_any_order_stay_inside(archive in tar()) {
        let place = Place::new();
        let unpacked = place.unpack(&archive, &Limits::default()).map_err(said);
        let looked = inspect(&archive[..], &Limits::default()).map(|found| found.totals);
        prop_assert_eq!(looked.map_err(said), unpacked.clone());
        if unpacked.is_ok() {
            let root = place.tree().canonicalize().unwrap();
            let mut found = BTreeMap::new();
            visit(&root, &root, &mut found);
            prop_assert_eq!(found, listing(&archive));
        }
    }

    /// Damage of any kind is an answer, never a panic and never a file outside.
    #[test]
    fn damage_is_refused_or_harmless(
        archive in tar(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        packing in 0..3,
    ) {
        let mut bytes = match packing {
            0 => archive,
            1 => gzip(&archive),
            _ => zstd(&archive),
        };
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if cut.index(2) == 0 {
            bytes.truncate(cut.index(bytes.len()));
        }
        let unpacked = Place::new().unpack(&bytes, &Limits::default()).map_err(said);
        match inspect(&bytes[..], &Limits::default()) {
            Ok(found) => prop_assert_eq!(Ok(found.totals), unpacked),
            Err(error) => prop_assert!(unpacked.is_err() || said(error).contains("fleet.yml")),
        }
    }
}
