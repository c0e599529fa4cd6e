#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    mem::ManuallyDrop,
    process::Command,
    time::{Duration, SystemTime},
};

use super::*;
use crate::blobs::digest;

const HOUR: Duration = Duration::from_secs(3600);

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 1 << 20).unwrap();
    (dir, store)
}

fn content(store: &Store, digest: &Digest) -> Option<Vec<u8>> {
    let mut file = store.open_verified(digest).unwrap()?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    Some(content)
}

#[test]
fn what_was_put_is_found_under_its_digest_also_after_reopening() {
    let (dir, store) = store();
    let stored = store.put(&b"hello"[..]).unwrap();
    assert_eq!(stored.digest, digest::of(b"hello"));
    assert!(!stored.was_here);
    assert!(store.put(&b"hello"[..]).unwrap().was_here);
    assert_eq!(
        store.list().unwrap(),
        [Object {
            digest: stored.digest.clone(),
            size: 5
        }]
    );

    drop(store);
    let store = Store::open(dir.path(), 1 << 20).unwrap();
    assert_eq!(content(&store, &stored.digest).unwrap(), b"hello");
    assert_eq!(store.size(&stored.digest).unwrap(), Some(5));
    assert!(store.remove(&stored.digest).unwrap());
    assert!(!store.remove(&stored.digest).unwrap());
    assert_eq!(content(&store, &stored.digest), None);
}

#[test]
fn an_upload_leaves_nothing_when_dropped_and_nothing_after_a_crash() {
    let (dir, store) = store();
    let incoming = || {
        std::fs::read_dir(dir.path().join("incoming"))
            .unwrap()
            .count()
    };
    let mut upload = store.begin().unwrap();
    upload.write(b"half").unwrap();
    assert_eq!(incoming(), 1);
    drop(upload);
    assert_eq!(incoming(), 0);

    // A killed process runs no destructor.
    let mut upload = store.begin().unwrap();
    upload.write(b"half").unwrap();
    let _upload = ManuallyDrop::new(upload);
    assert_eq!(incoming(), 1);
    // The upload keeps the store alive and with it the lock, as a dead process would not.
    std::fs::remove_file(dir.path().join("lock")).unwrap();
    let reopened = Store::open(dir.path(), 1 << 20).unwrap();
    assert_eq!(incoming(), 0);
    assert_eq!(reopened.list().unwrap(), []);
}

#[test]
fn a_directory_is_open_once() {
    let (dir, store) = store();
    assert!(matches!(
        Store::open(dir.path(), 1),
        Err(Error::InUse { .. })
    ));
    drop(store);
    assert!(Store::open(dir.path(), 1).is_ok());
}

#[test]
fn one_flipped_bit_makes_an_object_missing_and_a_new_copy_heals_it() {
    let (dir, store) = store();
    let digest = store.put(&b"hello"[..]).unwrap().digest;
    let object = dir.path().join("objects").join(digest.as_str());
    std::fs::write(&object, b"hellp").unwrap();

    assert_eq!(content(&store, &digest), None);
    assert!(!store.has(&digest));
    let kept = dir.path().join("quarantine").join(digest.as_str());
    assert_eq!(std::fs::read(kept).unwrap(), b"hellp");

    store.put(&b"hello"[..]).unwrap();
    assert_eq!(content(&store, &digest).unwrap(), b"hello");

    // Damage nobody has noticed yet is healed by an upload of the same content, too.
    std::fs::write(&object, b"hellp").unwrap();
    store.put(&b"hello"[..]).unwrap();
    assert_eq!(content(&store, &digest).unwrap(), b"hello");
}

#[test]
fn the_limit_is_exact() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 5).unwrap();
    assert!(store.put(&b"12345"[..]).is_ok());
    assert!(matches!(
        store.put(&b"123456"[..]),
        Err(Error::TooLarge { largest: 5 })
    ));
}

#[test]
fn collection_spares_the_referenced_the_young_and_the_confirmed() {
    let (dir, store) = store();
    let digests = [&b"a"[..], b"b", b"c"].map(|bytes| store.put(bytes).unwrap().digest);
    let [referenced, confirmed, forgotten] = &digests;
    let referenced = BTreeSet::from([referenced.clone()]);
    let now = SystemTime::now();
    let collect = |now| store.collect(&referenced, HOUR, now).unwrap();

    assert_eq!(collect(now), Collected::default());
    assert_eq!(collect(now - 2 * HOUR), Collected::default());

    for digest in &digests {
        let object = dir.path().join("objects").join(digest.as_str());
        File::options()
            .write(true)
            .open(object)
            .unwrap()
            .set_modified(now - 2 * HOUR)
            .unwrap();
    }
    assert!(store.confirm(confirmed).unwrap());
    let removed = vec![Object {
        digest: forgotten.clone(),
        size: 1,
    }];
    assert_eq!(collect(now), Collected { removed, freed: 1 });
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn quarantined_bytes_go_after_a_while() {
    let (dir, store) = store();
    let digest = store.put(&b"a"[..]).unwrap().digest;
    store.quarantine(&digest).unwrap();
    let kept = || {
        std::fs::read_dir(dir.path().join("quarantine"))
            .unwrap()
            .count()
    };
    let now = SystemTime::now();
    store
        .collect(&BTreeSet::new(), HOUR, now + QUARANTINE_KEPT / 2)
        .unwrap();
    assert_eq!(kept(), 1);
    store
        .collect(&BTreeSet::new(), HOUR, now + QUARANTINE_KEPT + HOUR)
        .unwrap();
    assert_eq!(kept(), 0);
}

/// Names the directory of [`a_full_disk_refuses_and_stays_readable`] in the process that has a
/// small file system mounted there.
const SMALL_DISK: &str = "FLEET_TEST_SMALL_DISK";

/// A real full disk: the test runs itself again inside a mount namespace of its own, on a tmpfs of
/// 1 MiB that goes when the process does. Needs root, as the suite has on CI; says so otherwise.
#[test]
fn a_full_disk_refuses_and_stays_readable() {
    if let Some(dir) = std::env::var_os(SMALL_DISK) {
        return fill(Path::new(&dir));
    }
    let dir = tempfile::tempdir().unwrap();
    let script = r#"mount -t tmpfs -o size=1m none "$FLEET_TEST_SMALL_DISK" || exit 77
        exec "$0" --exact blobs::store::tests::a_full_disk_refuses_and_stays_readable"#;
    let outcome = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .env(SMALL_DISK, dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&outcome.stdout).into_owned();
    if matches!(outcome.status.code(), Some(77)) || !rustix::process::geteuid().is_root() {
        return;
    }
    assert!(
        outcome.status.success() && said.contains("1 passed"),
        "{said}"
    );
}

fn fill(dir: &Path) {
    let store = Store::open(dir, 16 << 20).unwrap();
    let small = store.put(&b"small"[..]).unwrap().digest;
    let error = store.put(io::repeat(7).take(4 << 20)).unwrap_err();
    assert!(matches!(error, Error::NoSpace { .. }), "{error:?}");
    assert_eq!(content(&store, &small).unwrap(), b"small");
    // What the refused upload had taken is free again.
    store.put(io::repeat(7).take(512 << 10)).unwrap();
}
