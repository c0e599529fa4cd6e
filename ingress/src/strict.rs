//! Reads HTTP/1.1 requests as they come in and objects to everything that two parsers could read
//! differently.
//!
//! The engine behind us accepts more than we want: bare LF, two equal lengths, a length beside
//! chunked. Each is harmless as long as nobody else parses the same bytes, and the beginning of
//! request smuggling when somebody does. So the bytes pass this scanner first. It does not decode
//! anything; it only follows lines and lengths, and since it refuses every ambiguous framing, its
//! idea of where a request ends is the only one there is.
//!
//! Pure: bytes in, verdict out. Body bytes are skipped without being looked at.

use std::mem;

/// Where a request stops being one; the byte there must not reach the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Objection {
    /// Index into the bytes scanned last.
    pub(super) at: usize,
    pub(super) fault: Fault,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("a line ends without CR")]
    BareLf,
    #[error("a CR or NUL within a line")]
    Control,
    #[error("the request line is not method, target, version")]
    RequestLine,
    #[error("a header line without a proper name")]
    Name,
    #[error("a header value with a control character")]
    Value,
    #[error("a header folded over lines")]
    Folded,
    #[error("host is missing, doubled or empty")]
    Host,
    #[error("content-length is doubled or not a number")]
    Length,
    #[error("transfer-encoding is not exactly chunked, or is beside a length")]
    Encoding,
    #[error("a chunk has no proper size or end")]
    Chunk,
    #[error("a trailer that may not be one")]
    Trailer,
    #[error("the head is too long")]
    TooLong,
}

/// Head or trailers beyond this are not followed. Twice what the engine accepts, so that it has
/// answered 431 before.
const LONGEST_HEAD: usize = 128 << 10;
/// Chunk extensions have no use; this bounds what has to be kept of a line that came in pieces.
const LONGEST_CHUNK_LINE: usize = 1 << 10;
/// Empty lines before a request line that are forgiven (RFC 9112, 2.2 asks for one).
const EMPTY_LINES: usize = 4;

/// The scanner of one connection.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    state: State,
    head: Head,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// Bytes of the present head or trailers so far.
    length: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before a request line.
    #[default]
    Between,
    Headers,
    /// Body bytes left.
    Fixed(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
    /// Not HTTP/1.1 any more, or perhaps not: after a request that asks for an upgrade nothing is
    /// read as HTTP again. The proxy closes the connection unless the upgrade is granted.
    Opaque,
}

/// What the present head said.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    http_10: bool,
    connect: bool,
    host: bool,
    upgrade: bool,
    length: Option<u64>,
    chunked: bool,
    empty_lines: usize,
}

