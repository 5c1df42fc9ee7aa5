//! Finds the spans of a text in one pass over its bytes.

use crate::domain::SEPARATOR;

use super::{Numbers, SpanKind, address, code, domain, emoji, number, placeholder};
use crate::logic::x_text;

/// Where a span stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::logic) struct Found {
    /// What it is.
    pub(in crate::logic) kind: SpanKind,
    /// Its first byte.
    pub(in crate::logic) start: usize,
    /// The byte behind its last.
    pub(in crate::logic) end: usize,
}

/// The spans of a text, in order and apart from each other.
pub(in crate::logic) struct Scan<'a> {
    text: &'a str,
    /// The next byte to look at.
    at: usize,
    /// Where the latest span ended; nothing before belongs to a later one.
    floor: usize,
    /// The first letter outside the spans so far.
    first_letter: Option<usize>,
    /// Whether code is a span, or is looked through like any other text.
    code: Code,
    numbers: Counted,
}

/// What code is to a scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Code {
    Span,
    Text,
}

/// What numbers with their units, and prices, are to a scan.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// Text like any other.
    Text,
    /// Spans, where they stand by themselves.
    Alone,
    /// Spans, whatever they touch.
    Touched,
}

/// A byte that a span may begin with, or tells that one began before.
const TRIGGER: u8 = 1;
/// An ASCII letter.
const LETTER: u8 = 2;
/// The first byte of a character beyond ASCII.
const LEADING: u8 = 4;
/// An ASCII digit.
const DIGIT: u8 = 8;

/// The byte that separates a text from the words that hang on it.
const SEPARATOR_BYTE: u8 = SEPARATOR as u8;

/// What each byte may mean; most mean nothing and are passed over.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = match byte as u8 {
            b'h' | b'H' => LETTER | TRIGGER,
            b'a'..=b'z' | b'A'..=b'Z' => LETTER,
            b'@' | b'#' | b':' | b'.' | b'$' | b'`' | SEPARATOR_BYTE => TRIGGER,
            b'0'..=b'9' => DIGIT,
            0xc2 | 0xe2 | 0xe3 | 0xef | 0xf0 => LEADING | TRIGGER,
            0xc3..=0xf4 => LEADING,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

impl<'a> Scan<'a> {
    pub(in crate::logic) const fn new(text: &'a str, numbers: Numbers) -> Self {
        Self {
            text,
            at: 0,
            floor: 0,
            first_letter: None,
            code: Code::Span,
            numbers: match numbers {
                Numbers::Translated => Counted::Text,
                Numbers::Kept => Counted::Alone,
            },
        }
    }

    /// What networks see: they make links also of what stands in code.
    pub(in crate::logic) const fn through_code(text: &'a str) -> Self {
        Self {
            code: Code::Text,
            ..Self::new(text, Numbers::Translated)
        }
    }

    /// The same with numbers and prices as spans, whatever they touch.
    pub(in crate::logic) const fn with_numbers(self) -> Self {
        Self {
            numbers: Counted::Touched,
            ..self
        }
    }

    /// Whether there is a letter outside the spans that were passed.
    pub(super) const fn has_words(&self) -> bool {
        self.first_letter.is_some()
    }

    fn note_letter(&mut self, class: u8) {
        let is_letter = class & LETTER != 0
            || class & LEADING != 0
                && self.text[self.at..]
                    .chars()
                    .next()
                    .is_some_and(char::is_alphabetic);
        if is_letter {
            self.first_letter = Some(self.at);
        }
    }

    /// The span that begins at the present byte, or contains it.
    fn here(&self, byte: u8) -> Option<Found> {
        let (text, at) = (self.text, self.at);
        let bytes = text.as_bytes();
        let found = |kind, start, end| Found { kind, start, end };
        match byte {
            b'h' | b'H' => address::url_end(text, at).map(|end| found(SpanKind::Url, at, end)),
            b'@' => address::email(text, self.floor, at)
                .map(|range| found(SpanKind::Email, range.start, range.end))
                .or_else(|| {
                    let end = address::mention_end(text, at)?;
                    Some(found(SpanKind::Mention, at, end))
                }),
            b'#' => {
                address::hashtag_end(text, at, at + 1).map(|end| found(SpanKind::Hashtag, at, end))
            }
            b'0'..=b'9' => match self.numbers {
                Counted::Touched => number::touched(text, self.floor, at),
                Counted::Alone | Counted::Text => number::range(text, self.floor, at),
            }
            .map(|range| found(SpanKind::Number, range.start, range.end)),
            b'.' => domain::range(text, self.floor, at)
                .map(|range| found(SpanKind::Domain, range.start, range.end)),
            b'$' => x_text::cashtag_end(text, at).map(|end| found(SpanKind::Cashtag, at, end)),
            b'`' if self.code == Code::Span => {
                code::end(text, at).map(|end| found(SpanKind::Code, at, end))
            }
            SEPARATOR_BYTE => Some(found(SpanKind::Separator, at, at + 1)),
            b':' => address::custom_emoji_end(text, self.floor, at)
                .map(|end| found(SpanKind::CustomEmoji, at, end)),
            0xef if bytes[at..].starts_with("＃".as_bytes()) => {
                address::hashtag_end(text, at, at + "＃".len())
                    .map(|end| found(SpanKind::Hashtag, at, end))
            }
            // Most of what begins so is punctuation and kana.
            0xe2 if bytes[at + 1] == 0x80 && bytes[at + 2] != 0xbc => None,
            0xe3 if !matches!(bytes[at + 1], 0x80 | 0x8a) => None,
            0xc2 | 0xe2 | 0xe3 | 0xf0 => self.symbol(),
            _ => None,
        }
    }

    /// The placeholder, keycap or emoji that the symbol here belongs to.
    fn symbol(&self) -> Option<Found> {
        let (text, at) = (self.text, self.at);
        if let Some((end, _)) = placeholder::at(text, at) {
            let kind = SpanKind::Placeholder;
            return Some(Found {
                kind,
                start: at,
                end,
            });
        }
        let kind = SpanKind::Emoji;
        if let Some(end) = emoji::end(text, at) {
            return Some(Found {
                kind,
                start: at,
                end,
            });
        }
        let start = emoji::keycap_start(text, at).filter(|&start| start >= self.floor)?;
        let end = emoji::cluster_end(text, start);
        Some(Found { kind, start, end })
    }
}

impl Iterator for Scan<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        let bytes = self.text.as_bytes();
        loop {
            let mut wanted = match self.first_letter {
                Some(_) => TRIGGER,
                None => TRIGGER | LETTER | LEADING,
            };
            if self.numbers != Counted::Text {
                wanted |= DIGIT;
            }
            let rest = bytes.get(self.at..)?;
            self.at += rest
                .iter()
                .position(|&byte| CLASSES[usize::from(byte)] & wanted != 0)?;
            let byte = bytes[self.at];
            let class = CLASSES[usize::from(byte)];
            let found = if class & (TRIGGER | DIGIT) == 0 {
                None
            } else {
                self.here(byte)
            };
            if let Some(found) = found {
                self.at = found.end;
                self.floor = found.end;
                self.first_letter = self.first_letter.filter(|&letter| letter < found.start);
                return Some(found);
            }
            if self.first_letter.is_none() {
                self.note_letter(class);
            }
            self.at += 1;
        }
    }
}
