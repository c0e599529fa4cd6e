//! The three blocks of a certificate: out of files, or out of standard input as the predecessor read
//! them.

use std::path::Path;

use crate::args::CertificateAdd;
use crate::failure::Failure;
use crate::session::Session;

/// What ends a block on a terminal: ^D, which a program that feeds one may send as it is.
const END: char = '\u{4}';

/// More than the cluster takes of one block; what is longer was a slip.
const LARGEST: u64 = 1 << 20;

/// Certificate, chain and key, as they came. What is in them is the cluster's to judge.
#[derive(Default)]
pub(super) struct Blocks {
    pub(super) certificate: String,
    pub(super) chain: String,
    pub(super) key: String,
}

pub(super) fn read(session: &mut Session, asked: &CertificateAdd) -> Result<Blocks, Failure> {
    let file = |path: &Path| file(session, path);
    if let (Some(certificate), Some(key)) = (&asked.cert, &asked.key) {
        return Ok(Blocks {
            certificate: file(certificate)?,
            chain: asked
                .chain
                .as_deref()
                .map(file)
                .transpose()?
                .unwrap_or_default(),
            key: file(key)?,
        });
    }
    if session.console.input_is_terminal {
        return typed(session);
    }
    Ok(parted(&session.console.read_all()?))
}

/// On a terminal the input goes on behind each ^D.
fn typed(session: &mut Session) -> Result<Blocks, Failure> {
    let mut block = |what: &str| {
        session.console.remark(&format!("{what}, then ^D:"));
        session.console.read_all()
    };
    Ok(Blocks {
        certificate: block("Certificate")?,
        chain: block("Chain (may be empty)")?,
        key: block("Private key")?,
    })
}

/// Blocks in one stream: ended by ^D where that is in it, else told apart by what their sections are.
fn parted(text: &str) -> Blocks {
    if text.contains(END) {
        let mut blocks = text.split(END).map(str::to_owned);
        let mut next = || blocks.next().unwrap_or_default();
        return Blocks {
            certificate: next(),
            chain: next(),
            key: next(),
        };
    }
    let mut parted = Blocks::default();
    let mut rest = text;
    loop {
        let end = rest.find("-----END ").and_then(|at| {
            let line = rest[at..].find('\n').map_or(rest.len(), |end| at + end + 1);
            Some(line).filter(|end| *end > 0)
        });
        let (section, behind) = rest.split_at(end.unwrap_or(rest.len()));
        let block = match section.find("-----BEGIN ").map(|at| &section[at..]) {
            Some(begin) if begin.starts_with("-----BEGIN CERTIFICATE") => {
                match parted.certificate.is_empty() {
                    true => &mut parted.certificate,
                    false => &mut parted.chain,
                }
            }
            Some(_) => &mut parted.key,
            // What is behind the last section belongs to it; what is in front of all, to the first.
            None if parted.key.is_empty() => &mut parted.certificate,
            None => &mut parted.key,
        };
        block.push_str(section);
        if end.is_none() {
            return parted;
        }
        rest = behind;
    }
}

/// A file of PEM that was named on the command line.
pub(super) fn file(session: &Session, path: &Path) -> Result<String, Failure> {
    read_file(&session.surroundings.directory.join(path), path)
}

fn read_file(path: &Path, typed: &Path) -> Result<String, Failure> {
    let unreadable = |why: &str| Failure::failed(format!("cannot read {}: {why}", typed.display()));
    let length = std::fs::metadata(path)
        .map_err(|error| unreadable(&error.to_string()))?
        .len();
    if length > LARGEST {
        return Err(unreadable("it is too large for a certificate or a key"));
    }
    let bytes = std::fs::read(path).map_err(|error| unreadable(&error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| {
        unreadable("it is not PEM").hint("convert it: openssl x509 -inform der -in FILE")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n";
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\nBB\n-----END PRIVATE KEY-----\n";

    fn check(text: &str, certificate: &str, chain: &str, key: &str) {
        let parted = parted(text);
        let given = [&*parted.certificate, &parted.chain, &parted.key];
        assert_eq!(given, [certificate, chain, key], "{text:?}");
    }

    #[test]
    fn blocks_are_ended_or_told_apart() {
        let (one, key) = (CERTIFICATE, KEY);
        check(&format!("{one}\u{4}\u{4}{key}\u{4}"), one, "", key);
        check(
            &format!("{one}\u{4}{one}{one}\u{4}{key}"),
            one,
            &one.repeat(2),
            key,
        );
        check(&format!("{one}{one}{one}{key}"), one, &one.repeat(2), key);
        check(&format!("{key}{one}"), one, "", key);
        let open = one.trim_end();
        check(&format!("{key}{open}"), open, "", key);
        check(one, one, "", "");
        // Nonsense arrives as it is: the cluster says what is wrong with it, and in which block.
        check("hello", "hello", "", "");
        check(
            &format!("hello\n{one}{key}!"),
            &format!("hello\n{one}"),
            "",
            &format!("{key}!"),
        );
        check("", "", "", "");
    }
}
