//! Placeholders as tags: DeepL leaves tags alone, and knows nothing of `⟦0⟧`.

use std::iter::Peekable;
use std::str::CharIndices;

/// The tag that stands for a placeholder, as in `<x id="0"/>`.
pub(super) const TAG: &str = "x";

const OPENING: char = '⟦';
const CLOSING: char = '⟧';

/// The text as XML: its placeholders as empty tags, all else escaped.
///
/// Characters that no XML may hold are left out: DeepL refuses the whole call for one.
pub(super) fn from_skeleton(skeleton: &str) -> String {
    let mut xml = String::with_capacity(skeleton.len() + 16);
    let mut letters = skeleton.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            OPENING => match number_at(&skeleton[at..]) {
                Some(number) => {
                    xml.push_str(&format!("<{TAG} id=\"{number}\"/>"));
                    skip_to(&mut letters, at + OPENING.len_utf8() + number.len());
                    letters.next();
                }
                None => xml.push(OPENING),
            },
            '\t' | '\n' | '\r' => xml.push(letter),
            '\u{fffe}' | '\u{ffff}' => {}
            _ if letter < ' ' => {}
            _ => xml.push(letter),
        }
    }
    xml
}

/// The text of XML, its tags as placeholders again; none where a tag is none of ours.
///
/// Read as it may come back: tags with an end tag of their own, other quotation marks, more
/// white space, numeric character references, and an ampersand that nobody escaped.
pub(super) fn to_skeleton(xml: &str) -> Option<String> {
    let mut text = String::with_capacity(xml.len());
    let mut rest = xml;
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        let n_bytes = if rest.starts_with('&') {
            character(rest, &mut text)
        } else {
            tag(rest, &mut text)?
        };
        rest = &rest[n_bytes..];
    }
    text.push_str(rest);
    Some(text)
}

/// The digits of the placeholder that the text begins with.
fn number_at(text: &str) -> Option<&str> {
    let (number, _) = text.strip_prefix(OPENING)?.split_once(CLOSING)?;
    let is_number = !number.is_empty() && number.bytes().all(|it| it.is_ascii_digit());
    is_number.then_some(number)
}

fn skip_to(letters: &mut Peekable<CharIndices<'_>>, end: usize) {
    while letters.next_if(|(at, _)| *at < end).is_some() {}
}

/// Appends the character that a reference stands for; gives the bytes it took.
fn character(rest: &str, text: &mut String) -> usize {
    let found = rest[1..].split_once(';').and_then(|(name, _)| {
        let letter = match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let code = name.strip_prefix('#')?;
                let code = match code.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => code.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        };
        Some((letter, name.len() + 2))
    });
    let (letter, n_bytes) = found.unwrap_or(('&', 1));
    text.push(letter);
    n_bytes
}

/// Appends the placeholder of a tag, nothing for an end tag; gives the bytes it took.
fn tag(rest: &str, text: &mut String) -> Option<usize> {
    let follows = rest[1..].chars().next();
    if !follows.is_some_and(|it| it.is_alphabetic() || matches!(it, '/' | '!' | '?')) {
        text.push('<');
        return Some(1);
    }
    let (inner, _) = rest[1..].split_once('>')?;
    if let Some(name) = inner.strip_prefix('/') {
        return (name.trim() == TAG).then_some(inner.len() + 2);
    }
    let attribute = inner.trim_end_matches('/').strip_prefix(TAG)?;
    let value = attribute.trim().strip_prefix("id")?.trim_start();
    let number = value.strip_prefix('=')?.trim();
    let number = number.trim_matches(['"', '\'']);
    if number.is_empty() || !number.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    text.push(OPENING);
    text.push_str(number);
    text.push(CLOSING);
    Some(inner.len() + 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn placeholders_become_tags_and_the_rest_is_escaped() {
        for (skeleton, xml) in [
            ("Hi ⟦0⟧⟦12⟧!", "Hi <x id=\"0\"/><x id=\"12\"/>!"),
            ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
            ("⟦a⟧ ⟦⟧ ⟦ 1 ⟧ ⟦", "⟦a⟧ ⟦⟧ ⟦ 1 ⟧ ⟦"),
            ("one\n\u{1}two\u{ffff}", "one\ntwo"),
        ] {
            assert_eq!(from_skeleton(skeleton), xml);
        }
    }

    #[test]
    fn tags_are_read_in_every_form() {
        for (xml, skeleton) in [
            ("<x id=\"0\"/> a", Some("⟦0⟧ a")),
            ("<x id='3' /> a", Some("⟦3⟧ a")),
            ("<x id = \"0\"></x>a", Some("⟦0⟧a")),
            ("<x id=\"0\">a</x >b", Some("⟦0⟧ab")),
            ("a &lt;b&gt; &#38; &#x27;&quot;&apos;", Some("a <b> & '\"'")),
            ("a & b &c; 1 < 2 <3", Some("a & b &c; 1 < 2 <3")),
            ("<b>a</b>", None),
            ("<x>a</x>", None),
            ("<x id=\"one\"/>", None),
            ("<xy id=\"1\"/>", None),
            ("<x id=\"1\"", None),
            ("<!-- a -->", None),
        ] {
            assert_eq!(to_skeleton(xml).as_deref(), skeleton, "{xml}");
        }
    }

    proptest! {
        #[test]
        fn a_text_comes_back_from_its_xml(text in "[a-z⟦0-9⟧<>&;#/\" \\n]{0,40}") {
            let xml = from_skeleton(&text);
            prop_assert_eq!(to_skeleton(&xml), Some(text));
        }

        #[test]
        fn reading_never_panics(xml in ".{0,60}") {
            let _ = to_skeleton(&xml);
        }
    }
}
