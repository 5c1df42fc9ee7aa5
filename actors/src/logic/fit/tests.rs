//! That lengths are counted as they are where texts go, and that parts keep the text.

use std::sync::LazyLock;

use proptest::prelude::*;
use regex::Regex;
use unicode_segmentation::UnicodeSegmentation;

use super::*;
use crate::domain::{Media, Poll};
use crate::logic::spans::{Scan, SpanKind};

const MASTODON: Limit = Limit::Mastodon { max: 500, url: 23 };

fn parts(text: &str, max: usize) -> Vec<String> {
    fit(text, Limit::Mastodon { max, url: 23 }).expect("it can be split")
}

#[test]
fn mastodon_counts_what_it_links_otherwise() {
    for (text, length) in [
        ("", 0),
        ("Hello, world! 👋", 15),
        ("https://example.com/very/long/path?x=1 a", 25),
        ("http://a.co", 23),
        ("example.com", 11),
        ("http://localhost:3000", 21),
        ("(https://example.com/abcdefghijklmnop).", 26),
        ("@user@mastodon.example hi", 8),
        ("/@user@mastodon.example", 23),
        ("@alice.bsky.social", 18),
        ("👨‍👩‍👧‍👦🇺🇦1️⃣e\u{301}", 4),
        ("a\r\nb", 3),
        ("日本語", 3),
        (":blobcat:", 9),
        ("राष्ट्रीय", 5),
        ("ক্ষতি స్త్రీ", 7),
        ("क्\u{200d}ष", 2),
    ] {
        assert_eq!(MASTODON.measure(text), length, "{text}");
    }
}

#[test]
fn the_other_networks_count_in_their_units() {
    let bluesky = Limit::Bluesky {
        graphemes: 300,
        bytes: 3000,
    };
    let family = "👨‍👩‍👧‍👦";
    assert_eq!(bluesky.measure(&format!("a https://e.co {family}")), 16);
    assert!(!bluesky.fits(&family.repeat(121)), "3,025 bytes");
    assert!(bluesky.fits(&family.repeat(120)), "3,000 bytes");
    assert!(!bluesky.fits(&"a".repeat(301)));
    assert_eq!(Limit::TELEGRAM.measure("aé日👋"), 5);
    assert_eq!(Limit::DISCORD.measure("aé日👋"), 4);
    assert_eq!(Limit::X.measure("aé日👋 e.co"), 30);
    assert!(Limit::Unbounded.fits(&"a".repeat(9_999)));
}

#[test]
fn x_refuses_three_characters_and_they_are_left_out() {
    assert!(!Limit::X.fits("a\u{feff}b"));
    assert_eq!(fit("a\u{feff}b", Limit::X), Ok(vec!["ab".to_owned()]));
    assert!(Limit::MASTODON.fits("a\u{feff}b"));
}

#[test]
fn bluesky_is_told_where_links_mentions_and_tags_stand() {
    let text = "Привет @ada.bsky.social, https://e.co/a e.co #тег @ada";
    let displayed = display(text, Limit::BLUESKY);
    assert_eq!(displayed.text, text);
    let facets: Vec<(&str, FacetKind)> = displayed
        .facets
        .into_iter()
        .map(|facet| (&text[facet.range], facet.kind))
        .collect();
    assert_eq!(
        facets,
        [
            (
                "@ada.bsky.social",
                FacetKind::Mention("ada.bsky.social".to_owned())
            ),
            (
                "https://e.co/a",
                FacetKind::Link("https://e.co/a".to_owned())
            ),
            ("e.co", FacetKind::Link("https://e.co".to_owned())),
            ("#тег", FacetKind::Tag("тег".to_owned())),
        ]
    );
}

#[test]
fn a_link_that_is_longer_than_a_post_is_shown_by_its_beginning() {
    let url = format!("https://e.co/{}", "a".repeat(400));
    let text = format!("See {url}.");
    let displayed = display(&text, Limit::BLUESKY);
    assert_eq!(displayed.text, format!("See e.co/{}….", "a".repeat(35)));
    assert_eq!(
        &displayed.text[displayed.facets[0].range.clone()],
        format!("e.co/{}…", "a".repeat(35))
    );
    assert_eq!(displayed.facets[0].kind, FacetKind::Link(url));
    assert_eq!(
        Limit::BLUESKY.measure(&text),
        displayed.text.chars().count()
    );
    assert_eq!(fit(&text, Limit::BLUESKY), Ok(vec![text]));
}

