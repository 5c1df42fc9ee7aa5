//! Which signs of a text Discord would take for markup, and how they stay signs.

use super::spans::{Found, Numbers, Scan};

/// What each sign stands behind, to be one.
const ESCAPE: char = '\\';

/// Whether the sign may mean something wherever it stands.
pub(super) const fn is_sign(character: char) -> bool {
    matches!(character, '\\' | '*' | '_' | '~' | '|' | '`' | '[' | '<')
}

/// Where signs stand outside of spans that would be taken for markup, in bytes.
pub(super) fn signs(text: &str) -> Vec<usize> {
    let mut signs = Vec::new();
    let mut from = 0;
    for Found { start, end, .. } in Scan::new(text, Numbers::Translated) {
        signs_between(text, from..start, &mut signs);
        from = end;
    }
    signs_between(text, from..text.len(), &mut signs);
    signs
}

fn signs_between(text: &str, range: std::ops::Range<usize>, signs: &mut Vec<usize>) {
    for (offset, character) in text[range.clone()].char_indices() {
        let at = range.start + offset;
        if is_sign(character) || leads_line(text, at, character) {
            signs.push(at);
        }
    }
}

/// Whether a sign at the beginning of a line makes a heading, a quotation or a list of it.
fn leads_line(text: &str, at: usize, sign: char) -> bool {
    if !matches!(sign, '#' | '>' | '-') {
        return false;
    }
    let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
    let behind = text[at..].trim_start_matches(sign);
    text[line..at].chars().all(|it| it == ' ')
        && (behind.starts_with(' ') || sign == '-' && behind.starts_with('#'))
}

/// The text with its signs escaped, so that it is shown as it is written.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut copied = 0;
    for sign in signs(text) {
        escaped.push_str(&text[copied..sign]);
        escaped.push(ESCAPE);
        copied = sign;
    }
    escaped.push_str(&text[copied..]);
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::logic::fit::Limit;

    #[test]
    fn what_would_be_markup_is_escaped_and_spans_stay() {
        for (text, expected) in [
            ("5 * 3 * 2 and *so*", r"5 \* 3 \* 2 and \*so\*"),
            ("||no|| ~~no~~ _no_", r"\|\|no\|\| \~\~no\~\~ \_no\_"),
            (
                "# x\n## y\n-# z\n> q\n>>> r\n- s",
                "\\# x\n\\## y\n\\-# z\n\\> q\n\\>>> r\n\\- s",
            ),
            (
                "#tag is no heading, a - b, 1 > 0",
                "#tag is no heading, a - b, 1 > 0",
            ),
            (
                "https://e.co/a_b_c @a_b :c_d: `x*y*z`",
                "https://e.co/a_b_c @a_b :c_d: `x*y*z`",
            ),
            ("[a](b) C:\\d <@1>", r"\[a](b) C:\\d \<@1>"),
        ] {
            assert_eq!(escaped(text), expected);
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_counted(text in "([*_~|`#> \n\\\\a-c-]|https://e.co/a_b |@a_b ){0,30}") {
            let counted = Limit::DISCORD_MESSAGE.measure(&text);
            prop_assert_eq!(counted, escaped(&text).chars().count());
            let shown = escaped(&text);
            prop_assert_eq!(shown.len() - text.len(), signs(&text).len());
        }
    }
}
