//! Base 32 of RFC 4648 in lowercase, without padding: what people may read out and shells leave
//! alone.

const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    let (mut held, mut bits) = (0_u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(letter(held >> bits));
        }
    }
    if bits > 0 {
        text.push(letter(held << (5 - bits)));
    }
    text
}

fn letter(five_bits: u32) -> char {
    char::from(LETTERS[(five_bits & 31) as usize])
}

/// Exactly `N` bytes, or nothing: other letters, another length, or bits beyond the last byte.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != (N * 8).div_ceil(5) {
        return None;
    }
    let mut bytes = [0; N];
    let mut filled = 0;
    let (mut held, mut bits) = (0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        held = held << 5 | value as u32;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(filled)? = (held >> bits & 0xff) as u8;
            filled += 1;
        }
    }
    // Else two texts would mean the same bytes.
    let rest = held & ((1 << bits) - 1);
    (filled == N && rest == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_come_back(bytes: [u8; 32]) {
            let text = encode(&bytes);
            prop_assert_eq!(text.len(), 52);
            prop_assert_eq!(decode::<32>(&text), Some(bytes));
        }

        #[test]
        fn no_two_texts_mean_the_same(bytes: [u8; 4], at in 0..7_usize, letter in 0..32_usize) {
            let mut text = encode(&bytes).into_bytes();
            prop_assume!(text[at] != LETTERS[letter]);
            text[at] = LETTERS[letter];
            let text = String::from_utf8(text).unwrap_or_default();
            prop_assert_ne!(decode::<4>(&text), Some(bytes));
        }
    }

    #[test]
    fn other_texts_are_no_bytes() {
        for text in ["", "a", "aa1aaaa", "AAAAAAA", "aaaaaaaa", "aaaaaab"] {
            assert_eq!(decode::<4>(text), None, "{text}");
        }
        assert_eq!(decode::<4>("aaaaaaa"), Some([0; 4]));
    }
}
