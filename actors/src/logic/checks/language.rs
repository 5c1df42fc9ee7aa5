//! Whether a translation is in its language, where its letters do not tell.

use super::evidence::{Evidence, are_near};
use super::script::{Script, scripts_of};
use super::words::Words;
use super::{Check, Fault};
use crate::domain::{Language, Pair};

/// So many function words of the text's language, and none of the other, tell by themselves.
const ENOUGH: usize = 4;
/// A text of so many letters in a script that is its language's own is surely in it.
const SURE: usize = 6;

/// What is wrong with the language of a translation.
pub(super) fn fault(
    source: &Words<'_>,
    translated: &Words<'_>,
    evidence: &Evidence,
    pair: &Pair,
) -> Option<Fault> {
    let target = &pair.target;
    if let Some(found) = evidence.other_than(target, translated) {
        // What is said of names alone, which the text has as well, says nothing.
        let n_own = translated.iter().filter(|word| !source.has(word)).count();
        let is_source = pair.source.as_ref().is_some_and(|it| it.name() == found);
        if n_own > 0 || is_source {
            let why = format!("it was in another language (`{found}`), not in `{target}`");
            return Some(Fault::new(Check::Language, why));
        }
    }
    let of = pair.source.as_ref()?;
    let is_left = evidence.count(of).is_some_and(|count| count >= ENOUGH)
        && evidence.count(target) == Some(0)
        && !are_near(of, target);
    is_left.then(|| {
        let why = format!("it was still in the language of the text (`{of}`)");
        Fault::new(Check::Language, why)
    })
}

/// Whether a text is surely in a language: by letters that only this one has, or by its words.
pub(super) fn is_surely(words: &Words<'_>, evidence: &Evidence, language: &Language) -> bool {
    let Some(scripts) = scripts_of(language) else {
        return false;
    };
    let (mut n_own, mut n_kana, mut n_hangul, mut all) = (0, 0, 0, 0);
    for script in words.texts().flat_map(str::chars).filter_map(Script::of) {
        all += 1;
        n_own += usize::from(scripts.contains(&script));
        n_kana += usize::from(script == Script::Kana);
        n_hangul += usize::from(script == Script::Hangul);
    }
    // Most of it is in these letters; names may be in others.
    if n_own < SURE || n_own * 10 < all * 7 {
        return false;
    }
    match scripts {
        [Script::Kana, Script::Han] => n_kana * 5 >= n_own,
        [Script::Hangul, Script::Han] => n_hangul * 2 >= n_own,
        [Script::Greek | Script::Thai | Script::Georgian | Script::Armenian] => true,
        [Script::Han] => n_kana == 0 && super::script::is_written_so(words, language),
        _ => evidence.is_surely_for(language, words),
    }
}
