//! Follows a client's HTTP/2 frames and objects to one that keeps us busy without asking for
//! anything.
//!
//! The engine bounds what costs memory: header lists, continuations, streams, streams reset before
//! anybody looked at them. What costs only time it answers as long as it comes: pings, settings,
//! priorities, empty data, requests that are taken back at once. So each frame has a price, and
//! what a client honestly does brings in more than that costs: asking for something, sending a
//! body, letting us send one. Time brings in a little for those who are merely nervous.
//!
//! Pure: bytes and time in, verdict out. Payloads are skipped without being looked at.

/// The scanner of one connection, from its preface on.
#[derive(Debug)]
pub(super) struct Frames {
    /// The header of a frame, as far as it has come.
    header: [u8; HEADER],
    known: usize,
    /// Payload of the present frame still to come; first of all the preface.
    left: usize,
    balance: i64,
    /// Bytes of use that have not made a whole unit yet.
    odd_bytes: u64,
    paid_until_ms: u64,
    /// Frames that have begun since this was last taken.
    begun: u32,
}

/// The connection asks too much; from this index on nothing shall reach the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch {
    pub(super) at: usize,
}

const HEADER: usize = 9;

// Frame types and the flag of RFC 9113, 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;

/// The most that is saved: bursts of cancelled page loads and of settings stay far below it.
const SAVED: i64 = 2_000;
/// What a second brings: 50 pings, or 12 requests taken back at once.
const PER_SECOND: i64 = 100;
/// What a request or its trailers bring: a ping and a window's update beside each are normal.
const REQUEST: i64 = 4;
/// What a KiB of body brings, in either direction: clients that measure the path answer every few
/// frames of ours with a ping, and every one with a window's update.
const PER_KIB: i64 = 1;

impl Frames {
    pub(super) fn new(preface: usize, now_ms: u64) -> Self {
        Self {
            header: [0; HEADER],
            known: 0,
            left: preface,
            balance: SAVED,
            odd_bytes: 0,
            paid_until_ms: now_ms,
            begun: 0,
        }
    }

    /// Frames that have begun since the last call.
    pub(super) fn take_begun(&mut self) -> u32 {
        std::mem::take(&mut self.begun)
    }

    /// Takes the next bytes of the connection; `written` is what went to the client meanwhile.
    ///
    /// The verdict always falls between two frames, so that the engine can be told in frames.
    pub(super) fn scan(&mut self, bytes: &[u8], written: u64, now_ms: u64) -> Result<(), TooMuch> {
        self.earn_by_time(now_ms);
        self.earn_by_bytes(written);
        let mut at = 0;
        loop {
            let step = self.left.min(bytes.len() - at);
            self.left -= step;
            at += step;
            if self.left == 0 && self.known == 0 && self.balance < 0 {
                return Err(TooMuch { at });
            }
            if at == bytes.len() {
                return Ok(());
            }
            let step = (HEADER - self.known).min(bytes.len() - at);
            self.header[self.known..self.known + step].copy_from_slice(&bytes[at..at + step]);
            self.known += step;
            at += step;
            if self.known == HEADER {
                self.known = 0;
                self.frame();
            }
        }
    }

    /// A frame has begun.
    fn frame(&mut self) {
        self.begun += 1;
        let [high, middle, low, kind, flags, ..] = self.header;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let empty = self.left == 0;
        let price = match kind {
            DATA if empty && flags & END_STREAM == 0 => 4,
            DATA => 0,
            HEADERS => -REQUEST,
            RST_STREAM | SETTINGS | GOAWAY => 8,
            PING => 2,
            PRIORITY | WINDOW_UPDATE | CONTINUATION => 1,
            _ => 2,
        };
        if kind == DATA {
            self.earn_by_bytes(self.left as u64);
        }
        self.earn(-price);
    }

    fn earn_by_time(&mut self, now_ms: u64) {
        let whole = now_ms.saturating_sub(self.paid_until_ms) * PER_SECOND as u64 / 1000;
        if whole > 0 {
            self.paid_until_ms = now_ms;
            self.earn(i64::try_from(whole).unwrap_or(SAVED));
        }
    }

    fn earn_by_bytes(&mut self, bytes: u64) {
        let bytes = self.odd_bytes + bytes;
        self.odd_bytes = bytes % 1024;
        self.earn((bytes / 1024) as i64 * PER_KIB);
    }

    fn earn(&mut self, amount: i64) {
        self.balance = self.balance.saturating_add(amount).min(SAVED);
    }
}

