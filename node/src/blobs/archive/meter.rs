//! Counts bytes on both sides of the decompressor and stops when too many come out.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use super::Limits;

/// Bytes that passed, shared between a [`Counting`] and whoever compares.
pub(super) type Counter = Rc<Cell<u64>>;

/// Counts what is read through it.
pub(super) struct Counting<R> {
    inner: R,
    passed: Counter,
}

impl<R> Counting<R> {
    pub(super) fn new(inner: R, passed: Counter) -> Self {
        Self { inner, passed }
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.passed.set(self.passed.get() + read as u64);
        Ok(read)
    }
}

/// The unpacked side. Reading beyond a limit fails with a [`Breach`] inside the error.
pub(super) struct Metered<R> {
    inner: R,
    packed: Counter,
    unpacked: u64,
    limits: Limits,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Breach {
    #[error("too many bytes unpacked")]
    Size,
    #[error("too many bytes unpacked for those packed")]
    Ratio,
}

impl Breach {
    /// The breach an error of a [`Metered`] stands for.
    pub(super) fn of(error: &io::Error) -> Option<Self> {
        error.get_ref()?.downcast_ref().copied()
    }
}

impl<R: Read> Metered<R> {
    pub(super) fn new(inner: R, packed: Counter, limits: &Limits) -> Self {
        Self {
            inner,
            packed,
            unpacked: 0,
            limits: *limits,
        }
    }

    /// Bytes that came out so far.
    pub(super) fn unpacked(&self) -> u64 {
        self.unpacked
    }

    fn check(&self) -> Result<(), Breach> {
        let Limits {
            unpacked,
            ratio,
            ratio_floor,
            ..
        } = self.limits;
        if self.unpacked > unpacked {
            return Err(Breach::Size);
        }
        let allowed = self.packed.get().saturating_mul(ratio).max(ratio_floor);
        if self.unpacked > allowed {
            Err(Breach::Ratio)
        } else {
            Ok(())
        }
    }
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.unpacked += read as u64;
        self.check().map_err(io::Error::other)?;
        Ok(read)
    }
}
