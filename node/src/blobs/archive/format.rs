//! Which kind of archive it is, told by its first bytes and never by a file name.

use std::{
    fmt,
    io::{self, BufReader, Read},
};

use super::{
    Error, Limits, header,
    meter::{Counter, Counting, Metered},
};

/// How the tar archive is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Tar,
    Gzip,
    Zstd,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tar => "tar",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        })
    }
}

/// The decoder keeps this much of what it unpacked, 2^25 = 32 MiB: enough for `zstd -19` and
/// `--long=25`, and half of what one upload may add to a node's memory (reliability.md 5.3).
const ZSTD_WINDOW_LOG: u32 = 25;

/// The tar stream inside `reader`, metered.
pub(super) fn open<'a>(
    mut reader: impl Read + 'a,
    limits: &Limits,
) -> Result<(Format, Metered<Box<dyn Read + 'a>>), Error> {
    let mut head = Vec::with_capacity(header::BLOCK);
    reader
        .by_ref()
        .take(header::BLOCK as u64)
        .read_to_end(&mut head)
        .map_err(|source| Error::Read { source })?;
    let format = detect(&head)?;
    let packed = Counter::default();
    let source = Counting::new(io::Cursor::new(head).chain(reader), packed.clone());
    let unpacking = |source| Error::Decompress {
        format,
        entry: None,
        source,
    };
    let plain: Box<dyn Read + 'a> = match format {
        Format::Tar => Box::new(BufReader::with_capacity(64 << 10, source)),
        Format::Gzip => Box::new(flate2::read::MultiGzDecoder::new(source)),
        Format::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(source).map_err(unpacking)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(unpacking)?;
            Box::new(decoder)
        }
    };
    Ok((format, Metered::new(plain, packed, limits)))
}

fn detect(head: &[u8]) -> Result<Format, Error> {
    // RFC 1952 with deflate, the only method there is; RFC 8878.
    if head.starts_with(&[0x1f, 0x8b, 0x08]) {
        return Ok(Format::Gzip);
    }
    if head.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        return Ok(Format::Zstd);
    }
    if header::looks_like_one(head) {
        return Ok(Format::Tar);
    }
    let known: [(&[u8], &str); 5] = [
        (b"PK\x03\x04", "a zip archive"),
        (b"\xfd7zXZ\0", "xz"),
        (b"BZh", "bzip2"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"7z\xbc\xaf\x27\x1c", "7-Zip"),
    ];
    let looks_like = known.iter().find(|(magic, _)| head.starts_with(magic));
    Err(Error::UnknownFormat {
        looks_like: looks_like.map(|(_, kind)| *kind),
    })
}
