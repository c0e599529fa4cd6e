//! The tar stream, read block by block, with errors that name the entry being read.

use std::io::{self, Read};

use super::{
    Error, Format, Limits, format,
    header::{BLOCK, Block},
    meter::{Breach, Metered},
};

pub(super) struct Stream<'a> {
    inner: Metered<Box<dyn Read + 'a>>,
    format: Format,
    limits: Limits,
    /// The entry that errors are blamed on, ready to print.
    entry: Option<String>,
}

impl<'a> Stream<'a> {
    pub(super) fn open(reader: impl Read + 'a, limits: &Limits) -> Result<Self, Error> {
        let (format, inner) = format::open(reader, limits)?;
        Ok(Self {
            inner,
            format,
            limits: *limits,
            entry: None,
        })
    }

    /// From here on errors are about `entry`.
    pub(super) fn enter(&mut self, entry: String) {
        self.entry = Some(entry);
    }

    /// Bytes that came out so far.
    pub(super) fn unpacked(&self) -> u64 {
        self.inner.unpacked()
    }

    /// The next block, `None` at the end of the stream.
    pub(super) fn block(&mut self) -> Result<Option<Block>, Error> {
        let mut block = [0; BLOCK];
        match self.fill(&mut block)? {
            0 => Ok(None),
            BLOCK => Ok(Some(block)),
            _ => Err(self.truncated()),
        }
    }

    /// A whole body of `size` bytes with its padding, for bodies that are small by other rules.
    pub(super) fn small_body(&mut self, size: usize) -> Result<Vec<u8>, Error> {
        let mut body = vec![0; size.next_multiple_of(BLOCK)];
        if self.fill(&mut body)? < body.len() {
            return Err(self.truncated());
        }
        body.truncate(size);
        Ok(body)
    }

    /// Refuses a body that cannot fit the limit before any of it is read.
    pub(super) fn announce(&self, size: u64) -> Result<(), Error> {
        match self.unpacked().checked_add(size) {
            Some(end) if end <= self.limits.unpacked => Ok(()),
            _ => Err(self.breach(Breach::Size)),
        }
    }

    /// Reads until `buffer` is full or the stream ends; says how much it was.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.inner.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(filled)
    }

    pub(super) fn truncated(&self) -> Error {
        Error::Truncated {
            entry: self.entry.clone(),
        }
    }

    pub(super) fn malformed(&self, problem: &'static str) -> Error {
        Error::Malformed {
            entry: self.entry.clone(),
            problem,
        }
    }

    fn failed(&self, source: io::Error) -> Error {
        if let Some(breach) = Breach::of(&source) {
            return self.breach(breach);
        }
        match (source.kind(), self.format) {
            (io::ErrorKind::UnexpectedEof, _) => self.truncated(),
            (_, Format::Tar) => Error::Read { source },
            (_, format) => Error::Decompress {
                format,
                entry: self.entry.clone(),
                source,
            },
        }
    }

    fn breach(&self, breach: Breach) -> Error {
        let entry = self.entry.clone();
        match breach {
            Breach::Size => Error::TooLarge {
                entry,
                limit: self.limits.unpacked,
            },
            Breach::Ratio => Error::Bomb {
                entry,
                limit: self.limits.ratio,
            },
        }
    }
}

/// The content of one regular file.
pub(super) struct Body<'s, 'a> {
    stream: &'s mut Stream<'a>,
    left: u64,
}

impl<'s, 'a> Body<'s, 'a> {
    pub(super) fn new(stream: &'s mut Stream<'a>, size: u64) -> Self {
        Self { stream, left: size }
    }

    /// The next bytes, as many as `buffer` takes; 0 after the last.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let wanted = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if self.stream.fill(&mut buffer[..wanted])? < wanted {
            return Err(self.stream.truncated());
        }
        self.left -= wanted as u64;
        Ok(wanted)
    }

    /// Reads past what is left.
    pub(super) fn skip(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 16 * BLOCK];
        while self.read(&mut buffer)? > 0 {}
        Ok(())
    }
}
