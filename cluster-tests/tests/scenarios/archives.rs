//! Archives that reach outside themselves or unpack without end: refused, the entry is named, and
//! nothing is written outside.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use tar::{EntryType, Header};

/// Failed, or refused as making no sense: anything but done, not found or unreachable.
const REFUSALS: [i32; 3] = [1, 2, 3];

#[tokio::test(flavor = "multi_thread")]
async fn bad_archives_are_refused_by_name() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let outside = cluster.path().join("outside");
    let reach = format!("../../../../../../../../{}", outside.display()).replace("//", "/");

    let cases: Vec<(&str, Vec<Entry>)> = vec![
        ("dot-dot", vec![file(&reach)]),
        ("dot-dot-inside", vec![file("a/../../escaped")]),
        ("absolute", vec![file(&outside.to_string_lossy())]),
        (
            "symlink-out",
            vec![
                link(EntryType::Symlink, "door", "/etc"),
                file("door/fleet-was-here"),
            ],
        ),
        (
            "hardlink-out",
            vec![link(EntryType::Link, "shadow", "/etc/passwd")],
        ),
        ("device", vec![special(EntryType::Char, "null")]),
        ("fifo", vec![special(EntryType::Fifo, "pipe")]),
    ];
    for (name, entries) in cases {
        let archive = write_archive(cluster.path(), name, &entries)?;
        let output = shop
            .run(&[
                "release",
                "create",
                &archive.to_string_lossy(),
                "-a",
                app::APP,
                "--wait",
            ])
            .await?;
        ensure!(REFUSALS.contains(&output.code), "{name}: {output}");
        let culprit = &entries[0].name;
        let last = culprit.rsplit('/').next().unwrap_or(culprit);
        ensure!(
            output.stderr.contains(last),
            "{name}: the entry {culprit} is not named: {output}"
        );
        ensure!(!outside.exists(), "{name}: something was written outside");
        ensure!(
            !Path::new("/etc/fleet-was-here").exists(),
            "{name}: written through a link"
        );
    }

    let bomb = write_bomb(cluster.path())?;
    let size = bomb.metadata()?.len();
    ensure!(size < 11 << 20, "the bomb has {size} bytes");
    let output = shop
        .run(&[
            "release",
            "create",
            &bomb.to_string_lossy(),
            "-a",
            app::APP,
            "--wait",
        ])
        .await?;
    ensure!(REFUSALS.contains(&output.code), "bomb: {output}");
    ensure!(
        output.stderr.contains("zeros"),
        "bomb: the entry is not named: {output}"
    );

    // Still in good order, and none of it became available.
    let listed = shop.ok(&["release", "list", "-a", app::APP]).await?.stdout;
    ensure!(listed.matches("AVAILABLE").count() == 1, "{listed}");
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    cluster.end()
}

struct Entry {
    name: String,
    kind: EntryType,
    target: Option<String>,
    contents: &'static [u8],
}

fn file(name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        kind: EntryType::Regular,
        target: None,
        contents: b"was here\n",
    }
}

fn link(kind: EntryType, name: &str, target: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        kind,
        target: Some(target.to_owned()),
        contents: b"",
    }
}

fn special(kind: EntryType, name: &str) -> Entry {
    Entry {
        name: name.to_owned(),
        kind,
        target: None,
        contents: b"",
    }
}

/// Writes headers byte by byte: the library refuses to make such archives.
fn write_archive(dir: &Path, name: &str, entries: &[Entry]) -> Result<PathBuf> {
    let path = dir.join(format!("{name}.tar"));
    let mut out = File::create(&path)?;
    append(
        &mut out,
        &file("fleet.yml"),
        MANIFEST.as_bytes(),
        MANIFEST.len() as u64,
    )?;
    for entry in entries {
        append(&mut out, entry, entry.contents, entry.contents.len() as u64)?;
    }
    out.write_all(&[0; 1024])?;
    Ok(path)
}

const MANIFEST: &str = "services:\n  www:\n    command: sleep 600\n    port: 8000\n";

fn append(out: &mut impl std::io::Write, entry: &Entry, contents: &[u8], size: u64) -> Result<()> {
    out.write_all(header(entry, size)?.as_bytes())?;
    out.write_all(contents)?;
    let padding = contents.len().next_multiple_of(512) - contents.len();
    out.write_all(&vec![0; padding])?;
    Ok(())
}

fn header(entry: &Entry, size: u64) -> Result<Header> {
    let mut header = Header::new_gnu();
    let fields = header.as_old_mut();
    let name = entry.name.as_bytes();
    ensure!(
        name.len() < fields.name.len(),
        "{} is too long for a header",
        entry.name
    );
    fields.name[..name.len()].copy_from_slice(name);
    if let Some(target) = &entry.target {
        fields.linkname[..target.len()].copy_from_slice(target.as_bytes());
    }
    header.set_entry_type(entry.kind);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    Ok(header)
}

/// 10 GiB of zeros in about 10 MiB: one compressed block, repeated as members of a gzip file.
fn write_bomb(dir: &Path) -> Result<PathBuf> {
    const BLOCK: usize = 16 << 20;
    const BLOCKS: u64 = 640;
    let path = dir.join("bomb.tar.gz");
    let mut out = File::create(&path)?;
    let mut head = GzEncoder::new(Vec::new(), Compression::best());
    append(
        &mut head,
        &file("fleet.yml"),
        MANIFEST.as_bytes(),
        MANIFEST.len() as u64,
    )?;
    head.write_all(header(&file("zeros"), BLOCK as u64 * BLOCKS)?.as_bytes())?;
    out.write_all(&head.finish()?)?;
    let mut block = GzEncoder::new(Vec::new(), Compression::best());
    block.write_all(&vec![0; BLOCK])?;
    let block = block.finish()?;
    for _ in 0..BLOCKS {
        out.write_all(&block)?;
    }
    Ok(path)
}
