//! Archives that must not be taken, and what is said about them.

use super::{
    build::{Tar, gzip, header, summed, zstd},
    *,
};

fn check(archive: &[u8], expected: &str) {
    assert_eq!(
        verdict(archive, &Limits::default()),
        Err(expected.to_owned())
    );
}

#[test]
fn names_that_reach_outside_or_cannot_be_kept() {
    let long = "x".repeat(256);
    let deep = "d/".repeat(64) + "f";
    let cases = [
        ("../x", r#"entry "../x" has .. in its name"#),
        ("a/../../x", r#"entry "a/../../x" has .. in its name"#),
        ("a/..", r#"entry "a/.." has .. in its name"#),
        ("/etc/x", r#"entry "/etc/x" has a name that begins with /"#),
        ("//x", r#"entry "//x" has a name that begins with /"#),
        (
            "a/",
            r#"entry "a/" is a thing named like a directory that is none"#,
        ),
        (
            ".",
            r#"entry "." is a thing named like a directory that is none"#,
        ),
        ("", r#"entry "" has an empty name"#),
    ];
    for (name, expected) in cases {
        check(&Tar::new().file(name, "x").end(), expected);
        check(&gzip(&Tar::new().file(name, "x").end()), expected);
        check(&zstd(&Tar::new().file(name, "x").end()), expected);
    }
    // What does not fit a header comes by extension.
    let long_names = [
        (
            long.as_str(),
            "has a name with a part of more than 255 bytes",
        ),
        (&deep, "lies more than 64 directories deep"),
        ("a\0b", "has a NUL byte in its name"),
    ];
    for (name, problem) in long_names {
        let shown = name.escape_debug().to_string().replace("\\0", "\\\\x00");
        let expected = format!(r#"entry "{shown}" {problem}"#);
        check(
            &Tar::new().pax(&[("path", name)]).file("x", "x").end(),
            &expected,
        );
        let gnu = format!("{name}\0");
        check(
            &Tar::new()
                .entry(b'L', "long", "", gnu.as_bytes())
                .file("x", "x")
                .end(),
            &expected,
        );
    }
    let mut block = header(b'0', b"innocent", b"", 0);
    block[50] = b'!';
    check(
        &Tar::new().raw(summed(block), b"").end(),
        r#"the archive is damaged at entry "fleet.yml": a name has bytes behind its end"#,
    );
}

#[test]
fn names_in_the_prefix_field_count_as_well() {
    let mut block = header(b'0', b"x", b"", 0);
    block[345..347].copy_from_slice(b"..");
    check(
        &Tar::new().raw(summed(block), b"").end(),
        r#"entry "../x" has .. in its name"#,
    );
}

#[test]
fn links_that_leave_or_wind() {
    let cases = [
        (
            "l",
            "/etc",
            r#"entry "l" is a link that leaves the archive, to "/etc""#,
        ),
        (
            "l",
            "..",
            r#"entry "l" is a link that leaves the archive, to "..""#,
        ),
        (
            "a/l",
            "../../x",
            r#"entry "a/l" is a link that leaves the archive, to "../../x""#,
        ),
        (
            "l",
            "",
            r#"entry "l" is a link that leaves the archive, to """#,
        ),
        (
            "l",
            "a/../../x",
            r#"entry "l" is a link to "a/../../x", with .. behind a name: where that leads depends on links"#,
        ),
    ];
    for (name, target, expected) in cases {
        check(&Tar::new().symlink(name, target).end(), expected);
    }
    // Looks as if it stayed inside until the links on its way are followed.
    check(
        &Tar::new()
            .symlink("s", ".")
            .symlink("t", "s/s/../../..")
            .end(),
        r#"entry "t" is a link to "s/s/../../..", with .. behind a name: where that leads depends on links"#,
    );
    check(
        &Tar::new().hard_link("h", "/etc/passwd").end(),
        r#"entry "h" is a link that leaves the archive, to "/etc/passwd""#,
    );
    check(
        &Tar::new().hard_link("h", "../canary").end(),
        r#"entry "h" is a link that leaves the archive, to "../canary""#,
    );
    check(
        &Tar::new().hard_link("h", "later").file("later", "").end(),
        r#"entry "h" is a hard link to "later", which is not an earlier regular file"#,
    );
    check(
        &Tar::new()
            .symlink("s", "fleet.yml")
            .hard_link("h", "s")
            .end(),
        r#"entry "h" is a hard link to "s", which is not an earlier regular file"#,
    );
}

#[test]
fn entries_behind_or_in_place_of_others() {
    let behind = r#"entry "l/f" lies behind "l", which is not a directory"#;
    check(&Tar::new().symlink("l", ".").file("l/f", "").end(), behind);
    check(&Tar::new().file("l", "").file("l/f", "").end(), behind);
    check(
        &Tar::new().symlink("l", ".").directory("l/d/e").end(),
        r#"entry "l/d/e" lies behind "l", which is not a directory"#,
    );
    let twice = r#"entry "x" appears twice"#;
    check(&Tar::new().file("x", "1").file("x", "2").end(), twice);
    check(&Tar::new().symlink("x", "a").directory("x").end(), twice);
    check(&Tar::new().directory("x").symlink("x", "a").end(), twice);
    check(&Tar::new().file("x/f", "").file("x", "").end(), twice);
    check(&Tar::new().file("x", "1").file("./x", "2").end(), twice);
}

#[test]
fn what_is_no_file_directory_or_link() {
    let cases = [
        (b'3', "is a character device"),
        (b'4', "is a block device"),
        (b'6', "is a named pipe"),
        (b'7', "is a contiguous file"),
        (b'S', "is a sparse file"),
        (b'V', "is a volume label"),
        (b'?', "is a thing of unknown kind"),
    ];
    for (kind, problem) in cases {
        let expected = format!(r#"entry "dev/x" {problem}"#);
        check(&Tar::new().entry(kind, "dev/x", "", b"").end(), &expected);
    }
    check(
        &Tar::new().entry(b'5', "d", "", b"hidden").end(),
        r#"entry "d" is a directory and carries data"#,
    );
    check(
        &Tar::new().entry(b'2', "l", "a", b"hidden").end(),
        r#"entry "l" is a symbolic link and carries data"#,
    );
    check(
        &Tar::new()
            .pax(&[("GNU.sparse.realsize", "99")])
            .file("f", "")
            .end(),
        r#"entry "f" is a sparse file"#,
    );
}

#[test]
fn what_two_readers_would_read_differently() {
    check(
        &Tar::new().pax(&[("size", "512")]).file("f", "x").end(),
        r#"entry "f" has two sizes, 1 and 512"#,
    );
    let at = |problem: &str| format!(r#"the archive is damaged at entry "fleet.yml": {problem}"#);
    let twice = at("an entry is extended twice in the same way");
    check(
        &Tar::new()
            .pax(&[("path", "a"), ("path", "b")])
            .file("f", "")
            .end(),
        &twice,
    );
    check(
        &Tar::new()
            .pax(&[("path", "a")])
            .entry(b'L', "", "", b"b\0")
            .file("f", "")
            .end(),
        &twice,
    );
    check(
        &Tar::new().entry(b'g', "", "", b"10 path=a\n").end(),
        &at("a record names or sizes every entry"),
    );
    check(
        &Tar::new()
            .entry(b'L', "", "", b"a")
            .entry(b'g', "", "", b"")
            .file("b", "")
            .end(),
        &at("a record for every entry parts one from what extends it"),
    );
    for broken in [
        "x",
        "5 a=b\n",
        "99 a=b\n",
        "6 a=b\n\n",
        "+6 a=b\n",
        "6 ab\n\n",
    ] {
        check(
            &Tar::new()
                .entry(b'x', "", "", broken.as_bytes())
                .file("f", "")
                .end(),
            &at("a pax record is broken"),
        );
    }
    let mut second = Tar::new().end();
    second.extend(Tar::new().file("hidden", "").end());
    check(&second, &at("something lies behind the archive's end"));
    let mut negative = header(b'0', b"f", b"", 0);
    negative[124..136].fill(0xff);
    check(
        &Tar::new().raw(summed(negative), b"").end(),
        &at("a size is negative"),
    );
    let mut odd = header(b'0', b"f", b"", 0);
    odd[124..136].copy_from_slice(b"00000000009\0");
    check(
        &Tar::new().raw(summed(odd), b"").end(),
        &at("a number is not octal"),
    );
    let mut flipped = header(b'0', b"f", b"", 0);
    flipped[0] = b'g';
    check(
        &Tar::new().raw(flipped, b"").end(),
        &at("a header's checksum does not fit"),
    );
}

#[test]
fn what_is_cut_off_anywhere() {
    let whole = Tar::new().file("f", &"x".repeat(700)).end();
    let cut = r#"the archive is cut off at entry "f""#;
    check(&whole[..1024 + 512 + 100], cut);
    check(&whole[..1024 + 512 + 700], cut);
    check(&Tar::new().file("f", "x").without_end(), cut);
    check(&Tar::new().file("f", "").pax(&[("path", "g")]).end(), cut);
    check(&Tar::new().file("f", "").pax(&[]).end(), cut);
    for packed in [gzip(&whole), zstd(&whole)] {
        for keep in 4..packed.len() {
            let said = verdict(&packed[..keep], &Limits::default()).unwrap_err();
            let known = said.contains("cut off") || said.contains("not a tar archive");
            assert!(known || said.contains("decompress"), "{keep} bytes: {said}");
        }
    }
}

#[test]
fn what_is_no_archive_at_all() {
    let no_tar = "not a tar archive, nor one compressed with gzip or zstd";
    check(b"", no_tar);
    check(&[b'x'; 5000], no_tar);
    check(
        b"PK\x03\x04 and so on",
        &format!("{no_tar} (it looks like a zip archive)"),
    );
    check(&gzip(b"hello"), "the archive is cut off");
    check(
        &gzip(&[b'x'; 5000]),
        "the archive is damaged: a header's checksum does not fit",
    );
    let mut flipped = gzip(&Tar::new().end());
    let end = flipped.len() - 8;
    flipped[end] ^= 1;
    let said = verdict(&flipped, &Limits::default()).unwrap_err();
    assert!(said.starts_with("failed to decompress gzip"), "{said}");
}

#[test]
fn manifests_that_cannot_be_read() {
    let said = |archive: &[u8]| said(inspect(archive, &Limits::default()).unwrap_err());
    let none = "no fleet.yml or convox.yml at the root of the archive";
    assert_eq!(said(&Tar::empty().file("a", "").end()), none);
    assert_eq!(
        said(&Tar::empty().file("a/fleet.yml", "").file("b", "").end()),
        none
    );
    assert_eq!(
        said(
            &Tar::empty()
                .directory("shop-1")
                .file("shop-1/fleet.yml", "")
                .end()
        ),
        format!(
            "{none}; there is shop-1/fleet.yml: pack what is inside shop-1 instead of shop-1 itself"
        )
    );
    assert_eq!(
        said(&Tar::empty().file("a", "").symlink("fleet.yml", "a").end()),
        "fleet.yml is not a regular file"
    );
    assert_eq!(
        said(
            &Tar::empty()
                .file("a", "")
                .hard_link("convox.yml", "a")
                .end()
        ),
        "convox.yml is not a regular file"
    );
    assert_eq!(
        said(&Tar::empty().entry(b'0', "fleet.yml", "", b"\xff").end()),
        "fleet.yml is not UTF-8 text"
    );
    assert_eq!(
        said(
            &Tar::empty()
                .file("fleet.yml", &"#".repeat((1 << 20) + 1))
                .end()
        ),
        "fleet.yml is larger than 1048576 bytes"
    );
}
