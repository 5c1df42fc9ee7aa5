//! Puts the spans of a text back into its translation, each once and as it was.

use std::fmt;
use std::fmt::Write as _;
use std::ops::Range;

use super::number::is_latin;
use super::{Found, Protected, Scan, Span, SpanKind, placeholder};

/// How many numbers of a kind are told, since an answer may hold any number of unknown ones.
const NUMBERS_TOLD: usize = 8;

/// Why spans cannot be put back; each number is a placeholder's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokenSpans {
    /// Those that did not come back.
    pub missing: Vec<usize>,
    /// Those that came back in another order, though their order matters.
    pub misplaced: Vec<usize>,
    /// Those that came back more than once.
    pub doubled: Vec<usize>,
    /// Some of those that were never sent.
    pub unknown: Vec<usize>,
    /// Those that what stands beside them would change.
    pub changed: Vec<usize>,
    /// How many brackets came back that are a placeholder's, around none of ours.
    pub n_stray: usize,
    /// How many links, mentions and the like came back that the text does not have.
    pub n_added: usize,
}

fn is_separator(span: &Span) -> bool {
    span.kind == SpanKind::Separator
}

/// A translation with its spans in their places.
struct Placed {
    text: String,
    /// Where each span stands, in the order of the text, with its number.
    places: Vec<(Range<usize>, usize)>,
}

impl Protected {
    /// The translated skeleton with the spans, and the original's whitespace around it.
    ///
    /// Whitespace inside a placeholder's brackets is forgiven, since its number is still told.
    /// A blank is put beside a span that what it touches would make another one.
    ///
    /// # Errors
    /// When the translation would not have exactly the spans of the text: when a placeholder is
    /// missing, came twice, or was never sent, when separators came back in another order or with
    /// other spans between them, when not even blanks keep spans apart, or when it brings spans of
    /// its own.
    pub fn restore(&self, translated: &str) -> Result<String, Box<BrokenSpans>> {
        let translated = translated.trim();
        self.check_placeholders(translated)?;
        let mut apart = vec![false; self.spans.len()];
        let touching = self.placed(translated, &apart);
        let text = match self.check_spans(&touching) {
            Ok(()) => touching.text,
            Err(broken) => {
                for &number in &broken.changed {
                    apart[number] = true;
                }
                let spaced = self.placed(translated, &apart);
                self.check_spans(&spaced)?;
                spaced.text
            }
        };
        let before = &self.original[..self.before];
        let after = &self.original[self.original.len() - self.after..];
        Ok([before, &text, after].concat())
    }

    /// The translated skeleton with the spans that came back, for a person to put the others in.
    pub fn restore_torn(&self, translated: &str) -> String {
        let mut returned = vec![false; self.spans.len()];
        let mut text = String::with_capacity(self.original.len() + translated.len());
        let mut copied = 0;
        for (found, number) in placeholder::all(translated) {
            text.push_str(&translated[copied..found.start]);
            copied = found.end;
            if let Some(is_back @ false) = returned.get_mut(number) {
                *is_back = true;
                text.push_str(&self.spans[number].text);
            }
        }
        text.push_str(&translated[copied..]);
        text.trim().to_owned()
    }

    /// Whether every placeholder is there once and between the separators where it was, and these in
    /// order and in their place.
    fn check_placeholders(&self, translated: &str) -> Result<(), Box<BrokenSpans>> {
        let mut returned = vec![false; self.spans.len()];
        let mut broken = BrokenSpans::default();
        let mut separator = None;
        let sides = self.sides();
        for (_, number) in placeholder::all(translated) {
            match returned.get_mut(number) {
                Some(is_back @ false) => {
                    *is_back = true;
                    let is_misplaced = match self.spans[number].kind {
                        SpanKind::Separator => separator.replace(number) > Some(number),
                        _ => sides.get(number).is_some_and(|side| *side != separator),
                    };
                    if is_misplaced {
                        broken.misplaced.push(number);
                    }
                }
                Some(true) => broken.note_doubled(number),
                None => broken.note_unknown(number),
            }
        }
        broken.note_misplaced(self.moved_separator(translated));
        broken.missing = (0..returned.len()).filter(|&at| !returned[at]).collect();
        broken.n_stray = match placeholder::stray_brackets(translated) {
            0 => 0,
            n_stray => n_stray.saturating_sub(placeholder::stray_brackets(&self.skeleton)),
        };
        broken.into_result()
    }

