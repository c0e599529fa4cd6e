//! What a certificate says of its subject and its time. The library that verifies certificates reads
//! both and gives neither out; this reads them again, after that library has found the certificate
//! well-formed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Some fields of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) begins: SystemTime,
    pub(super) expires: SystemTime,
    /// Empty where the subject has none.
    pub(super) common_name: String,
    pub(super) organization: String,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OBJECT_ID: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;

/// 2.5.4.3 and 2.5.4.10 (X.520).
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANIZATION: &[u8] = &[0x55, 0x04, 0x0a];

/// `None` when it is no certificate.
pub(super) fn said(certificate: &[u8]) -> Option<Said> {
    // RFC 5280, 4.1: version, serial number, algorithm, issuer, validity, subject.
    let mut certificate = Reader(certificate).expect(SEQUENCE)?;
    let mut fields = certificate.expect(SEQUENCE)?;
    fields.skip_if(VERSION)?;
    fields.expect(INTEGER)?;
    fields.expect(SEQUENCE)?;
    fields.expect(SEQUENCE)?;
    let mut validity = fields.expect(SEQUENCE)?;
    let (begins, expires) = (validity.time()?, validity.time()?);
    let subject = fields.expect(SEQUENCE)?;
    Some(Said {
        begins,
        expires,
        common_name: attribute(subject.0, COMMON_NAME),
        organization: attribute(subject.0, ORGANIZATION),
    })
}

/// The last of its kind in a name (the most specific one comes last); empty if there is none. For
/// people to read: what cannot be decoded is replaced.
pub(super) fn common_name(name: &[u8]) -> String {
    attribute(name, COMMON_NAME)
}

fn attribute(name: &[u8], kind: &[u8]) -> String {
    let mut found = String::new();
    let mut sets = Reader(name);
    while let Some(mut set) = sets.expect(SET) {
        while let Some(mut pair) = set.expect(SEQUENCE) {
            let Some(id) = pair.expect(OBJECT_ID) else {
                break;
            };
            if let (true, Some((tag, value))) = (id.0 == kind, pair.element()) {
                found = text(tag, value);
            }
        }
    }
    found
}

fn text(tag: u8, value: &[u8]) -> String {
    if tag != BMP_STRING {
        return String::from_utf8_lossy(value).into_owned();
    }
    let units = value.chunks_exact(2);
    let units: Vec<u16> = units
        .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16_lossy(&units)
}

/// Elements one after the other: tag, length, content.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // The length in so many bytes; four are more than any certificate has.
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0, |all, byte| (all << 8) | usize::from(*byte));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn expect(&mut self, tag: u8) -> Option<Reader<'a>> {
        let before = self.0;
        match self.element() {
            Some((found, content)) if found == tag => Some(Reader(content)),
            _ => {
                self.0 = before;
                None
            }
        }
    }

    fn skip_if(&mut self, tag: u8) -> Option<()> {
        if self.0.first() == Some(&tag) {
            self.element()?;
        }
        Some(())
    }

    fn time(&mut self) -> Option<SystemTime> {
        let (tag, digits) = self.element()?;
        let digits = digits.strip_suffix(b"Z")?;
        let pair = |at: usize| -> Option<u64> {
            let two = std::str::from_utf8(digits.get(at..at + 2)?).ok()?;
            two.bytes()
                .all(|b| b.is_ascii_digit())
                .then(|| two.parse().ok())?
        };
        let (year, at) = match (tag, digits.len()) {
            // RFC 5280, 4.1.2.5.1: the years from 1950 to 2049.
            (UTC_TIME, 12) => (pair(0)? + if pair(0)? < 50 { 2000 } else { 1900 }, 2),
            (GENERALIZED_TIME, 14) => (pair(0)? * 100 + pair(2)?, 4),
            _ => return None,
        };
        let (month, day) = (pair(at)?, pair(at + 2)?);
        let (hours, minutes, seconds) = (pair(at + 4)?, pair(at + 6)?, pair(at + 8)?);
        let days = days_since_1970(year, month, day)?;
        let seconds = days * 86_400 + hours * 3_600 + minutes * 60 + seconds;
        UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    }
}

/// In the Gregorian calendar; `None` before 1970, which is where no certificate begins that could be
/// believed. Years begin in March, so that the odd day of a leap year is their last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year.checked_sub(1)?, month + 9)
    };
    let leaps = year / 4 - year / 100 + year / 400;
    // 153 days in each five months from March on.
    let days = year * 365 + leaps + (153 * month + 2) / 5 + day - 1;
    // From the 1st of March of the year 0 to 1970.
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_calendars_do() {
        for (year, month, day, days) in [
            (1970, 1, 1, Some(0)),
            (1970, 3, 1, Some(59)),
            (2000, 2, 29, Some(11_016)),
            (2000, 3, 1, Some(11_017)),
            (2100, 3, 1, Some(47_541)),
            (2024, 12, 31, Some(20_088)),
            (1969, 12, 31, None),
            (2024, 13, 1, None),
            (2024, 0, 1, None),
        ] {
            assert_eq!(
                days_since_1970(year, month, day),
                days,
                "{year}-{month}-{day}"
            );
        }
    }

    #[test]
    fn times_are_read_in_both_forms_and_nothing_else() {
        let read = |tag: u8, text: &str| {
            let bytes = [&[tag, text.len() as u8], text.as_bytes()].concat();
            let time = Reader(&bytes).time()?;
            time.duration_since(UNIX_EPOCH)
                .ok()
                .map(|since| since.as_secs())
        };
        assert_eq!(read(UTC_TIME, "240229120000Z"), Some(1_709_208_000));
        assert_eq!(
            read(GENERALIZED_TIME, "20500101000000Z"),
            Some(2_524_608_000)
        );
        for (tag, text) in [
            (UTC_TIME, "2402291200Z"),
            (UTC_TIME, "240229120000"),
            (UTC_TIME, "+40229120000Z"),
            (UTC_TIME, "500101000000Z"),
            (GENERALIZED_TIME, "20240229120000.5Z"),
            (0x0c, "240229120000Z"),
        ] {
            assert_eq!(read(tag, text), None, "{text}");
        }
    }

    #[test]
    fn no_bytes_are_too_odd() {
        for bytes in [
            &[][..],
            &[0x30],
            &[0x30, 0x80],
            &[0x30, 0x84, 255, 255, 255, 255],
            &[0x30, 0x85],
        ] {
            assert_eq!(said(bytes), None);
        }
    }
}
