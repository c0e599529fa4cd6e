//! As much of the WebSocket protocol (RFC 6455) as it takes to end one properly: where frames end,
//! and how the last one is written. What is in them stays unread.
//!
//! A control frame may stand between any two frames, those of one message too (5.4), and is never
//! compressed. So the end of a frame is all that has to be waited for.

/// The code of who closes because it goes away, and not because anything is wrong (7.4.1).
const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();
/// First byte of a frame that closes: the last of its message, opcode 8.
const CLOSE: u8 = 0x88;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
/// Two bytes, eight of length, four of mask.
const LONGEST_HEAD: usize = 14;

/// Follows the frames of one direction.
#[derive(Debug, Default)]
pub(super) struct Frames {
    head: [u8; LONGEST_HEAD],
    /// Bytes of the present head that have passed.
    known: usize,
    /// Bytes of its payload that have not.
    rest: u64,
    closed: bool,
}

impl Frames {
    /// Whether the next byte begins a frame.
    pub(super) fn is_between(&self) -> bool {
        self.known == 0 && self.rest == 0
    }

    /// Whether a frame has passed that closes: nothing may follow it.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Follows all of `bytes`.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// Follows `bytes` to the end of the frame that is under way; returns how many belong to it.
    pub(super) fn finish(&mut self, bytes: &[u8]) -> usize {
        let mut passed = 0;
        while !self.is_between() && passed < bytes.len() {
            passed += self.step(&bytes[passed..]);
        }
        passed
    }

    /// Follows one byte of a head, or as much as there is of a payload; returns how many.
    fn step(&mut self, bytes: &[u8]) -> usize {
        if self.rest > 0 {
            let step = usize::try_from(self.rest).map_or(bytes.len(), |rest| rest.min(bytes.len()));
            self.rest -= step as u64;
            return step;
        }
        self.head[self.known] = bytes[0];
        self.known += 1;
        if let Some(length) = self.payload() {
            self.closed |= self.head[0] & OPCODE == CLOSE & OPCODE;
            self.known = 0;
            self.rest = length;
        }
        1
    }

    /// The length of the payload, once the head is whole (5.2).
    fn payload(&self) -> Option<u64> {
        let (_, known) = self.head[..self.known].split_first()?;
        let (second, known) = known.split_first()?;
        let mask = if second & MASKED == 0 { 0 } else { 4 };
        let more = match second & LENGTH {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if known.len() < more + mask {
            return None;
        }
        let long = known[..more]
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte));
        Some(if more == 0 {
            u64::from(second & LENGTH)
        } else {
            long
        })
    }
}

/// The frame that tells a client that this end goes away.
pub(super) fn farewell_to_client() -> Vec<u8> {
    let mut frame = vec![CLOSE, 2];
    frame.extend(GOING_AWAY);
    frame
}

/// The same for a server, to whom frames are masked.
pub(super) fn farewell_to_server(mask: [u8; 4]) -> Vec<u8> {
    let mut frame = vec![CLOSE, MASKED | 2];
    frame.extend(mask);
    frame.extend(GOING_AWAY.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of every form of head: a short text, 126 and 65,536 bytes, with a mask and without.
    fn frames() -> Vec<Vec<u8>> {
        let frame = |head: &[u8], payload: usize| [head, &vec![7; payload]].concat();
        vec![
            frame(&[0x81, 5], 5),
            frame(&[0x89, 0], 0),
            frame(&[0x82, 126, 0, 126], 126),
            frame(&[0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0], 65_536),
            frame(&[0x80, MASKED | 3, 1, 2, 3, 4], 3),
            frame(&[0x82, MASKED | 126, 1, 0, 1, 2, 3, 4], 256),
            frame(&[0x82, MASKED | 127, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4], 1),
        ]
    }

    #[test]
    fn ends_are_found_however_the_bytes_are_cut() {
        for size in [1, 2, 3, 7, 64, 100_000] {
            let mut follower = Frames::default();
            for frame in frames() {
                let mut passed = 0;
                for piece in frame.chunks(size) {
                    assert_eq!(follower.is_between(), passed == 0, "after {passed} bytes");
                    follower.pass(piece);
                    passed += piece.len();
                }
                assert!(follower.is_between() && !follower.is_closed(), "{frame:?}");
            }
        }
    }

    #[test]
    fn a_frame_under_way_is_finished_and_no_other_begun() {
        let all = frames().concat();
        let mut begins = vec![0];
        begins.extend(frames().iter().scan(0, |at, frame| {
            *at += frame.len();
            Some(*at)
        }));
        // Any place in the middle of any frame; payloads in steps, for they are long.
        for at in (0..all.len()).step_by(11).chain(0..300) {
            let mut follower = Frames::default();
            follower.pass(&all[..at]);
            let end = begins.iter().find(|begin| **begin >= at).expect("an end");
            assert_eq!(at + follower.finish(&all[at..]), *end, "from {at}");
            assert!(follower.is_between());
        }
    }

    #[test]
    fn a_farewell_closes_and_is_seen_to() {
        let mask = [0xa5, 0x5a, 0xff, 0x01];
        let masked = farewell_to_server(mask);
        let code: Vec<u8> = masked[6..].iter().zip(mask).map(|(b, m)| b ^ m).collect();
        assert_eq!(code, [3, 0xe9]);
        assert_eq!(farewell_to_client(), [0x88, 2, 3, 0xe9]);
        for farewell in [farewell_to_client(), masked] {
            let mut follower = Frames::default();
            follower.pass(&farewell);
            assert!(follower.is_between() && follower.is_closed());
        }
    }
}
