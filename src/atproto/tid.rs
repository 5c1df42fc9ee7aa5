//! Keys that tell a time, as posts have them.

use std::fmt;

use babelfeed_actors::domain::Timestamp;

/// The digits, in their order.
const DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";
/// How many digits there are.
const LENGTH: usize = 13;
/// How many bits stand below the time: the number of a clock.
const CLOCK: u32 = 10;

/// A time in microseconds with a number beside it; keys rise as times do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tid(u64);

impl Tid {
    /// The key of that time; `clock` tells apart what has the same, and counts up to 1023.
    ///
    /// Both are cut to the bits that they have.
    pub const fn new(micros: u64, clock: u64) -> Self {
        let clock = clock & ((1 << CLOCK) - 1);
        Self((micros << CLOCK | clock) & (u64::MAX >> 1))
    }

    /// The key; none where it is not one.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != LENGTH {
            return None;
        }
        // Thirteen digits hold 65 bits, and the highest of the 64 that there are is always 0.
        text.bytes()
            .try_fold(0_u128, |value, byte| {
                let digit = DIGITS.iter().position(|it| *it == byte)?;
                Some(value << 5 | digit as u128)
            })
            .and_then(|value| u64::try_from(value).ok())
            .filter(|value| value >> 63 == 0)
            .map(Self)
    }

    /// The time.
    pub fn time(self) -> Timestamp {
        let millis = (self.0 >> CLOCK) / 1000;
        Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for place in (0..LENGTH).rev() {
            let digit = DIGITS[((self.0 >> (5 * place)) & 31) as usize];
            fmt::Write::write_char(f, char::from(digit))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_written_as_atproto_writes_them() {
        let noon = 1_795_262_400_000_000;
        for (micros, clock, written) in [
            (0, 0, "2222222222222"),
            (noon, 0, "3n2t2gu4w2222"),
            (noon, 1, "3n2t2gu4w2223"),
            (noon, 1023, "3n2t2gu4w22zz"),
            (1_688_137_381_887_007, 6, "3jzfcijpj2z2a"),
        ] {
            let tid = Tid::new(micros, clock);
            assert_eq!(tid.to_string(), written);
            assert_eq!(Tid::parse(written), Some(tid));
        }
    }

    #[test]
    fn a_key_tells_when_it_was_made() {
        let tid = Tid::parse("3jzfcijpj2z2a").expect("a key");
        assert_eq!(tid.time().to_string(), "2023-06-30T15:03:01.887Z");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_was(micros: u64, clock: u64) {
            let tid = Tid::new(micros, clock);
            prop_assert_eq!(Tid::parse(&tid.to_string()), Some(tid));
        }
    }
}
