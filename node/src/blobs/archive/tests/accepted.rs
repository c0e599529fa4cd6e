//! Archives as honest tools write them, and what becomes of them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use super::{
    build::{Tar, gzip, header, summed, zstd},
    *,
};

fn unpacked(archive: &[u8]) -> (Place, PathBuf) {
    let place = Place::new();
    place
        .unpack(archive, &Limits::default())
        .map_err(said)
        .unwrap();
    let tree = place.tree();
    (place, tree)
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn files_directories_and_links_inside() {
    let tar = Tar::new()
        .directory("./")
        .directory("bin/")
        .file("./bin/run", "#!/bin/sh\n")
        .directory("bin")
        .file("a//b/./c", "deep")
        .symlink("bin/up", "../a/b/c")
        .symlink("loop", "loop")
        .hard_link("copy", "a/b/c")
        .symlink("nowhere", "a/missing");
    for archive in [tar.end()]
        .iter()
        .flat_map(|tar| [tar.clone(), gzip(tar), zstd(tar)])
    {
        let (_place, tree) = unpacked(&archive);
        assert_eq!(fs::read_to_string(tree.join("bin/up")).unwrap(), "deep");
        assert_eq!(fs::read_to_string(tree.join("copy")).unwrap(), "deep");
        let inode = |name| fs::metadata(tree.join(name)).unwrap().ino();
        assert_eq!(inode("copy"), inode("a/b/c"));
        assert_eq!(fs::read_link(tree.join("loop")).unwrap(), Path::new("loop"));
        assert_eq!(mode(&tree), 0o755);
        assert_eq!(mode(&tree.join("a/b")), 0o755);
    }
}

#[test]
fn of_the_mode_only_executable_stays_and_the_date_survives() {
    let mut setuid = header(b'0', b"s", b"", 0);
    setuid[100..108].copy_from_slice(b"0006755\0");
    let mut secret = header(b'0', b"secret", b"", 0);
    secret[100..108].copy_from_slice(b"0000600\0");
    let mut open = header(b'5', b"d", b"", 0);
    open[100..108].copy_from_slice(b"0001777\0");
    let tar = Tar::new()
        .raw(summed(setuid), b"")
        .raw(summed(secret), b"")
        .raw(summed(open), b"");
    let (_place, tree) = unpacked(&tar.end());
    assert_eq!(mode(&tree.join("s")), 0o755);
    assert_eq!(mode(&tree.join("secret")), 0o644);
    assert_eq!(mode(&tree.join("d")), 0o755);
    assert_eq!(fs::metadata(tree.join("s")).unwrap().mtime(), 0o14000000000);
}

#[test]
fn long_names_of_all_dialects_and_names_that_are_not_text() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let gnu = Tar::new().entry(b'L', "././@LongLink", "", format!("{long}\0").as_bytes());
    let pax = Tar::new().pax(&[
        ("path", &long),
        ("mtime", "1.5"),
        ("SCHILY.xattr.user.a", "b"),
    ]);
    for tar in [gnu, pax] {
        let (_place, tree) = unpacked(&tar.file("short", "x").end());
        assert!(tree.join(&long).is_file());
    }
    let mut split = header(b'0', b"f", b"", 0);
    split[345..348].copy_from_slice(b"a/b");
    let latin = Tar::new()
        .raw(summed(split), b"")
        .raw(header(b'0', b"caf\xe9", b"", 0), b"");
    let (_place, tree) = unpacked(&latin.end());
    assert!(tree.join("a/b/f").is_file());
    let name = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(b"caf\xe9");
    assert!(tree.join(name).is_file());
}

#[test]
fn what_git_and_tar_write() {
    let global = Tar::empty().entry(b'g', "pax_global_header", "", b"16 comment=8ef9\n");
    unpacked(&global.file("fleet.yml", "services: {}\n").end());

    let source = tempfile::tempdir().unwrap();
    fs::write(source.path().join("fleet.yml"), "services: {}\n").unwrap();
    fs::create_dir_all(source.path().join("x".repeat(150))).unwrap();
    std::os::unix::fs::symlink("fleet.yml", source.path().join("link")).unwrap();
    for format in ["gnu", "pax", "ustar"] {
        if format == "ustar" {
            // Cannot name it.
            fs::remove_dir(source.path().join("x".repeat(150))).unwrap();
        }
        let tar = std::process::Command::new("tar")
            .args(["--create", "--gzip", "--format", format, "--directory"])
            .arg(source.path())
            .arg(".")
            .output()
            .unwrap();
        let (_place, tree) = unpacked(&tar.stdout);
        assert_eq!(
            fs::read_to_string(tree.join("link")).unwrap(),
            "services: {}\n"
        );
    }
}

#[test]
fn the_manifest_is_found_and_fleets_goes_first() {
    let look = |tar: Tar| {
        let found = inspect(&tar.end()[..], &Limits::default())
            .map_err(said)
            .unwrap();
        (found.manifest_name, found.manifest)
    };
    let both = Tar::empty()
        .file("./convox.yml", "c")
        .file("./fleet.yml", "f");
    assert_eq!(look(both), ("fleet.yml".into(), "f".into()));
    let convox = Tar::empty()
        .file("convox.yml", "c")
        .file("a/fleet.yml", "f");
    assert_eq!(look(convox), ("convox.yml".into(), "c".into()));
    let totals = inspect(&Tar::new().end()[..], &Limits::default())
        .unwrap()
        .totals;
    assert_eq!(
        totals,
        Totals {
            entries: 1,
            unpacked: 2048
        }
    );
}

#[test]
fn a_place_that_is_taken_stays_as_it_is_and_leftovers_go() {
    let (place, tree) = unpacked(&Tar::new().end());
    let again = unpack(
        &Tar::new().file("new", "").end()[..],
        &tree,
        &Limits::default(),
    );
    assert!(matches!(again, Err(Error::Exists { .. })));
    assert!(!tree.join("new").exists());

    let leftover = tree.with_file_name(".unpacking-0");
    fs::create_dir(&leftover).unwrap();
    fs::write(leftover.join("half"), "").unwrap();
    // A leftover is in nobody's way until it goes.
    unpack(
        &Tar::new().end()[..],
        &tree.with_file_name("b"),
        &Limits::default(),
    )
    .unwrap();
    remove_leftovers(tree.parent().unwrap()).unwrap();
    assert_eq!(names_in(tree.parent().unwrap()), ["app", "b"]);
    place.assert_untouched_outside();
}