impl Scanner {
    /// Takes the next bytes of the connection.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Result<(), Objection> {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            at += match &mut self.state {
                State::Opaque => rest.len(),
                State::Fixed(left) => {
                    let step = skip(left, rest);
                    if *left == 0 {
                        self.state = State::Between;
                    }
                    step
                }
                State::ChunkData(left) => {
                    let step = skip(left, rest);
                    if *left == 0 {
                        self.state = State::ChunkEnd;
                    }
                    step
                }
                _ => self.line(rest).map_err(|fault| Objection { at, fault })?,
            };
        }
        Ok(())
    }

    /// Whether a request's head has begun and not ended.
    pub(super) fn within_head(&self) -> bool {
        self.state == State::Headers || (self.state == State::Between && !self.line.is_empty())
    }

    /// Takes what there is of a line; returns how many bytes that was.
    fn line(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
            self.line.extend_from_slice(bytes);
            self.bounded(0)?;
            return Ok(bytes.len());
        };
        let step = end + 1;
        if self.line.is_empty() {
            self.bounded(step)?;
            self.whole_line(&bytes[..step])?;
        } else {
            let mut line = mem::take(&mut self.line);
            line.extend_from_slice(&bytes[..step]);
            self.bounded(line.len())?;
            let verdict = self.whole_line(&line);
            line.clear();
            self.line = line;
            verdict?;
        }
        Ok(step)
    }

    fn bounded(&mut self, complete: usize) -> Result<(), Fault> {
        self.length += complete;
        let limit = match self.state {
            State::ChunkSize | State::ChunkEnd => LONGEST_CHUNK_LINE,
            _ => LONGEST_HEAD,
        };
        if self.length + self.line.len() > limit {
            return Err(Fault::TooLong);
        }
        Ok(())
    }

    fn whole_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let Some(line) = line.strip_suffix(b"\r\n") else {
            return Err(Fault::BareLf);
        };
        if line.iter().any(|b| matches!(b, b'\r' | 0)) {
            return Err(Fault::Control);
        }
        self.state = match self.state {
            State::Between if line.is_empty() => self.empty_line()?,
            State::Between => self.request_line(line)?,
            State::Headers if line.is_empty() => self.end_of_head()?,
            State::Headers => self.header(line)?,
            State::ChunkSize => self.chunk_size(line)?,
            State::ChunkEnd if line.is_empty() => State::ChunkSize,
            State::ChunkEnd => return Err(Fault::Chunk),
            State::Trailers if line.is_empty() => self.end_of_message(),
            State::Trailers => trailer(line)?,
            state @ (State::Fixed(_) | State::ChunkData(_) | State::Opaque) => state,
        };
        if matches!(self.state, State::ChunkSize | State::ChunkData(_)) {
            self.length = 0;
        }
        Ok(())
    }

    fn empty_line(&mut self) -> Result<State, Fault> {
        self.head.empty_lines += 1;
        if self.head.empty_lines > EMPTY_LINES {
            return Err(Fault::RequestLine);
        }
        Ok(State::Between)
    }

    fn request_line(&mut self, line: &[u8]) -> Result<State, Fault> {
        let mut parts = line.split(|b| *b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::RequestLine);
        };
        let http_10 = version == b"HTTP/1.0";
        // A fragment is no part of a target; the engine would drop it, and what stands behind us
        // might not.
        let target_byte = |b: &u8| *b > b' ' && *b != b'#';
        let sound = is_token(method) && !target.is_empty() && target.iter().all(target_byte);
        if !sound || !(http_10 || version == b"HTTP/1.1") {
            return Err(Fault::RequestLine);
        }
        self.head = Head {
            http_10,
            connect: method == b"CONNECT",
            ..Head::default()
        };
        Ok(State::Headers)
    }

    fn header(&mut self, line: &[u8]) -> Result<State, Fault> {
        let (name, value) = name_and_value(line)?;
        let head = &mut self.head;
        if name.eq_ignore_ascii_case(b"content-length") {
            if head.chunked {
                return Err(Fault::Encoding);
            }
            // With a leading zero some read an octal number.
            let digits = match value {
                [b'0', _, ..] | [] => false,
                value => value.iter().all(u8::is_ascii_digit),
            };
            let number = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
            match (head.length, number) {
                (None, Some(number)) if digits => head.length = Some(number),
                _ => return Err(Fault::Length),
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let alone = !head.http_10 && !head.chunked && head.length.is_none();
            if !alone || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Fault::Encoding);
            }
            head.chunked = true;
        } else if name.eq_ignore_ascii_case(b"host") {
            if head.host || value.is_empty() {
                return Err(Fault::Host);
            }
            head.host = true;
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            head.upgrade = true;
        }
        Ok(State::Headers)
    }

    fn end_of_head(&mut self) -> Result<State, Fault> {
        let head = self.head;
        if !head.host && !head.http_10 {
            return Err(Fault::Host);
        }
        self.length = 0;
        Ok(match head.length {
            _ if head.chunked => State::ChunkSize,
            Some(length) if length > 0 => State::Fixed(length),
            _ if head.upgrade || head.connect => State::Opaque,
            _ => self.end_of_message(),
        })
    }

    fn chunk_size(&mut self, line: &[u8]) -> Result<State, Fault> {
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let (size, extensions) = line.split_at(digits);
        if !are_extensions(extensions) {
            return Err(Fault::Chunk);
        }
        let size = std::str::from_utf8(size).unwrap_or_default();
        match u64::from_str_radix(size, 16) {
            Ok(0) => Ok(State::Trailers),
            Ok(size) => Ok(State::ChunkData(size)),
            Err(_) => Err(Fault::Chunk),
        }
    }

    fn end_of_message(&mut self) -> State {
        self.length = 0;
        self.head = Head::default();
        State::Between
    }
}

