//! That X's rules are kept, by twitter-text's own cases where they are present.

mod cases;

use proptest::prelude::*;

use super::*;
use cases::{Case, Expected};

/// Which entities of a group's texts are wanted.
type Extract = fn(&str) -> Vec<Entity>;

const GROUPS: &[(&str, usize, Extract)] = &[
    ("mentions", 23, mentions),
    ("mentions_with_indices", 3, mentions),
    ("mentions_or_lists_with_indices", 5, mentions_and_lists),
    ("urls", 91, links),
    ("urls_with_indices", 10, links),
    ("urls_with_directional_markers", 2, links),
    ("tco_urls_with_params", 5, links),
    ("hashtags", 65, hashtags),
    ("hashtags_from_astral", 3, hashtags),
    ("hashtags_with_indices", 8, hashtags),
    ("cashtags", 8, cashtags),
    ("cashtags_with_indices", 2, cashtags),
];

fn mentions(text: &str) -> Vec<Entity> {
    let mut found = mentions_and_lists(text);
    found.retain(|entity| entity.kind == EntityKind::Mention);
    found
}

fn mentions_and_lists(text: &str) -> Vec<Entity> {
    tags::mentions(text).collect()
}

fn links(text: &str) -> Vec<Entity> {
    let kind = EntityKind::Url;
    let ranges = urls(text).into_iter();
    ranges.map(|range| Entity { kind, range }).collect()
}

fn hashtags(text: &str) -> Vec<Entity> {
    let mut found = entities(text);
    found.retain(|entity| entity.kind == EntityKind::Hashtag);
    found
}

fn cashtags(text: &str) -> Vec<Entity> {
    tags::cashtags(text).collect()
}

/// The cases of a file, or none with a note on standard error where they are not present.
fn present(file: &str) -> Option<Vec<Case>> {
    let cases = cases::read(file);
    if cases.is_none() {
        eprintln!("skipped: twitter-text's {file} is not present");
    }
    cases
}

/// Where the entity stands, in code points, as the cases count.
fn indices(text: &str, entity: &Entity) -> [usize; 2] {
    [entity.range.start, entity.range.end].map(|end| text[..end].chars().count())
}

#[test]
fn an_address_stands_behind_words_that_began_with_a_dot() {
    for before in ["x .もう。", "end.", "x.もう、"] {
        let text = format!("{before}http://a.co y");
        let found = urls(&text);
        let found: Vec<&str> = found.into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["http://a.co"], "{text}");
    }
}

