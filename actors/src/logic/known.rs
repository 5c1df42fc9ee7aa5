//! The key under which a translation is known.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

use crate::domain::Language;

/// The skeleton without the whitespace that makes no difference to its translation.
///
/// The ends are trimmed, each run of spaces and tabs becomes one space, newlines stay.
pub fn normalise(skeleton: &str) -> Cow<'_, str> {
    let trimmed = skeleton.trim();
    let is_normal = !trimmed.contains('\t') && !trimmed.contains("  ");
    if is_normal {
        return Cow::Borrowed(trimmed);
    }
    let mut normal = String::with_capacity(trimmed.len());
    let mut is_in_run = false;
    for character in trimmed.chars() {
        let is_blank = matches!(character, ' ' | '\t');
        if !is_blank {
            normal.push(character);
        } else if !is_in_run {
            normal.push(' ');
        }
        is_in_run = is_blank;
    }
    Cow::Owned(normal)
}

/// The key of a translation: the beginning of the SHA-256 of all that it depends on.
///
/// `version` names whatever else the translation depends on, like the rules of the prompt.
/// Every part goes in behind its length, and what is absent differs from what is empty, so no
/// two different inputs are hashed from the same bytes.
pub fn known_key(
    skeleton_normalised: &str,
    context: Option<&str>,
    source: Option<&Language>,
    target: &Language,
    version: &str,
) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in [
        Some(skeleton_normalised),
        context,
        source.map(Language::as_str),
        Some(target.as_str()),
        Some(version),
    ] {
        // No text has this length, so it stands for an absent part.
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_le_bytes());
        hash.update(part.unwrap_or_default());
    }
    let digest = hash.finalize();
    let mut key = [0; 16];
    key.copy_from_slice(&digest[..16]);
    key
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    fn language(tag: &str) -> Language {
        tag.parse().expect("a tag")
    }

    #[test]
    fn blanks_collapse_while_lines_stay() {
        assert_eq!(normalise("  a \t b\n\n c  d \n"), "a b\n\n c d");
        assert_eq!(normalise("a\tb"), "a b");
        assert!(matches!(normalise(" a b\nc "), Cow::Borrowed("a b\nc")));
    }

    #[test]
    fn a_key_is_the_same_in_every_build() {
        let key = known_key("Hello ⟦0⟧", None, None, &language("es"), "1");
        let mut bytes = Vec::new();
        for part in ["Hello ⟦0⟧", "-", "-", "es", "1"] {
            let is_absent = part == "-";
            let length = if is_absent {
                u64::MAX
            } else {
                part.len() as u64
            };
            bytes.extend(length.to_le_bytes());
            bytes.extend(part.bytes().filter(|_| !is_absent));
        }
        assert_eq!(key, Sha256::digest(bytes)[..16]);
    }

    type Input = (
        String,
        Option<String>,
        Option<&'static str>,
        &'static str,
        String,
    );

    fn any_input() -> impl Strategy<Value = Input> {
        let tag = || prop::sample::select(vec!["en", "es", "ese", "en-US"]);
        (
            "[aes]{0,3}",
            prop::option::of("[aes]{0,3}"),
            prop::option::of(tag()),
            tag(),
            "[aes]{0,2}",
        )
    }

    proptest! {
        #[test]
        fn different_inputs_have_different_keys(inputs in prop::collection::vec(any_input(), 2..60)) {
            let mut known: HashMap<[u8; 16], Input> = HashMap::new();
            for input in inputs {
                let (text, context, source, target, version) = &input;
                let source = source.map(language);
                let key = known_key(
                    text,
                    context.as_deref(),
                    source.as_ref(),
                    &language(target),
                    version,
                );
                let first = known.entry(key).or_insert_with(|| input.clone());
                prop_assert_eq!(&*first, &input);
            }
        }

        #[test]
        fn a_normal_text_stays_as_it_is(text in "[ \\t\\na-c⟦0⟧\\u{a0}]{0,40}") {
            let once = normalise(&text).into_owned();
            prop_assert_eq!(&normalise(&once), &once);
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&once), words(&text));
            prop_assert_eq!(once.matches('\n').count(), text.trim().matches('\n').count());
        }
    }
}
