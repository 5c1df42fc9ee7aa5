//! How durations and sizes are written.

use std::time::Duration;

/// The units of a duration, in milliseconds.
const TIMES: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// The units of a size, in bytes.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// The duration that a text like `5m`, `1.5s` or `1h30m` names; none if it names none.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut millis = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (amount, behind) = split_amount(rest)?;
        let unit = &behind[..behind
            .find(|letter: char| !letter.is_ascii_alphabetic())
            .unwrap_or(behind.len())];
        millis += amount * factor(&TIMES, unit)?;
        rest = &behind[unit.len()..];
    }
    Duration::try_from_secs_f64(millis / 1_000.0).ok()
}

/// The number of bytes that a text like `64MiB` names; none if it names none.
pub(super) fn parse_size(text: &str) -> Option<u64> {
    let (amount, unit) = split_amount(text.trim())?;
    let bytes = amount * factor(&SIZES, unit.trim_start())?;
    (bytes < 9e18).then_some(bytes as u64)
}

fn split_amount(text: &str) -> Option<(f64, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn factor(units: &[(&str, u64)], wanted: &str) -> Option<f64> {
    units
        .iter()
        .find(|(unit, _)| *unit == wanted)
        .map(|(_, factor)| *factor as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, millis) in [
            ("50ms", 50),
            ("0s", 0),
            ("5m", 300_000),
            ("168h", 604_800_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("2d", 172_800_000),
        ] {
            assert_eq!(
                parse_duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "m", "-5m", "5 minutes", "1.2.3s", "fast", "9e9d"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("1.5 kB"), Some(1_500));
        assert_eq!(parse_size("64"), None);
        assert_eq!(parse_size("MiB"), None);
    }
}
