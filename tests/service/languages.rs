//! Sample feeds in twelve languages, through Debian's Apertium where it has the pair.

use std::path::Path;

use serde_json::Value;

use crate::apertium::shared;
use crate::harness::Program;

/// The languages that the sample feeds are written in.
const LANGUAGES: [&str; 12] = [
    "ca", "da", "en", "eo", "es", "fr", "gl", "it", "oc", "pt", "sv", "uk",
];

/// A sample feed; each item names the spans that no translation may touch, and the feed the
/// languages that Apertium has for it.
fn sample(language: &str) -> (String, Value) {
    let name = format!("tests/service/samples/{language}.json");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = std::fs::read_to_string(&path).expect("a sample");
    let feed = serde_json::from_str(&text).expect("JSON");
    (path.display().to_string(), feed)
}

fn texts<'a>(value: &'a Value, key: &str) -> Vec<&'a str> {
    let texts = value[key].as_array().expect("texts").iter();
    texts.map(|text| text.as_str().expect("a text")).collect()
}

/// Settings that publish each feed in each of its languages, in a file for each pair.
fn settings(base_url: &str) -> String {
    let mut settings = format!(
        "[[provider]]\nname = \"apertium\"\nkind = \"apertium\"\nbase_url = \"{base_url}\"\n"
    );
    for language in LANGUAGES {
        let (path, feed) = sample(language);
        settings.push_str(&format!(
            "[[source]]\nname = \"{language}\"\nkind = \"feed\"\npath = \"{path}\"\nbackfill = 100\n"
        ));
        for target in texts(&feed, "_targets") {
            settings.push_str(&format!(
                "[[outlet]]\nname = \"{language}-{target}\"\nkind = \"file\"\n\
                 path = \"{language}-{target}.jsonl\"\nlanguage = \"{target}\"\nfrom = [\"{language}\"]\n"
            ));
        }
    }
    settings
}

/// How often a span stands in a text as such, and not as a piece of a longer word or address.
fn n_whole(text: &str, span: &str) -> usize {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let begins = |place: usize| {
        let before = &text[..place];
        // One tag may stand at the end of another.
        let other = before.trim_end_matches(is_word);
        let is_behind_tag = span.starts_with('#') && other.ends_with('#') && other != before;
        let is_joined = before.ends_with(|it: char| is_word(it) || "@#$/".contains(it));
        !span.starts_with(|first: char| first.is_ascii()) || is_behind_tag || !is_joined
    };
    let ends = |place: usize| {
        let behind = &text[place + span.len()..];
        let goes_on = |rest: &str| rest.starts_with(is_word);
        // What ends a sentence does not stand before a letter.
        let joint = behind.strip_prefix(['.', '-', '?', '&', '=', '%', '~', ':']);
        let fragment = behind.strip_prefix('#').filter(|_| span.contains("://"));
        let is_joined = goes_on(behind) || behind.starts_with(['@', '/']);
        let is_joined = is_joined || joint.or(fragment).is_some_and(goes_on);
        !span.ends_with(is_word) || !is_joined
    };
    let places = text.match_indices(span).map(|(place, _)| place);
    places
        .filter(|place| begins(*place) && ends(*place))
        .count()
}

#[test]
fn a_span_in_a_longer_one_is_not_counted() {
    for (text, n) in [
        ("See #ferry, (#ferry), #boat#ferry and #ferry.", 4),
        ("See #ferryboat, x#ferry and ##ferry", 0),
    ] {
        assert_eq!(n_whole(text, "#ferry"), n, "{text}");
    }
    for (text, n) in [
        ("See https://e.org/a: it is, https://e.org/a.", 2),
        (
            "See https://e.org/ab, https://e.org/a/b, https://e.org/a.b and https://e.org/a?b=c",
            0,
        ),
    ] {
        assert_eq!(n_whole(text, "https://e.org/a"), n, "{text}");
    }
}

#[test]
fn spans_come_whole_through_a_real_translator_in_twelve_languages() {
    let (base_url, _own) = shared();
    let program = Program::new(&settings(&base_url));

    program.run(&["once", "--for", "2m"]).well();

    let (mut n_spans, mut n_translated) = (0, 0);
    for language in LANGUAGES {
        let (_, feed) = sample(language);
        for target in texts(&feed, "_targets") {
            let published = program.published(&format!("{language}-{target}.jsonl"));
            let items = feed["items"].as_array().expect("items");
            assert_eq!(published.len(), items.len(), "{language} → {target}");
            for item in items {
                let line = published.iter().find(|line| line["post"] == item["id"]);
                let text = line.expect("it was published")["text"].as_str();
                let text = text.expect("a text");
                let original = item["content_text"].as_str().expect("a text");
                for span in texts(item, "_spans") {
                    let (was, is) = (n_whole(original, span), n_whole(text, span));
                    assert!(was > 0, "{span} is no whole span of {original}");
                    assert_eq!(is, was, "{span} in {target}: {text}");
                    n_spans += is;
                }
                assert!(!text.contains(['⟦', '⟧', '*']), "{target}: {text}");
                n_translated += usize::from(text != original);
            }
        }
    }
    assert!(n_spans > 200, "{n_spans} spans");
    assert!(n_translated > 70, "{n_translated} translations differ");
}
