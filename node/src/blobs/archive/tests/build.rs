//! Writes tar archives byte by byte, also those no honest tool would write.

use crate::blobs::archive::header::{BLOCK, Block};

pub(super) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// An archive that already has what every app must have.
    pub(super) fn new() -> Self {
        Self::empty().file("fleet.yml", "services: {}\n")
    }

    pub(super) fn empty() -> Self {
        Self { bytes: Vec::new() }
    }

    pub(super) fn file(self, name: &str, content: &str) -> Self {
        self.entry(b'0', name, "", content.as_bytes())
    }

    pub(super) fn directory(self, name: &str) -> Self {
        self.entry(b'5', name, "", b"")
    }

    pub(super) fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(b'2', name, target, b"")
    }

    pub(super) fn hard_link(self, name: &str, target: &str) -> Self {
        self.entry(b'1', name, target, b"")
    }

    pub(super) fn pax(self, records: &[(&str, &str)]) -> Self {
        let body: String = records
            .iter()
            .map(|(key, value)| record(key, value))
            .collect();
        self.entry(b'x', "pax", "", body.as_bytes())
    }

    pub(super) fn entry(self, kind: u8, name: &str, link: &str, body: &[u8]) -> Self {
        self.raw(
            header(kind, name.as_bytes(), link.as_bytes(), body.len() as u64),
            body,
        )
    }

    /// A header as it is, and a body with its padding.
    pub(super) fn raw(mut self, header: Block, body: &[u8]) -> Self {
        self.bytes.extend(header);
        self.bytes.extend(body);
        self.bytes
            .resize(self.bytes.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(super) fn end(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    pub(super) fn without_end(self) -> Vec<u8> {
        self.bytes
    }
}

/// A ustar header with mode 0644 and a checksum that fits.
pub(super) fn header(kind: u8, name: &[u8], link: &[u8], size: u64) -> Block {
    let mut block = [0; BLOCK];
    block[..name.len()].copy_from_slice(name);
    block[100..108].copy_from_slice(b"0000644\0");
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[136..148].copy_from_slice(b"14000000000\0");
    block[156] = kind;
    block[157..157 + link.len()].copy_from_slice(link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    summed(block)
}

/// The block with the checksum its other bytes ask for.
pub(super) fn summed(mut block: Block) -> Block {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// `length key=value\n`, the length counting its own digits.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let mut length = rest.len();
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    format!("{length}{rest}")
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}