#[test]
fn a_warning_takes_its_length_from_every_part() {
    let limit = MASTODON.beside("cw: https://example.com/a/long/one");
    assert_eq!(limit, Limit::Mastodon { max: 466, url: 23 });
}

#[test]
fn a_warning_is_torn_where_more_than_its_words_would_be_cut() {
    let is_torn = |limit, warning: String| {
        let attached = Attached {
            warning: Some(warning.into()),
            ..Attached::default()
        };
        tears_warning(limit, Some(&attached))
    };
    let (link, words) = ("https://example.org/a", "spoilers of the last part ");
    for limit in [Limit::X, Limit::BLUESKY] {
        assert!(is_torn(limit, words.repeat(8) + link), "{limit:?}");
        assert!(!is_torn(limit, words.repeat(8)), "{limit:?}");
        assert!(!is_torn(limit, words.repeat(2) + link), "{limit:?}");
    }
    assert!(!is_torn(MASTODON, words.repeat(8) + link));
    assert!(!tears_warning(Limit::X, None));
}

#[test]
fn a_warning_that_has_all_of_its_room_is_not_torn() {
    for (limit, most) in [
        (Limit::X, 140 - 2),
        (Limit::BLUESKY, 150 - 4),
        (Limit::TELEGRAM, 2_048 - 2),
        (Limit::DISCORD, 1_000 - 6),
        (Limit::DISCORD_MESSAGE, 1_000 - 6),
        (Limit::SLACK, 2_000 - 2),
    ] {
        let is_torn = |length: usize| {
            let attached = Attached {
                warning: Some(format!("{:x<length$}", "@ada ").into()),
                ..Attached::default()
            };
            tears_warning(limit, Some(&attached))
        };
        assert_eq!(
            (is_torn(most), is_torn(most + 1)),
            (false, true),
            "{limit:?}"
        );
    }
}

#[test]
fn a_warning_has_room_above_the_text_and_never_takes_more_than_half_of_it() {
    let warned = |limit: Limit, warning: &str| {
        let attached = Attached {
            warning: Some(warning.into()),
            ..Attached::default()
        };
        room(limit, Some(&attached)).max().expect("a maximum")
    };
    for (limit, taken) in [
        (Limit::X, 5),
        (Limit::MASTODON, 3),
        (Limit::BLUESKY, 7),
        (Limit::TELEGRAM, 5),
        (Limit::DISCORD_MESSAGE, 9),
        (Limit::Characters { max: 4_000 }, 5),
    ] {
        let max = limit.max().expect("a maximum");
        assert_eq!(warned(limit, "Ojo"), max - taken, "{limit:?}");
        if !matches!(limit, Limit::Mastodon { .. }) {
            assert_eq!(warned(limit, &"Ojo ".repeat(2_000)), max / 2, "{limit:?}");
        }
        assert_eq!(warned(limit, " "), max);
    }
}

#[test]
fn what_becomes_words_behind_the_text_has_room_there() {
    let attached = Attached {
        media: vec![Media {
            url: "https://e.co/1.png".to_owned(),
            mime: None,
            alt: None,
        }],
        poll: Some(Poll {
            options: vec!["Sí".to_owned(), "No".to_owned()],
            is_multiple: false,
            lasts: None,
        }),
        quoted: Some("https://e.co/a/quoted/post".into()),
        ..Attached::default()
    };
    let left = |limit| room(limit, Some(&attached)).max();
    assert_eq!(left(Limit::X), Some(280 - 25));
    assert_eq!(left(Limit::MASTODON), Some(500 - 25));
    assert_eq!(left(Limit::TELEGRAM), Some(4_096 - 64));
    assert_eq!(left(Limit::BLUESKY), Some(300));
}

#[test]
fn a_text_that_fits_is_one_part() {
    assert_eq!(parts("  a\n\nb. c ", 7), ["a\n\nb. c"]);
    assert_eq!(parts("", 0), [""]);
}

