//! What the records before an entry say about it: long names, and what `pax` headers extend.

use super::{
    Refusal,
    header::{Header, Kind},
};

/// Bytes of one record block: thousands of attributes, but nothing to fill memory with.
pub(super) const LARGEST: u64 = 1 << 20;

/// Extensions waiting for the entry they belong to.
#[derive(Default)]
pub(super) struct Meta {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    /// A pax block was seen.
    pax: Option<()>,
}

impl Meta {
    /// Takes the body of an entry of `kind` that only describes others.
    pub(super) fn take(&mut self, kind: Kind, body: &[u8]) -> Result<(), &'static str> {
        match kind {
            Kind::LongName => set(&mut self.name, gnu_text(body)),
            Kind::LongLink => set(&mut self.link, gnu_text(body)),
            Kind::Pax => {
                set(&mut self.pax, ())?;
                records(body, |key, value| self.record(key, value))
            }
            // GNU tar extends the entry behind it, others forget what they were told.
            Kind::PaxGlobal if !self.is_empty() => {
                Err("a record for every entry parts one from what extends it")
            }
            // What holds for all entries can only be a remark, as git writes the commit there.
            Kind::PaxGlobal => records(body, |key, _| match key {
                b"path" | b"linkpath" | b"size" => Err("a record names or sizes every entry"),
                _ if key.starts_with(b"GNU.sparse.") => Err("a record makes every entry sparse"),
                _ => Ok(()),
            }),
            _ => Ok(()),
        }
    }

    /// Whether any record, even one that says nothing, waits for an entry.
    pub(super) fn is_empty(&self) -> bool {
        self.name.is_none() && self.link.is_none() && self.pax.is_none()
    }

    /// Completes the header the extensions were written for.
    pub(super) fn complete(self, header: &mut Header) -> Result<(), Refusal> {
        if let Some(name) = self.name {
            header.name = name;
        }
        if let Some(link) = self.link {
            header.link = link;
        }
        if self.sparse || header.kind == Kind::Sparse {
            return Err(Refusal::Sparse);
        }
        match self.size {
            // A body that needs the extension because it does not fit the header is far above any
            // limit; a different size is there to make two readers see two archives.
            Some(extended) if extended != header.size => Err(Refusal::TwoSizes {
                header: header.size,
                extended,
            }),
            _ => Ok(()),
        }
    }

    /// Owners, times and extended attributes are left out on purpose.
    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        match key {
            b"path" => set(&mut self.name, value.to_vec()),
            b"linkpath" => set(&mut self.link, value.to_vec()),
            b"size" => {
                let size = decimal(value).ok_or("a record's size is not a number")?;
                set(&mut self.size, size)
            }
            _ => {
                self.sparse |= key.starts_with(b"GNU.sparse.");
                Ok(())
            }
        }
    }
}

fn set<T>(field: &mut Option<T>, value: T) -> Result<(), &'static str> {
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err("an entry is extended twice in the same way"),
    }
}

fn gnu_text(body: &[u8]) -> Vec<u8> {
    body.strip_suffix(b"\0").unwrap_or(body).to_vec()
}

/// Records of `length key=value\n`, the length counting itself.
fn records(
    mut body: &[u8],
    mut each: impl FnMut(&[u8], &[u8]) -> Result<(), &'static str>,
) -> Result<(), &'static str> {
    const BROKEN: &str = "a pax record is broken";
    while !body.is_empty() {
        let space = body.iter().position(|byte| *byte == b' ').ok_or(BROKEN)?;
        let length = decimal(&body[..space]).and_then(|length| usize::try_from(length).ok());
        let length = length
            .filter(|length| *length <= body.len())
            .ok_or(BROKEN)?;
        let record = body.get(space + 1..length).ok_or(BROKEN)?;
        let record = record.strip_suffix(b"\n").ok_or(BROKEN)?;
        let equals = record.iter().position(|byte| *byte == b'=').ok_or(BROKEN)?;
        each(&record[..equals], &record[equals + 1..])?;
        body = &body[length..];
    }
    Ok(())
}

fn decimal(digits: &[u8]) -> Option<u64> {
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    plain
        .then(|| std::str::from_utf8(digits).ok()?.parse().ok())
        .flatten()
}
