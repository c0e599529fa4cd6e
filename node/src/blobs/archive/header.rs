//! The 512 bytes before each entry (POSIX.1-2017 `pax`, ustar interchange format; GNU variants).
//!
//! Parsed here and not by the `tar` crate, because that one forgives where this must refuse: a
//! number with something behind it, a name with bytes after its end.

/// Everything in a tar archive comes in blocks of this many bytes.
pub(super) const BLOCK: usize = 512;

pub(super) type Block = [u8; BLOCK];

pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) name: Vec<u8>,
    /// Where a link points.
    pub(super) link: Vec<u8>,
    /// Bytes of the body.
    pub(super) size: u64,
    pub(super) executable: bool,
    /// Seconds since 1970; 0 for a time before.
    pub(super) modified: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    Symlink,
    HardLink,
    /// GNU: the body is the name, or the link's target, of the next entry.
    LongName,
    LongLink,
    /// The body is records about the next entry, or all that follow.
    Pax,
    PaxGlobal,
    Sparse,
    /// What is refused, in words.
    Other(&'static str),
}

/// The header in `block`, `None` for the block of zeros that ends an archive.
pub(super) fn parse(block: &Block) -> Result<Option<Header>, &'static str> {
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    if !checksum_fits(block) {
        return Err("a header's checksum does not fit");
    }
    let mut name = text(&block[..100])?;
    // GNU headers ("ustar  ") use these bytes for times.
    if &block[257..263] == b"ustar\0" {
        let prefix = until_nul(&block[345..500]);
        if !prefix.is_empty() {
            name = [prefix, b"/", &name].concat();
        }
    }
    Ok(Some(Header {
        kind: kind(block[156]),
        name,
        link: text(&block[157..257])?,
        size: number(&block[124..136])?.ok_or("a size is negative")?,
        executable: number(&block[100..108])?.unwrap_or(0) & 0o111 != 0,
        modified: number(&block[136..148])?.unwrap_or(0),
    }))
}

/// Whether a file that begins with `head` may be a tar archive.
pub(super) fn looks_like_one(head: &[u8]) -> bool {
    head.try_into()
        .is_ok_and(|block: &Block| block.iter().all(|byte| *byte == 0) || checksum_fits(block))
}

fn kind(flag: u8) -> Kind {
    match flag {
        b'0' | 0 => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Other("character device"),
        b'4' => Kind::Other("block device"),
        b'5' => Kind::Directory,
        b'6' => Kind::Other("named pipe"),
        b'7' => Kind::Other("contiguous file"),
        b'L' => Kind::LongName,
        b'K' => Kind::LongLink,
        b'S' => Kind::Sparse,
        b'x' => Kind::Pax,
        b'g' => Kind::PaxGlobal,
        b'D' => Kind::Other("directory of an incremental dump"),
        b'M' => Kind::Other("part of a file from another volume"),
        b'V' => Kind::Other("volume label"),
        _ => Kind::Other("thing of unknown kind"),
    }
}

/// The sum of all bytes, with those of the checksum itself as spaces.
fn checksum_fits(block: &Block) -> bool {
    let outside = block[..148].iter().chain(&block[156..]);
    let sum = outside.map(|byte| u64::from(*byte)).sum::<u64>() + 8 * u64::from(b' ');
    number(&block[148..156]) == Ok(Some(sum))
}

fn text(field: &[u8]) -> Result<Vec<u8>, &'static str> {
    let text = until_nul(field);
    if field[text.len()..].iter().any(|byte| *byte != 0) {
        return Err("a name has bytes behind its end");
    }
    Ok(text.to_vec())
}

fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// A number in octal digits, or as GNU writes large ones: a set high bit and big-endian bytes.
/// `None` when negative.
fn number(field: &[u8]) -> Result<Option<u64>, &'static str> {
    match field[0] {
        0xff => Ok(None),
        0x80 => {
            let (high, low) = field[1..].split_at(field.len() - 1 - 7);
            if high.iter().any(|byte| *byte != 0) {
                return Err("a number is too large");
            }
            Ok(Some(
                low.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            ))
        }
        _ => octal(field).map(Some),
    }
}

fn octal(field: &[u8]) -> Result<u64, &'static str> {
    let blank = |byte: &u8| matches!(byte, b' ' | 0);
    let field = field.trim_ascii_start();
    let digits = field
        .iter()
        .take_while(|byte| matches!(byte, b'0'..=b'7'))
        .count();
    if !field[digits..].iter().all(blank) {
        return Err("a number is not octal");
    }
    // Twelve digits of three bits: no overflow.
    Ok(field[..digits]
        .iter()
        .fold(0, |sum, digit| sum << 3 | u64::from(digit - b'0')))
}