/// Frames that make the engine end the connection with GOAWAY and ENHANCE_YOUR_CALM: a head that
/// never ends, on a stream that no client has reached. Its bound on continuations is 5 where heads
/// are bounded by 64 KiB; more does no harm, since nothing is read after its verdict.
pub(super) fn calming() -> Vec<u8> {
    const NEVER_REACHED: u32 = 0x7fff_ffff;
    const CONTINUATIONS: usize = 16;
    let frame = |kind: u8| {
        let mut frame = [0, 0, 0, kind, 0, 0, 0, 0, 0];
        frame[5..].copy_from_slice(&NEVER_REACHED.to_be_bytes());
        frame
    };
    let mut frames = frame(HEADERS).to_vec();
    frames.extend(std::iter::repeat_n(frame(CONTINUATION), CONTINUATIONS).flatten());
    frames
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let length = u32::try_from(length).expect("a small frame").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(
            HEADER + usize::from(length[2]) * 256 + usize::from(length[3]),
            0xff,
        );
        frame
    }

    /// How many rounds of `frames` pass within a moment, out of `most`.
    fn rounds(frames: &[Vec<u8>], written: u64, most: usize) -> usize {
        let mut scanner = Frames::new(0, 0);
        let round = frames.concat();
        (0..most)
            .take_while(|_| scanner.scan(&round, written, 0).is_ok())
            .count()
    }

    #[test]
    fn what_is_asked_for_may_go_on_for_ever() {
        let honest = [
            // requests, each with what clients send around them
            (vec![frame(HEADERS, 5, 20), frame(WINDOW_UPDATE, 0, 4)], 60),
            (
                vec![frame(HEADERS, 5, 20), frame(PING, 0, 8), frame(PING, 1, 8)],
                0,
            ),
            // uploads, also of small pieces
            (vec![frame(DATA, 0, 16_384)], 0),
            (vec![frame(DATA, 0, 100)], 0),
            // a download, and a client that answers each frame of it
            (
                vec![
                    frame(WINDOW_UPDATE, 0, 4),
                    frame(WINDOW_UPDATE, 0, 4),
                    frame(PING, 0, 8),
                ],
                16_384,
            ),
            // every third request is taken back
            (
                [
                    vec![frame(HEADERS, 5, 20); 3],
                    vec![frame(RST_STREAM, 0, 4)],
                ]
                .concat(),
                100,
            ),
        ];
        for (frames, written) in honest {
            assert_eq!(rounds(&frames, written, 50_000), 50_000, "{frames:?}");
        }
    }

    #[test]
    fn what_only_costs_ends_soon() {
        let floods = [
            ("pings", vec![frame(PING, 0, 8)], 1_001),
            ("settings", vec![frame(SETTINGS, 0, 6)], 251),
            (
                "resets",
                vec![frame(HEADERS, 5, 20), frame(RST_STREAM, 0, 4)],
                501,
            ),
            ("priorities", vec![frame(PRIORITY, 0, 5)], 2_001),
            ("empty data", vec![frame(DATA, 0, 0)], 501),
            ("windows", vec![frame(WINDOW_UPDATE, 0, 4)], 2_001),
            ("unknown", vec![frame(0xfa, 0, 0)], 1_001),
        ];
        for (name, frames, most) in floods {
            let passed = rounds(&frames, 0, 50_000);
            assert!(passed < most, "{passed} rounds of {name}");
        }
    }

    #[test]
    fn time_brings_a_little() {
        let mut scanner = Frames::new(0, 0);
        let second = frame(PING, 0, 8).repeat(45);
        for second_number in 0..1_000 {
            let verdict = scanner.scan(&second, 0, second_number * 1_000);
            assert_eq!(verdict, Ok(()), "second {second_number}");
        }
        let faster = frame(PING, 0, 8).repeat(100);
        let ends = (1_000..2_000).find(|second| scanner.scan(&faster, 0, second * 1_000).is_err());
        assert!(ends.is_some_and(|second| second < 1_050), "{ends:?}");
    }

    proptest! {
        /// How the bytes are cut into reads changes neither the verdict nor the frame it falls at.
        #[test]
        fn pieces_are_judged_as_the_whole(
            kinds in proptest::collection::vec((0u8..11, 0usize..40), 1..300),
            cuts in proptest::collection::vec(1usize..50, 1..50),
        ) {
            let mut frames = vec![vec![b'P'; 24]];
            frames.extend(kinds.iter().map(|(kind, length)| frame(*kind, 0, *length)));
            // Poor from the beginning, so that verdicts fall within the sample.
            let poor = || Frames { balance: 50, ..Frames::new(24, 0) };
            let bytes = frames.concat();
            let whole = poor().scan(&bytes, 0, 0).err().map(|too_much| too_much.at);
            let (mut scanner, mut begun, mut cuts) = (poor(), 0, cuts.iter().cycle());
            let mut pieces = None;
            while begun < bytes.len() && pieces.is_none() {
                let end = bytes.len().min(begun + cuts.next().expect("endless"));
                let verdict = scanner.scan(&bytes[begun..end], 0, 0);
                pieces = verdict.err().map(|too_much| begun + too_much.at);
                begun = end;
            }
            prop_assert_eq!(whole, pieces);
            let starts: Vec<usize> = frames
                .iter()
                .scan(0, |at, frame| { *at += frame.len(); Some(*at) })
                .collect();
            prop_assert!(whole.is_none_or(|at| starts.contains(&at)));
        }
    }
}