    /// The last separator before each span of the text; nothing if it has none.
    fn sides(&self) -> Vec<Option<usize>> {
        if !self.spans.iter().any(is_separator) {
            return Vec::new();
        }
        let mut last = None;
        let spans = self.spans.iter().enumerate();
        spans
            .map(|(number, span)| {
                let side = last;
                if is_separator(span) {
                    last = Some(number);
                }
                side
            })
            .collect()
    }

    /// A separator between whose sides all words went over to one, or went where none were.
    fn moved_separator(&self, translated: &str) -> Option<usize> {
        let first = self.spans.iter().position(is_separator)?;
        let (was, is) = (self.filled(&self.skeleton), self.filled(translated));
        let moved = was.iter().zip(&is).position(|(was, is)| was != is)?;
        let mut separators = (first..self.spans.len()).filter(|at| is_separator(&self.spans[*at]));
        separators.nth(moved.saturating_sub(1))
    }

    /// Whether anything stands in each of the pieces between separators.
    fn filled(&self, text: &str) -> Vec<bool> {
        let mut filled = Vec::new();
        let mut begin = 0;
        for (found, number) in placeholder::all(text) {
            let span = self.spans.get(number);
            if span.is_some_and(is_separator) {
                filled.push(!text[begin..found.start].trim().is_empty());
                begin = found.end;
            }
        }
        filled.push(!text[begin..].trim().is_empty());
        filled
    }

    /// The translation with its spans, blanks around those that are to stand apart.
    fn placed(&self, translated: &str, apart: &[bool]) -> Placed {
        let mut text = String::with_capacity(self.original.len() + translated.len());
        let mut places = Vec::with_capacity(self.spans.len());
        let mut copied = 0;
        let mut is_last_apart = false;
        for (found, number) in placeholder::all(translated) {
            let between = &translated[copied..found.start];
            copied = found.end;
            push_apart(&mut text, between, is_last_apart);
            let span = &*self.spans[number].text;
            let is_apart = apart[number] || is_last_apart && between.is_empty();
            push_apart(&mut text, span, is_apart);
            places.push((text.len() - span.len()..text.len(), number));
            is_last_apart = apart[number];
        }
        push_apart(&mut text, &translated[copied..], is_last_apart);
        Placed { text, places }
    }

    /// What stands before a span and what behind it in the text itself.
    fn around(&self, number: usize) -> (&str, &str) {
        let text = &self.original[self.before..self.original.len() - self.after];
        let (mut spans, mut marks) = (0, 0);
        for (found, at) in placeholder::all(&self.skeleton) {
            let start = found.start - marks + spans;
            let end = start + self.spans[at].text.len();
            if at == number {
                return (&text[..start], &text[end..]);
            }
            spans += self.spans[at].text.len();
            marks += found.len();
        }
        ("", "")
    }

    /// Whether a reader of the text finds these spans again, and no others.
    fn check_spans(&self, placed: &Placed) -> Result<(), Box<BrokenSpans>> {
        let mut found = Scan::new(&placed.text, self.numbers).peekable();
        let mut broken = BrokenSpans::default();
        // What looks like a cashtag may be how the language writes a price, and a number how it
        // writes one that stood in words.
        let mut note_added = |found: &Found| {
            let is_writing = matches!(found.kind, SpanKind::Cashtag | SpanKind::Number);
            broken.n_added += usize::from(!is_writing);
        };
        let mut changed = Vec::new();
        for (range, number) in &placed.places {
            let (start, end, kind) = (range.start, range.end, self.spans[*number].kind);
            while let Some(other) = found.next_if(|found| found.start < start) {
                note_added(&other);
            }
            let is_behind = |spoils: fn(char) -> bool| {
                placed.text[..start].ends_with(spoils) && !self.around(*number).0.ends_with(spoils)
            };
            let is_before = |spoils: fn(&str) -> bool| {
                spoils(&placed.text[end..]) && !spoils(self.around(*number).1)
            };
            if kind == SpanKind::Number {
                // Nobody reads it as more than text, and some languages write no blank beside it;
                // but Latin letters there would be its unit's, or it the end of a word.
                found.next_if(|found| found.start < end);
                let span = &placed.text[start..end];
                let begins_in_digit = span.starts_with(|it: char| it.is_ascii_digit());
                if is_behind(|before| before.is_ascii_digit())
                    || begins_in_digit && is_behind(is_latin)
                    || span.ends_with(|it: char| it.is_ascii_digit())
                        && is_before(goes_on_as_number)
                    || span.ends_with(is_latin) && is_before(|behind| behind.starts_with(is_latin))
                {
                    changed.push(*number);
                }
                continue;
            }
            let is_found = found.next_if_eq(&Found { kind, start, end }).is_some();
            let is_hidden = match kind {
                SpanKind::Url => is_behind(hides_url),
                SpanKind::Mention => is_behind(hides_mention) || is_before(spoils_mention),
                SpanKind::Domain => is_before(goes_on_as_name),
                SpanKind::Email => is_before(|behind| behind.starts_with('@')),
                _ => false,
            };
            if !is_found || is_hidden {
                changed.push(*number);
            }
        }
        found.for_each(|other| note_added(&other));
        broken.changed = changed;
        broken.into_result()
    }
}

