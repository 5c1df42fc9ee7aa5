//! Values that records tell in words of their own.

use babelfeed_actors::domain::{Language, Timestamp};
use oxilangtag::LanguageTag as Parsed;

/// The form of a time up to its seconds: `0` is a digit, all else stands for itself.
const FORM: &[u8] = b"0000-00-00T00:00:00";
/// The most bytes of a time.
const MAX_DATETIME: usize = 64;

/// A tag of a language, which need not be one that anything is translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LanguageTag<'a>(&'a str);

impl<'a> LanguageTag<'a> {
    /// The tag; none where it is none. The name of a language is written in small letters.
    pub fn parse(text: &'a str) -> Option<Self> {
        let primary = text.split('-').next()?;
        let is_name =
            (2..=3).contains(&primary.len()) && primary.bytes().all(|it| it.is_ascii_lowercase());
        // Private tags and those of old begin with one letter.
        let is_led = is_name || matches!(primary, "i" | "x" | "X");
        (is_led && Parsed::parse(text).is_ok()).then_some(Self(text))
    }

    /// The language that it names.
    pub fn language(self) -> Option<Language> {
        self.0.parse().ok()
    }
}

/// The point in time; none where it is not written as records write it: in capital letters, to
/// the second at least, with a zone, and no zone of which nothing is known.
pub fn datetime(text: &str) -> Option<Timestamp> {
    let (head, tail) = text.as_bytes().split_at_checked(FORM.len())?;
    let fits = |(byte, form): (&u8, &u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    let zone = match tail.strip_prefix(b".") {
        Some(rest) => {
            let n_digits = rest.iter().take_while(|it| it.is_ascii_digit()).count();
            rest.get(n_digits..).filter(|_| n_digits > 0)?
        }
        None => tail,
    };
    let is_zone = match zone {
        b"Z" => true,
        b"-00:00" => false,
        [b'+' | b'-', offset @ ..] => offset.len() == 5 && offset.iter().zip(b"00:00").all(fits),
        _ => false,
    };
    let is_formed = text.len() <= MAX_DATETIME && head.iter().zip(FORM).all(fits) && is_zone;
    is_formed.then(|| Timestamp::parse(text)).flatten()
}