#[test]
fn a_long_text_is_split_as_high_as_can_be() {
    assert_eq!(
        parts("One two.\nThree. Four five", 17),
        ["One two.", "Three. Four five"]
    );
    assert_eq!(
        parts("One two. Three four. Five", 22),
        ["One two. Three four.", "Five"]
    );
    assert_eq!(parts("one two three four", 9), ["one two", "three", "four"]);
    assert_eq!(
        parts("今日は晴れ。明日は雨。", 8),
        ["今日は晴れ。", "明日は雨。"]
    );
    assert_eq!(parts("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(parts("well-known, facts", 12), ["well-known,", "facts"]);
}

#[test]
fn a_url_moves_on_whole() {
    let url = "https://example.com/a.b-c/d?e=f";
    assert_eq!(
        parts(&format!("word word {url} end."), 30),
        ["word word", &format!("{url} end.")]
    );
    assert_eq!(parts(&format!("{url}{url}"), 60), [format!("{url}{url}")]);
}

#[test]
fn short_code_moves_on_whole() {
    let code = "```\nlet a = b;\n```";
    let text = format!("One two three four five {code} six.");
    for limit in [
        Limit::X { max: 34 },
        Limit::Mastodon { max: 34, url: 23 },
        Limit::Telegram { max: 34 },
    ] {
        let split = fit(&text, limit).expect("it can be split");
        assert_eq!(split, ["One two three four five", &format!("{code} six.")]);
    }
    let linked = "`see https://e.co/a now`";
    let limit = Limit::Mastodon { max: 40, url: 23 };
    let split = fit(&format!("One two three {linked} four."), limit).expect("it can be split");
    assert_eq!(split, ["One two three", &format!("{linked} four.")]);
    let long = "a ".repeat(60);
    assert!(parts(&format!("`{long}b`"), 50).len() > 2);
}

#[test]
fn a_number_moves_on_with_its_unit() {
    assert_eq!(
        parts("It went 120 km/h fast", 12),
        ["It went", "120 km/h", "fast"]
    );
    assert_eq!(parts("for 7 €", 5), ["for", "7 €"]);
    for text in ["時速33 km/hで走る", "и.33 km/h,что", "و33 km/hفي"] {
        let parts = parts(text, 9);
        let holds = |part: &String| part.contains("33 km/h");
        assert!(parts.iter().any(holds), "{parts:?}");
    }
}

#[test]
fn what_cannot_be_split_is_refused_by_name() {
    let error = fit("see #abcdefghijk now", Limit::Telegram { max: 8 }).expect_err("too long");
    assert_eq!(
        error.to_string(),
        "`#abcdefghijk` cannot be split and measures 12, wanted at most 8"
    );
    let zalgo = format!("a{}", "\u{301}".repeat(20));
    let bluesky = Limit::Bluesky {
        graphemes: 9,
        bytes: 30,
    };
    let error = fit(&zalgo, bluesky).expect_err("too long");
    assert_eq!((error.length, error.max), (41, 30));
}

fn any_limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        (0_usize..60, 0_usize..40).prop_map(|(max, url)| Limit::Mastodon { max, url }),
        (1_usize..60, 4_usize..90)
            .prop_map(|(graphemes, bytes)| Limit::Bluesky { graphemes, bytes }),
        (1_usize..60).prop_map(|max| Limit::Telegram { max }),
        (1_usize..60).prop_map(|max| Limit::X { max }),
        (1_usize..60).prop_map(|max| Limit::Discord { max }),
        (2_usize..60).prop_map(|max| Limit::Escaped { max }),
    ]
}

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "https://e.co/a_(b).", "e.co", ".com", "end.So ", "http://xn--", "$TSLA", "`a b`", "http://x.y", "http://localhost", "https://", "://", "@ada", "@ada@e.social", "@a@",
            "#tag", "#日本", "#", ":ab:", ":", "a@e.co", "x", "word ", "Two words. ", "End! ", "Dr. Who said: “no.” ",
            "今日は晴れ。", "日本、", "สวัสดีชาวโลก", "हिन्दी ", "שלום ", "مرحبا، ", "👨‍👩‍👧‍👦", "🇺🇦", "🇺", "1️⃣", "e\u{301}",
            "\u{301}", "\u{200d}", "\u{600}", "\u{fe0f}", " ", "\n", "\n\n", "\r\n", "\u{a0}", "\u{2029}", "(", ")", "-", "/", "=",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "\\PC{0,6}",
    ];
    let text = prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat());
    text.prop_map(|text| text.chars().filter(|&c| x_text::is_allowed(c)).collect())
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

/// Where the parts end in the text, found by walking over both.
fn ends(text: &str, parts: &[String]) -> Vec<usize> {
    let mut at = 0;
    parts
        .iter()
        .map(|part| {
            at += text[at..]
                .find(&**part)
                .expect("parts stand in the text in order");
            at += part.len();
            at
        })
        .collect()
}

