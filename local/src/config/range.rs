//! `first-last`: ports or user ids that frontends may be given.

use std::fmt;
use std::str::FromStr;

/// An inclusive, never empty range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: u32,
    last: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RangeError {
    #[error("{0:?} is not of the form first-last")]
    Form(String),
    #[error("{0:?} is empty: its first number is greater than its last")]
    Empty(String),
}

impl Range {
    pub const fn new(first: u32, last: u32) -> Self {
        assert!(first <= last, "a range holds at least one number");
        Self { first, last }
    }

    pub fn first(self) -> u32 {
        self.first
    }

    pub fn last(self) -> u32 {
        self.last
    }

    /// Numbers in the range, from 1 up.
    pub fn count(self) -> u64 {
        u64::from(self.last - self.first) + 1
    }

    /// Every number once, beginning at a place that `key` decides, so that successive keys do
    /// not reuse a number at once.
    pub fn from_key(self, key: u64) -> impl Iterator<Item = u32> {
        let len = self.count();
        (0..len).map(move |step| {
            let offset = (key % len + step) % len;
            // Below `len`, which is at most 2^32.
            self.first + u32::try_from(offset).unwrap_or_default()
        })
    }
}

impl FromStr for Range {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || RangeError::Form(text.to_owned());
        let (first, last) = text.split_once('-').ok_or_else(form)?;
        let first: u32 = first.trim().parse().map_err(|_| form())?;
        let last: u32 = last.trim().parse().map_err(|_| form())?;
        if first > last {
            return Err(RangeError::Empty(text.to_owned()));
        }
        Ok(Self { first, last })
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}
