//! How much of an archive is too much.

/// Bounds on what one archive may make a node read, write or remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the tar stream after decompression, headers included.
    pub unpacked: u64,
    /// Entries, and directories that entries imply.
    pub entries: u64,
    /// Bytes unpacked for one byte packed, once `ratio_floor` bytes came out.
    pub ratio: u64,
    /// Up to here the ratio is not looked at: an honest small app may hold a file of blanks.
    pub ratio_floor: u64,
    /// Bytes of all entry names together, which bounds the memory for telling duplicates.
    pub names: u64,
    /// Bytes of the manifest.
    pub manifest: u64,
}

impl Default for Limits {
    /// reliability.md 5.3 rows 4 and 5; the floor is what a node may spend on one upload without
    /// noticing, the bytes of names are 160 for each of 200,000 entries.
    fn default() -> Self {
        Self {
            unpacked: 2 << 30,
            entries: 200_000,
            ratio: 200,
            ratio_floor: 64 << 20,
            names: 32 << 20,
            manifest: 1 << 20,
        }
    }
}