#[test]
fn entities_are_found_as_twitter_text_finds_them() {
    let Some(cases) = present("extract.yml") else {
        return;
    };
    let mut failed = Vec::new();
    for &(group, n_cases, extract) in GROUPS {
        let cases: Vec<&Case> = cases.iter().filter(|case| case.group == group).collect();
        assert_eq!(cases.len(), n_cases, "cases of {group}");
        for case in cases {
            let found = extract(&case.text);
            let is_as_expected = match &case.expected {
                Expected::Texts(texts) => {
                    let signs: &[char] = match group {
                        group if group.contains("urls") => &[],
                        _ => &['@', '#', '＃', '$'],
                    };
                    let found = found.iter().map(|entity| {
                        let text = &case.text[entity.range.clone()];
                        text.strip_prefix(signs).unwrap_or(text)
                    });
                    found.eq(texts.iter().map(String::as_str))
                }
                Expected::Indices(expected) => found
                    .iter()
                    .map(|entity| indices(&case.text, entity))
                    .eq(expected.iter().copied()),
                other => panic!("{group} expects {other:?}"),
            };
            if !is_as_expected {
                failed.push(format!("{group}: {} {found:?}", case.description));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn texts_are_counted_as_twitter_text_counts_them() {
    let Some(cases) = present("validate.yml") else {
        return;
    };
    // The older configuration counts emoji by their code points.
    let by_code_points = |text: &str| {
        let text = composed(text);
        let mut length = 0;
        let mut counted = 0;
        let sum = |piece: &str| piece.chars().map(characters::weight).sum::<usize>();
        for url in urls(&text) {
            length += sum(&text[counted..url.start]) + URL_WEIGHT;
            counted = url.end;
        }
        length + sum(&text[counted..])
    };
    let mut n_cases = 0;
    for case in &cases {
        let Expected::Weighted {
            length: expected,
            valid,
        } = case.expected
        else {
            continue;
        };
        n_cases += 1;
        let measured = match &*case.group {
            "WeightedTweetsCounterTest" => by_code_points(&case.text),
            _ => length(&case.text),
        };
        assert_eq!(measured, expected, "{}: {}", case.group, case.description);
        let is_valid = (1..=280).contains(&measured) && case.text.chars().all(is_allowed);
        assert_eq!(is_valid, valid, "{}: {}", case.group, case.description);
    }
    assert_eq!(n_cases, 44);
}

#[test]
fn x_counts_as_it_says() {
    for (text, expected) in [
        ("Hello, world! 👋", 16),
        ("https://example.com/very/long/path?x=1", 23),
        ("example.com", 23),
        ("t.co/abc", 23),
        ("gov.uk", 23),
        ("x.com", 23),
        ("readme.md", 23),
        ("foo.bar", 23),
        ("see radiusred.uk.", 28),
        ("(example.com)", 25),
        ("a https://example.com.", 26),
        ("end.So", 23),
        ("end.Next", 23),
        ("user@example.com", 16),
        ("node.js", 7),
        ("file.txt", 8),
        ("1.2.3.4", 7),
        ("Dr.Who", 6),
        ("日本example.com", 27),
        ("ñexample.com", 24),
        ("xñexample.com", 23),
        (" ñexample.com", 24),
        ("example.com日本", 27),
        ("http://例え.jp/", 23),
        ("http://例え.テスト", 18),
        ("http://localhost:3000", 21),
        ("👨‍👩‍👧‍👦", 2),
        ("🙋🏽", 2),
        ("🇺🇦", 2),
        (
            "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}",
            2,
        ),
        ("1️⃣", 2),
        ("❤", 2),
        ("❤️", 2),
        ("ℹ️", 2),
        ("🏳️‍🌈", 2),
        ("🅰️", 2),
        ("💻\u{fe0f}", 4),
        ("👁\u{200d}🗨", 2),
        ("👁️\u{200d}🗨️", 5),
        ("🧑\u{200d}💻", 5),
        ("©", 1),
        ("©️", 2),
        ("™", 2),
        ("½", 1),
        ("€", 2),
        ("→", 2),
        ("…", 2),
        ("“quoted”", 8),
        ("–—", 2),
        ("Привет", 6),
        ("مرحبا", 5),
        ("हिन्दी", 6),
        ("ไทย", 3),
        ("한국어", 6),
        ("日本語", 6),
        ("e\u{301}", 1),
        ("\u{200b}", 1),
        ("\u{200d}", 1),
        ("\u{2028}", 2),
        ("\u{202e}", 2),
        ("a\nb", 3),
        ("a\r\nb", 4),
        ("#hash @user $TSLA", 17),
    ] {
        assert_eq!(length(text), expected, "{text}");
    }
}

#[test]
fn of_entities_that_overlap_the_first_counts() {
    let text = "@ada/list see example.com/#top $TSLA #tag";
    let found: Vec<(EntityKind, &str)> = entities(text)
        .into_iter()
        .map(|entity| (entity.kind, &text[entity.range]))
        .collect();
    assert_eq!(
        found,
        [
            (EntityKind::List, "@ada/list"),
            (EntityKind::Url, "example.com/#top"),
            (EntityKind::Cashtag, "$TSLA"),
            (EntityKind::Hashtag, "#tag"),
        ]
    );
}

proptest! {
    #[test]
    fn any_text_is_read_without_a_fall(text in "(\\PC|[a-z.:/@#$?()_ -]|\\.com|https://|xn--|日本|é){0,40}") {
        for entity in entities(&text) {
            prop_assert!(!text[entity.range].is_empty());
        }
        prop_assert!(length(&text) <= text.chars().count() * 23);
    }
}
