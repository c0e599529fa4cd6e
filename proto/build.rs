//! Compiles every `.proto` under `fleet/` with protox, so that no `protoc` has to be installed.

use std::path::{Path, PathBuf};

use prost::Message as _;

/// What holds open keys and is printed without them (`src/silent.rs`).
const WITH_KEYS: [&str; 3] = [
    ".fleet.v1.AddCertificateRequest",
    ".fleet.internal.ServedCertificate",
    ".fleet.internal.TicketKey",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    println!("cargo:rerun-if-changed={}", root.join("fleet").display());
    let mut files = Vec::new();
    collect(&root.join("fleet"), &mut files)?;
    files.sort();

    let descriptors = protox::compile(&files, [&root])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // What server reflection serves: the public package alone.
    let mut public = descriptors.clone();
    public
        .file
        .retain(|file| !matches!(file.package(), "fleet.internal" | "fleet.stored"));
    std::fs::write(out.join("fleet.v1.bin"), public.encode_to_vec())?;

    tonic_prost_build::configure()
        .bytes(".")
        .btree_map(".")
        .skip_debug(WITH_KEYS)
        .compile_fds(descriptors)?;
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|ext| ext == "proto") {
            files.push(path);
        }
    }
    Ok(())
}