/// Trailers that would change what the head said of framing, routing or rights (RFC 9110, 6.5.1).
fn trailer(line: &[u8]) -> Result<State, Fault> {
    const REFUSED: [&[u8]; 8] = [
        b"content-length",
        b"transfer-encoding",
        b"host",
        b"authorization",
        b"cookie",
        b"connection",
        b"upgrade",
        b"expect",
    ];
    let (name, _) = name_and_value(line)?;
    let ours = name.len() >= 12 && name[..12].eq_ignore_ascii_case(b"x-forwarded-");
    if ours
        || REFUSED
            .iter()
            .any(|refused| name.eq_ignore_ascii_case(refused))
    {
        return Err(Fault::Trailer);
    }
    Ok(State::Trailers)
}

fn name_and_value(line: &[u8]) -> Result<(&[u8], &[u8]), Fault> {
    if matches!(line.first(), Some(b' ' | b'\t')) {
        return Err(Fault::Folded);
    }
    let colon = line.iter().position(|b| *b == b':').ok_or(Fault::Name)?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) {
        return Err(Fault::Name);
    }
    if value
        .iter()
        .any(|b| (*b < b' ' && *b != b'\t') || *b == 0x7f)
    {
        return Err(Fault::Value);
    }
    Ok((name, trim(value)))
}

/// Whether what follows a chunk's size is extensions (RFC 9112, 7.1.1), or nothing. A lone
/// semicolon or a space before the line's end is neither, and parsers differ about it.
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(after) = trim_start(rest).strip_prefix(b";") else {
            return false;
        };
        let (name, after) = token(trim_start(after));
        if name.is_empty() {
            return false;
        }
        rest = after;
        if let Some(value) = trim_start(after).strip_prefix(b"=") {
            let value = trim_start(value);
            let after = match value.strip_prefix(b"\"") {
                Some(quoted) => after_quoted(quoted),
                None => Some(token(value))
                    .filter(|(t, _)| !t.is_empty())
                    .map(|(_, rest)| rest),
            };
            let Some(after) = after else { return false };
            rest = after;
        }
    }
    true
}

/// What follows a quoted string (RFC 9110, 5.6.4) whose opening quote was read.
fn after_quoted(mut rest: &[u8]) -> Option<&[u8]> {
    let printable = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
    loop {
        rest = match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped, after @ ..] if printable(*escaped) => after,
            [b, after @ ..] if printable(*b) && *b != b'\\' => after,
            _ => return None,
        };
    }
}

/// The token that the bytes begin with, and what follows it.
fn token(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| !is_token(&[*b]));
    bytes.split_at(end.unwrap_or(bytes.len()))
}

/// RFC 9110, 5.6.2.
fn is_token(bytes: &[u8]) -> bool {
    let token = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !bytes.is_empty() && bytes.iter().all(token)
}

/// Without spaces and tabs around it.
fn trim(bytes: &[u8]) -> &[u8] {
    let mut bytes = trim_start(bytes);
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

fn trim_start(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

fn skip(left: &mut u64, bytes: &[u8]) -> usize {
    let step = usize::try_from(*left)
        .unwrap_or(usize::MAX)
        .min(bytes.len());
    *left -= step as u64;
    step
}

#[cfg(test)]
mod tests;
