//! What passes and what does not, in many languages and scripts.

mod echoes;
mod languages;
mod notes;
mod repairs;

use std::sync::Arc;

use super::*;
use crate::logic::spans::protect;
use languages::NEWS;

fn pair(source: &str, target: &str) -> Pair {
    let tag = |text: &str| text.parse::<Language>().expect("a tag");
    Pair {
        source: (source != "?").then(|| tag(source)),
        target: tag(target),
    }
}

/// What is wrong with the translation of a text, whose spans are set aside as they would be.
fn examined(pair_of: (&str, &str), source: &str, translated: &str) -> (String, Option<Check>) {
    let source = protect(&Arc::from(source));
    let mut marked = translated.to_owned();
    for (number, span) in source.spans.iter().enumerate() {
        marked = marked.replacen(&*span.text, &format!("⟦{number}⟧"), 1);
    }
    let pair = pair(pair_of.0, pair_of.1);
    let examined = Checks::ALL.examine(&source, marked.into(), &pair);
    let text = source.restore_torn(&examined.text);
    (text, examined.fault.map(|fault| fault.check))
}

fn fault(pair: (&str, &str), source: &str, translated: &str) -> Option<Check> {
    examined(pair, source, translated).1
}

#[test]
fn lengths_are_judged_by_what_scripts_can_say() {
    let long = NEWS[0].1.repeat(3);
    assert_eq!(
        fault(("en", "zh"), &long, "政府宣布新措施。"),
        Some(Check::Length)
    );
    let much = format!("{} {}", NEWS[1].1, NEWS[1].1.repeat(4));
    assert_eq!(fault(("en", "es"), NEWS[0].1, &much), Some(Check::Length));
    for (source, target, text, translated) in [
        ("en", "es", "lol", "me muero de la risa, qué bueno"),
        (
            "zh",
            "en",
            "画蛇添足",
            "to ruin the effect by adding something superfluous",
        ),
        (
            "en",
            "zh",
            "It is raining cats and dogs over there today",
            "那边今天下倾盆大雨",
        ),
        (
            "de",
            "en",
            "Donaudampfschifffahrtsgesellschaft",
            "Danube Steamship Company",
        ),
    ] {
        assert_eq!(
            fault((source, target), text, translated),
            None,
            "{translated}"
        );
    }
}

#[test]
fn each_group_of_checks_can_be_switched_off() {
    let all = Checks::ALL;
    let text = "We are going to the beach and you are not";
    for (checks, target, translated) in [
        (
            Checks {
                echo: false,
                language: false,
                ..all
            },
            "es",
            text,
        ),
        (
            Checks {
                language: false,
                ..all
            },
            "ja",
            "Watashitachi wa umi ni ikimasu",
        ),
        (
            Checks {
                length: false,
                ..all
            },
            "zh",
            "去",
        ),
        (
            Checks {
                notes: false,
                ..all
            },
            "es",
            "Traducción: Vamos a la playa y tú no vienes",
        ),
        (Checks::NONE, "es", "I'm sorry, I cannot help with that."),
    ] {
        let source = protect(&Arc::from(text));
        let examined = checks.examine(&source, translated.into(), &pair("en", target));
        assert_eq!(examined.fault, None, "{translated}");
    }
}
