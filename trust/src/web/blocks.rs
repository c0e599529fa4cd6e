//! The three blocks as text, and their sections.
//!
//! Stricter than RFC 7468 asks: text around sections is refused, for it shows that something else was
//! pasted than was meant, and it may be half a key.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::faults::{Block, Fault, Faulty};

/// Bytes of one block: forty times a long chain.
pub(super) const LARGEST: usize = 256 << 10;

const CERTIFICATE: &str = "CERTIFICATE";

/// What is written in front of an elliptic key by some tools, and says nothing that the key does not.
const PARAMETERS: &str = "EC PARAMETERS";

/// A certificate as it comes.
#[derive(Clone, Default)]
pub struct Blocks {
    pub certificate: Vec<u8>,
    /// May be empty.
    pub chain: Vec<u8>,
    pub key: Vec<u8>,
}

/// DER of the certificates, that of the server first, and of the key.
pub(super) struct Sections {
    pub(super) certificates: Vec<Vec<u8>>,
    /// Where those that came in the chain block begin.
    pub(super) chain_from: usize,
    pub(super) key: Vec<u8>,
}

struct Section {
    label: String,
    /// Of its first line, from 1 on.
    line: usize,
    encrypted: bool,
    der: Vec<u8>,
}

impl Blocks {
    pub(super) fn sections(&self) -> Result<Sections, Faulty> {
        let mut certificates = certificates(&self.certificate, Block::Certificate)?;
        let found = certificates.len();
        if found == 0 {
            return Err(Block::Certificate.is(Fault::Empty));
        }
        let chain = certificates_or_none(&self.chain)?;
        if found > 1 && !chain.is_empty() {
            return Err(Block::Certificate.is(Fault::SeveralCertificates(found)));
        }
        certificates.extend(chain);
        Ok(Sections {
            certificates,
            chain_from: found,
            key: key(&self.key)?,
        })
    }
}

impl std::fmt::Debug for Blocks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Blocks(…)")
    }
}

fn certificates_or_none(chain: &[u8]) -> Result<Vec<Vec<u8>>, Faulty> {
    match chain.trim_ascii().is_empty() {
        true => Ok(Vec::new()),
        false => certificates(chain, Block::Chain),
    }
}

fn certificates(text: &[u8], block: Block) -> Result<Vec<Vec<u8>>, Faulty> {
    let sections = sections(text, block)?;
    let wrong = sections.iter().find(|section| section.label != CERTIFICATE);
    if let Some(Section { label, line, .. }) = wrong {
        return Err(block.is(Fault::Label {
            found: label.clone(),
            wanted: CERTIFICATE,
            line: *line,
        }));
    }
    Ok(sections.into_iter().map(|section| section.der).collect())
}

fn key(text: &[u8]) -> Result<Vec<u8>, Faulty> {
    let mut keys = sections(text, Block::Key)?;
    keys.retain(|section| section.label != PARAMETERS);
    let is_key = |section: &Section| section.label.ends_with("PRIVATE KEY");
    if let Some(Section { label, line, .. }) = keys.iter().find(|section| !is_key(section)) {
        return Err(Block::Key.is(Fault::Label {
            found: label.clone(),
            wanted: "PRIVATE KEY",
            line: *line,
        }));
    }
    let found = keys.len();
    match (keys.pop(), found) {
        (Some(key), 1) if key.encrypted => Err(Block::Key.is(Fault::Encrypted)),
        (Some(key), 1) => Ok(key.der),
        (None, _) => Err(Block::Key.is(Fault::Empty)),
        _ => Err(Block::Key.is(Fault::SeveralKeys(found))),
    }
}

fn sections(text: &[u8], block: Block) -> Result<Vec<Section>, Faulty> {
    if text.len() > LARGEST {
        return Err(block.is(Fault::TooLarge));
    }
    if text.trim_ascii().is_empty() {
        return Err(block.is(Fault::Empty));
    }
    let text = std::str::from_utf8(text).map_err(|_| block.is(Fault::NotPem))?;
    if !text.contains("-----BEGIN ") {
        return Err(block.is(Fault::NotPem));
    }
    let mut lines = text.lines().map(str::trim).zip(1..);
    let mut sections = Vec::new();
    while let Some((line, number)) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let label = line
            .strip_prefix("-----BEGIN ")
            .and_then(|rest| rest.strip_suffix("-----"));
        let label = label.ok_or_else(|| block.is(Fault::Text { line: number }))?;
        sections.push(section(label, number, &mut lines).map_err(|fault| block.is(fault))?);
    }
    Ok(sections)
}

/// The rest of a section whose first line has been read.
fn section<'a>(
    label: &str,
    line: usize,
    lines: &mut impl Iterator<Item = (&'a str, usize)>,
) -> Result<Section, Fault> {
    let end = format!("-----END {label}-----");
    let (mut body, mut encrypted) = (String::new(), label.starts_with("ENCRYPTED "));
    loop {
        let (next, _) = lines.next().ok_or(Fault::Unended { line })?;
        if next == end {
            break;
        }
        if next.starts_with("-----") {
            return Err(Fault::Unended { line });
        }
        // Headers, as old encrypted keys have them (RFC 1421).
        if next.contains(':') {
            encrypted |= next.contains("ENCRYPTED");
            continue;
        }
        body.push_str(next);
    }
    let der = match encrypted {
        true => Vec::new(),
        false => STANDARD.decode(body).map_err(|_| Fault::Base64 { line })?,
    };
    Ok(Section {
        label: label.to_owned(),
        line,
        encrypted,
        der,
    })
}