/// Whether networks make no link of a web address behind this character.
const fn hides_url(before: char) -> bool {
    before.is_ascii_alphanumeric() || matches!(before, '_' | '@' | '＠' | '$' | '#' | '＃')
}

/// Whether some network sees no mention behind this character: X behind most of these, Mastodon
/// behind others.
const fn hides_mention(before: char) -> bool {
    matches!(
        before,
        '!' | '#' | '＃' | '$' | '%' | '&' | '*' | '@' | '＠' | '/' | '='
    )
}

/// Whether X sees no mention before this, or one of a list: a Latin letter with an accent, an
/// accent, another `@`, the name of a list.
fn spoils_mention(behind: &str) -> bool {
    let is_accented = |it| matches!(it, 'À'..='ɏ' | '\u{300}'..='\u{36f}' | 'Ḁ'..='ỿ');
    let list = behind.strip_prefix('/');
    behind.starts_with(is_accented)
        || behind.starts_with(['@', '＠'])
        || list.is_some_and(|list| list.starts_with(|it: char| it.is_ascii_alphabetic()))
}

/// Whether a host name would go on with this, or an e-mail address begin before it.
fn goes_on_as_name(behind: &str) -> bool {
    let name = behind.strip_prefix('.');
    name.is_some_and(|name| name.starts_with(|it: char| it.is_ascii_alphanumeric()))
}

/// Whether a number would go on with this.
fn goes_on_as_number(behind: &str) -> bool {
    let digits = behind.strip_prefix(['.', ',']).unwrap_or(behind);
    digits.starts_with(|it: char| it.is_ascii_digit())
}

/// Appends a piece, behind a blank if it is to stand apart and nothing else parts them.
fn push_apart(text: &mut String, piece: &str, is_apart: bool) {
    let touches = !text.is_empty()
        && !text.ends_with(char::is_whitespace)
        && piece.starts_with(|first: char| !first.is_whitespace());
    if is_apart && touches {
        text.push(' ');
    }
    text.push_str(piece);
}

impl BrokenSpans {
    fn into_result(self) -> Result<(), Box<Self>> {
        if self == Self::default() {
            Ok(())
        } else {
            Err(Box::new(self))
        }
    }

    fn note_misplaced(&mut self, number: Option<usize>) {
        self.misplaced.extend(number);
        self.misplaced.dedup();
    }

    fn note_doubled(&mut self, number: usize) {
        if let Err(at) = self.doubled.binary_search(&number) {
            self.doubled.insert(at, number);
        }
    }

    fn note_unknown(&mut self, number: usize) {
        if self.unknown.len() < NUMBERS_TOLD && !self.unknown.contains(&number) {
            self.unknown.push(number);
        }
    }
}

impl fmt::Display for BrokenSpans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every placeholder was wanted once")?;
        for (numbers, fault) in [
            (&self.missing, "missing"),
            (&self.misplaced, "in another order"),
            (&self.doubled, "more than once"),
            (&self.unknown, "never sent"),
            (&self.changed, "changed by what stands beside it"),
        ] {
            if numbers.is_empty() {
                continue;
            }
            write!(f, ", {fault}:")?;
            for number in numbers.iter().take(NUMBERS_TOLD) {
                write!(f, " ⟦{number}⟧")?;
            }
            if numbers.len() > NUMBERS_TOLD {
                f.write_char('…')?;
            }
        }
        if self.n_stray > 0 {
            write!(
                f,
                ", brackets without a number that was sent: {}",
                self.n_stray
            )?;
        }
        if self.n_added > 0 {
            write!(
                f,
                ", links, mentions or the like that the text does not have: {}",
                self.n_added
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for BrokenSpans {}
