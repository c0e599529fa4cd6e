//! The cases of `cases.txt`, read.

use std::fmt;

/// One case.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) level: &'static str,
    pub(super) right: Vec<Right>,
    pub(super) bytes: Vec<u8>,
    /// The client says afterwards that nothing more comes.
    pub(super) ends: bool,
}

/// An answer that is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Right {
    Status(u16),
    Success,
    /// A success after which the connection ends.
    SuccessThenEnd,
    /// No answer, and the connection ends.
    End,
    /// Everything but 101.
    NoSwitch,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// And whether the connection could be used afterwards.
    Status(u16, Afterwards),
    /// The connection ended without one.
    None,
    /// Neither came in time.
    Silence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Afterwards {
    Open,
    Ended,
}

impl Case {
    /// All of them, for this host.
    pub(super) fn all(host: &str) -> Vec<Self> {
        let lines = include_str!("cases.txt").lines();
        let told = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut cases: Vec<Self> = Vec::new();
        for line in told {
            match line.strip_prefix("  ") {
                None => cases.push(Self::titled(line)),
                Some(text) => {
                    let case = cases.last_mut().expect("bytes belong to a case");
                    let (text, ends) = match text.strip_suffix("{EOF}") {
                        Some(text) => (text, true),
                        None => (text, false),
                    };
                    case.bytes.extend(bytes(text, host));
                    case.ends = ends;
                }
            }
        }
        cases
    }

    fn titled(line: &'static str) -> Self {
        let mut words = line.split(' ');
        let mut word = || words.next().expect("name, level, answers");
        let (name, level) = (word(), word());
        Self {
            name,
            level,
            right: words.map(Right::read).collect(),
            bytes: Vec::new(),
            ends: false,
        }
    }

    pub(super) fn is_right(&self, answer: Answer) -> bool {
        self.right.iter().any(|right| right.is(answer))
    }

    pub(super) fn asks_for_head(&self) -> bool {
        self.bytes.starts_with(b"HEAD ")
    }
}

impl Right {
    fn read(word: &str) -> Self {
        match word {
            "2xx" => Self::Success,
            "2xx-close" => Self::SuccessThenEnd,
            "close" => Self::End,
            "other" => Self::NoSwitch,
            status => Self::Status(status.parse().expect("a status")),
        }
    }

    fn is(self, answer: Answer) -> bool {
        match (self, answer) {
            (Self::Status(right), Answer::Status(status, _)) => status == right,
            (Self::Success, Answer::Status(status, _)) => (200..300).contains(&status),
            (Self::SuccessThenEnd, Answer::Status(status, Afterwards::Ended)) => {
                (200..300).contains(&status)
            }
            (Self::End, Answer::None) => true,
            (Self::NoSwitch, Answer::Status(status, _)) => status != 101,
            (Self::NoSwitch, Answer::None) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Status(status, Afterwards::Open) => format!("{status}"),
            Self::Status(status, Afterwards::Ended) => format!("{status} closed"),
            Self::None => "closed".to_owned(),
            Self::Silence => "silent".to_owned(),
        };
        f.pad(&text)
    }
}

/// The bytes that a text of the file stands for.
fn bytes(text: &str, host: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\\', '{']) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        rest = &rest[at..];
        rest = if let Some(after) = rest.strip_prefix('{') {
            let end = after.find('}').expect("a closing brace");
            out.extend(braced(&after[..end], host));
            &after[end + 1..]
        } else {
            let (byte, length) = escaped(&rest[1..]);
            out.push(byte);
            &rest[1 + length..]
        };
    }
    out.extend_from_slice(rest.as_bytes());
    out
}

fn braced(inside: &str, host: &str) -> Vec<u8> {
    match inside {
        "h" => host.as_bytes().to_vec(),
        "H" => format!("Host: {host}\r\n").into_bytes(),
        repeated => {
            let (what, times) = repeated.rsplit_once('*').expect("a repetition");
            bytes(what, host).repeat(times.parse().expect("a number"))
        }
    }
}

/// The byte, and how many characters it took after the backslash.
fn escaped(text: &str) -> (u8, usize) {
    match text.as_bytes()[0] {
        b'r' => (b'\r', 1),
        b'n' => (b'\n', 1),
        b't' => (b'\t', 1),
        b'0' => (0, 1),
        b'\\' => (b'\\', 1),
        b'x' => (u8::from_str_radix(&text[1..3], 16).expect("two digits"), 3),
        other => panic!("\\{} means nothing", char::from(other)),
    }
}
