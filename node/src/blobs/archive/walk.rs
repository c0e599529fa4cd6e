//! The one reader of archives: checks every entry, then hands it to a sink.

use std::io::Read;

use super::{
    Error, Limits, Refusal,
    error::printable,
    header::{self, BLOCK, Header, Kind},
    meta::{self, Meta},
    name::{self, Name},
    stream::{Body, Stream},
    tree::{Node, Tree},
};

/// What becomes of the entries. Each call comes after all checks, parents before children.
pub(super) trait Sink {
    fn directory(&mut self, name: &Name) -> Result<(), Error>;
    fn file(&mut self, name: &Name, mode: Mode, body: &mut Body<'_, '_>) -> Result<(), Error>;
    fn symlink(&mut self, name: &Name, target: &[u8]) -> Result<(), Error>;
    /// `target` is a regular file the sink was given before.
    fn hard_link(&mut self, name: &Name, target: &Name) -> Result<(), Error>;
}

/// What is kept of a file's metadata.
#[derive(Clone, Copy)]
pub(super) struct Mode {
    pub(super) executable: bool,
    /// Seconds since 1970.
    pub(super) modified: u64,
}

/// How much there was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Entries, not counting the root and records about other entries.
    pub entries: u64,
    /// Bytes of the tar stream after decompression.
    pub unpacked: u64,
}

pub(super) fn walk(
    reader: impl Read,
    limits: &Limits,
    sink: &mut dyn Sink,
) -> Result<Totals, Error> {
    let mut stream = Stream::open(reader, limits)?;
    let mut tree = Tree::new(limits);
    let mut meta = Meta::default();
    let mut entries = 0;
    let mut headers = 0;
    while let Some(mut header) = next_header(&mut stream)? {
        // Records and repeated directories cost time, too.
        headers += 1;
        if headers > limits.entries.saturating_mul(3) {
            return Err(Error::TooManyEntries {
                limit: limits.entries,
            });
        }
        if let Kind::LongName | Kind::LongLink | Kind::Pax | Kind::PaxGlobal = header.kind {
            let size = usize::try_from(header.size)
                .ok()
                .filter(|_| header.size <= meta::LARGEST);
            let size = size.ok_or_else(|| stream.malformed("a record is too large"))?;
            let body = stream.small_body(size)?;
            meta.take(header.kind, &body)
                .map_err(|problem| stream.malformed(problem))?;
            continue;
        }
        let completed = std::mem::take(&mut meta).complete(&mut header);
        let shown = printable(&header.name);
        stream.enter(shown.clone());
        completed
            .and_then(|()| Entry::check(header))
            .map_err(|refusal| Error::Refused {
                entry: shown,
                refusal,
            })?
            .deliver(&mut stream, &mut tree, sink)?;
        entries += 1;
        if entries > limits.entries {
            return Err(Error::TooManyEntries {
                limit: limits.entries,
            });
        }
    }
    if !meta.is_empty() {
        return Err(stream.truncated());
    }
    drain(&mut stream)?;
    Ok(Totals {
        entries,
        unpacked: stream.unpacked(),
    })
}

/// The next entry's header, `None` at the mark that ends the archive. An archive without the mark
/// was cut off between two entries.
fn next_header(stream: &mut Stream<'_>) -> Result<Option<Header>, Error> {
    let Some(block) = stream.block()? else {
        return Err(stream.truncated());
    };
    header::parse(&block).map_err(|problem| stream.malformed(problem))
}

/// Zeros allowed behind the end: writers fill up to a record, by default 10 KiB.
const PADDING: usize = 1 << 20;

/// Reads to the end of the stream, so that a checksum of the compression behind it is checked.
/// What is not zero there would be a second archive to a reader that does not stop at the mark.
fn drain(stream: &mut Stream<'_>) -> Result<(), Error> {
    let mut buffer = [0; 16 * BLOCK];
    let mut seen = 0;
    loop {
        match stream.fill(&mut buffer)? {
            0 => return Ok(()),
            read if buffer[..read].iter().any(|byte| *byte != 0) => {
                return Err(stream.malformed("something lies behind the archive's end"));
            }
            read => seen += read,
        }
        if seen > PADDING {
            return Err(stream.malformed("there are too many zeros behind the archive's end"));
        }
    }
}

/// An entry whose own header is in order.
enum Entry {
    Root,
    Directory(Name),
    File {
        name: Name,
        mode: Mode,
        size: u64,
    },
    Symlink {
        name: Name,
        target: Vec<u8>,
    },
    HardLink {
        name: Name,
        target: Name,
        shown: String,
    },
}

impl Entry {
    fn check(header: Header) -> Result<Self, Refusal> {
        let Header {
            kind,
            name: raw,
            link,
            size,
            executable,
            modified,
        } = header;
        if let Kind::Other(kind) = kind {
            return Err(Refusal::Kind { kind });
        }
        let name = Name::parse(&raw)?;
        let bodyless = |kind| {
            if size > 0 {
                Err(Refusal::Data { kind })
            } else {
                Ok(())
            }
        };
        if kind == Kind::Directory {
            bodyless("directory")?;
            return Ok(if name.is_root() {
                Self::Root
            } else {
                Self::Directory(name)
            });
        }
        if name.is_root() || raw.ends_with(b"/") {
            return Err(Refusal::Kind {
                kind: "thing named like a directory that is none",
            });
        }
        match kind {
            Kind::Symlink => {
                bodyless("symbolic link")?;
                name::check_target(&name, &link)?;
                Ok(Self::Symlink { name, target: link })
            }
            Kind::HardLink => {
                bodyless("hard link")?;
                let shown = printable(&link);
                let leaves = |_| Refusal::LinkLeaves {
                    target: shown.clone(),
                };
                let target = Name::parse(&link).map_err(leaves)?;
                Ok(Self::HardLink {
                    name,
                    target,
                    shown,
                })
            }
            _ => Ok(Self::File {
                name,
                mode: Mode {
                    executable,
                    modified,
                },
                size,
            }),
        }
    }

    fn deliver(
        self,
        stream: &mut Stream<'_>,
        tree: &mut Tree,
        sink: &mut dyn Sink,
    ) -> Result<(), Error> {
        match self {
            Self::Root => Ok(()),
            Self::Directory(name) => {
                tree.add(&name, Node::Directory)?;
                sink.directory(&name)
            }
            Self::File { name, mode, size } => {
                stream.announce(size)?;
                tree.add(&name, Node::File)?;
                let mut body = Body::new(stream, size);
                sink.file(&name, mode, &mut body)?;
                body.skip()?;
                skip_padding(stream, size)
            }
            Self::Symlink { name, target } => {
                tree.add(&name, Node::Symlink)?;
                sink.symlink(&name, &target)
            }
            Self::HardLink {
                name,
                target,
                shown,
            } => {
                if tree.get(&target) != Some(Node::File) {
                    let refusal = Refusal::LinkToNothing { target: shown };
                    return Err(Error::Refused {
                        entry: name.printable(),
                        refusal,
                    });
                }
                tree.add(&name, Node::File)?;
                sink.hard_link(&name, &target)
            }
        }
    }
}

/// Bodies end at a block's edge.
fn skip_padding(stream: &mut Stream<'_>, size: u64) -> Result<(), Error> {
    // Below the size of a block.
    let padding = (size.next_multiple_of(BLOCK as u64) - size) as usize;
    if stream.fill(&mut [0; BLOCK][..padding])? < padding {
        return Err(stream.truncated());
    }
    Ok(())
}