/// A grapheme cluster as Unicode defined it before 15.1, and Ruby's `\X` before 4.0.
static CLUSTER: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?x)
        \r\n | [\r\n\p{gcb=Control}] | \p{gcb=Prepend}* (?:
            \p{gcb=L}* (?: \p{gcb=V}+ | \p{gcb=LV}\p{gcb=V}* | \p{gcb=LVT} ) \p{gcb=T}*
            | \p{gcb=L}+ | \p{gcb=T}+ | \p{gcb=RI}{2}
            | \p{ExtPict} (?: \p{gcb=Extend}*\u{200d}\p{ExtPict} )*
            | [^\r\n\p{gcb=Control}]
        ) [\p{gcb=Extend}\u{200d}\p{gcb=SpacingMark}]*";
    Regex::new(pattern).expect("a pattern")
});

fn clusters(text: &str) -> usize {
    CLUSTER.find_iter(text).count()
}

/// A text without the characters of which our tables and those of these clusters, which are of
/// another version of Unicode, say different things.
fn told_alike(text: &str) -> String {
    let is_alike = |char: &char| {
        char.is_ascii()
            || [
                format!("x{char}"),
                format!("{char}x"),
                format!("{char}\u{200d}{char}"),
            ]
            .iter()
            .all(|text| text.graphemes(true).count() == clusters(text))
    };
    text.chars().filter(is_alike).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn parts_are_within_the_limit_and_lose_nothing(text in hostile(), limit in any_limit()) {
        match fit(&text, limit) {
            Ok(parts) => {
                for part in &parts {
                    prop_assert!(limit.fits(part), "{part:?} measures {}", limit.measure(part));
                    prop_assert_eq!(part.trim(), &**part);
                    prop_assert!(parts.len() == 1 || !part.is_empty());
                }
                prop_assert_eq!(without_spaces(&parts.concat()), without_spaces(&text));
            }
            Err(error) => {
                prop_assert!(error.length > error.max);
                prop_assert!(!limit.fits(&text));
            }
        }
    }

    #[test]
    fn what_is_told_together_is_what_is_told_apart(text in hostile(), limit in any_limit()) {
        let text = format!(" {text}\u{feff}");
        for text in [&*text, text.trim(), text.trim_matches(['\u{feff}', ' '])] {
            let fitted = fitted(text, limit);
            prop_assert_eq!(fitted.length, limit.measure(text));
            prop_assert_eq!(fitted.fits, limit.fits(text));
            prop_assert_eq!(fitted.parts, fit(text, limit));
        }
    }

    #[test]
    fn no_part_ends_inside_of_what_must_stay_whole(text in hostile(), limit in any_limit()) {
        let Ok(parts) = fit(&text, limit) else { return Ok(()) };
        let mut clusters: Vec<usize> = text.grapheme_indices(true).map(|(start, _)| start).collect();
        clusters.push(text.len());
        let ends = ends(&text, &parts);
        for span in Scan::through_code(&text) {
            let is_inside = ends.iter().any(|&end| end > span.start && end < span.end);
            let may_be_split = span.kind == SpanKind::Placeholder;
            prop_assert!(may_be_split || !is_inside, "{:?} in {:?}", span, parts);
        }
        for end in &ends[..ends.len() - 1] {
            let is_trimmed = text[*end..].starts_with(char::is_whitespace);
            prop_assert!(is_trimmed || clusters.contains(end), "{:?}", parts);
        }
    }

    #[test]
    fn what_is_shown_is_what_is_counted(text in hostile(), graphemes in 1_usize..60, bytes in 9_usize..90) {
        let (text, limit) = (told_alike(&text), Limit::Bluesky { graphemes, bytes });
        let displayed = display(&text, limit);
        prop_assert_eq!(limit.measure(&text), clusters(&displayed.text));
        let mut end = 0;
        for facet in &displayed.facets {
            prop_assert!(end <= facet.range.start && facet.range.start < facet.range.end);
            end = facet.range.end;
            prop_assert!(displayed.text.get(facet.range.clone()).is_some());
        }
        prop_assert!(end <= displayed.text.len());
    }

    #[test]
    fn graphemes_are_counted_as_ruby_does(text in "(\\PC|[ -~À-˿Ͱ-ԯא-תؠ-ي、-ヿ一-鿿क-ह\u{94d}\u{300}\u{3099}\u{200d}\u{600}]){0,30}") {
        let text = told_alike(&text);
        prop_assert_eq!(atoms::graphemes_of(&text), clusters(&text));
    }
}
