//! What is a span, and that spans come back.

use proptest::prelude::*;

use super::*;
use crate::domain::SEPARATOR;

fn protected(text: &str) -> Protected {
    protect(&text.into())
}

/// The spans of a text, each behind its kind.
fn spans(text: &str) -> Vec<String> {
    let shown = |span: &Span| format!("{} {}", span.kind.name(), span.text);
    protected(text).spans.iter().map(shown).collect()
}

#[track_caller]
fn assert_spans(text: &str, expected: &[&str]) {
    assert_eq!(spans(text), expected, "{text}");
}

#[test]
fn web_addresses_end_where_the_sentence_goes_on() {
    for (text, expected) in [
        ("see https://e.co/a?b=c#d.", "url https://e.co/a?b=c#d"),
        ("(HTTP://e.co/a)", "url HTTP://e.co/a"),
        (
            "https://e.co/Rust_(game), no",
            "url https://e.co/Rust_(game)",
        ),
        (
            "(https://e.co/Rust_(game))!",
            "url https://e.co/Rust_(game)",
        ),
        ("[a](https://e.co/x_y)", "url https://e.co/x_y"),
        ("“https://e.co”…", "url https://e.co"),
        ("详见https://e.co/a。谢谢", "url https://e.co/a"),
        (
            "https://ja.wikipedia.org/wiki/日本",
            "url https://ja.wikipedia.org/wiki/日本",
        ),
        ("http://localhost:3000/?", "url http://localhost:3000/"),
        ("http://[::1]/@user/#tag", "url http://[::1]/@user/#tag"),
        ("<https://e.co/a>", "url https://e.co/a"),
    ] {
        assert_spans(text, &[expected]);
    }
    assert_spans("http:// and https://. htt", &[]);
}

#[test]
fn a_domain_without_a_scheme_ends_in_a_name_that_exists() {
    assert_spans(
        "see example.com, (e.co.uk/a_(b)?c=d). 详见example.com。README.md MLB.tv EXAMPLE.COM e.co:80/x",
        &[
            "domain example.com",
            "domain e.co.uk/a_(b)?c=d",
            "domain example.com",
            "domain README.md",
            "domain MLB.tv",
            "domain EXAMPLE.COM",
            "domain e.co:80/x",
        ],
    );
    assert_spans(
        "node.js file.txt 1.2.3.4 Dr.Who end.So 3.am e.g. a..com -.com",
        &[],
    );
}

#[test]
fn cashtags_stand_free() {
    assert_spans("$TSLA, $BRK.B $5 a$b", &["cashtag $TSLA", "cashtag $BRK.B"]);
}

#[test]
fn code_stays_whole() {
    assert_spans(
        "run `cargo add #x`, ``a ` b`` or\n```\nlet a = @b;\n\n```",
        &[
            "code `cargo add #x`",
            "code ``a ` b``",
            "code ```\nlet a = @b;\n\n```",
        ],
    );
    assert_spans("it`s a\nb ` ` ```", &[]);
}

#[test]
fn mentions_take_their_host_with_them() {
    assert_spans(
        "@ada, .@ada@e.social. (@ada.bsky.social) 感谢@ada_1",
        &[
            "mention @ada",
            "mention @ada@e.social",
            "mention @ada.bsky.social",
            "mention @ada_1",
        ],
    );
    assert_spans("@ @. a@b @@", &[]);
    assert_spans("@a@http://e.co", &["url http://e.co"]);
}

#[test]
fn an_email_address_is_one_span() {
    assert_spans(
        "mailto:ada.l+x@mail.e.co. müller@e.co 联系ada@e.co",
        &[
            "email ada.l+x@mail.e.co",
            "email müller@e.co",
            "email ada@e.co",
        ],
    );
}

#[test]
fn hashtags_need_a_letter_and_a_free_place() {
    assert_spans(
        "#Rust! #हिन्दी (#2day) ＃日本語 #a_b #l·l· 12 #été",
        &[
            "hashtag #Rust",
            "hashtag #हिन्दी",
            "hashtag #2day",
            "hashtag ＃日本語",
            "hashtag #a_b",
            "hashtag #l·l",
            "hashtag #été",
        ],
    );
    assert_spans("C# a#b #12 #_ ## e.co/#top &#x27;", &["domain e.co/#top"]);
    assert_spans("#e\u{301}te\u{301}", &["hashtag #e\u{301}te\u{301}"]);
}

#[test]
fn custom_emoji_are_no_times() {
    assert_spans(
        ":ab: (:blob_cat:) :a1::b2:",
        &[
            "custom_emoji :ab:",
            "custom_emoji :blob_cat:",
            "custom_emoji :a1:",
            "custom_emoji :b2:",
        ],
    );
    assert_spans("12:30:45 std::vec::Vec :a: a:bc: :ab:c", &[]);
}

#[test]
fn an_emoji_stays_whole() {
    let family = "👨‍👩‍👧‍👦";
    let england = "🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f}";
    for emoji in [
        family,
        england,
        "🙋🏽",
        "🇺🇦",
        "1️⃣",
        "#️⃣",
        "❤️",
        "❤",
        "ℹ️",
        "🏳️‍🌈",
        "©️",
        "™️",
        "‼️",
        "㊗️",
        "⭐",
    ] {
        assert_spans(&format!("a{emoji}b"), &[&format!("emoji {emoji}")]);
    }
    assert_spans("🇺🇦🇵🇱", &["emoji 🇺🇦", "emoji 🇵🇱"]);
    assert_spans("© ™ → ½ … “a” – ℹ ① 日本、「x」", &[]);
}

#[test]
fn spans_are_numbered_in_their_order() {
    let protected = protected(" \n⟦7⟧ by @ada: ⟦ 0 ⟧ 🎉https://e.co\t");
    assert_eq!(&*protected.skeleton, "⟦0⟧ by ⟦1⟧: ⟦2⟧ ⟦3⟧⟦4⟧");
    let restored = protected.restore("⟦4⟧ ⟦ 1\u{a0}⟧ ⟦3⟧ ⟦0⟧⟦2⟧ ");
    let expected = " \nhttps://e.co @ada 🎉 ⟦7⟧⟦ 0 ⟧\t";
    assert_eq!(restored.as_deref(), Ok(expected));
}

#[test]
fn broken_placeholders_are_named() {
    let protected = protected("a @b @c @d");
    let broken = protected.restore("⟦1⟧ ⟦1⟧ ⟦7⟧ ⟦1⟧ ⟦0⟧");
    assert_eq!(
        broken.expect_err("broken").to_string(),
        "every placeholder was wanted once, missing: ⟦2⟧, more than once: ⟦1⟧, never sent: ⟦7⟧"
    );
}

#[test]
fn an_answer_full_of_unknown_placeholders_makes_a_small_error() {
    let answer: String = (1..5_000).map(|number| format!("⟦{number}⟧")).collect();
    let broken = protected("a").restore(&answer).expect_err("broken");
    assert_eq!(broken.unknown.len(), 8);
}

#[test]
fn what_touches_a_span_does_not_change_it() {
    for (text, translated, expected) in [
        (
            "see https://e.co now",
            "ver⟦0⟧ahora",
            "ver https://e.co ahora",
        ),
        ("see https://e.co", "ver⟦0⟧", "ver https://e.co"),
        ("xhttps://e.co", "y⟦0⟧", "yhttps://e.co"),
        ("@ada and @bob", "⟦0⟧⟦1⟧", "@ada @bob"),
        ("@ada が", "⟦0⟧が", "@adaが"),
        ("hi @ada, #b", "a⟦0⟧b, (⟦1⟧)", "a @ada b, (#b)"),
        ("hi @ada", "¡hola!⟦0⟧", "¡hola! @ada"),
        ("**@ada**", "**⟦0⟧**", "**@ada**"),
        ("@ada🎉", "⟦0⟧é⟦1⟧", "@ada é🎉"),
        ("@ada, I", "⟦0⟧/yo", "@ada /yo"),
        ("e.co. ada@e.co", "⟦0⟧.⟦1⟧", "e.co .ada@e.co"),
        ("🇺🇦 and 🇵🇱", "⟦1⟧⟦0⟧", "🇵🇱🇺🇦"),
        ("1️⃣ is 🏽", "1⟦0⟧ ⟦1⟧", "11️⃣ 🏽"),
    ] {
        let restored = protected(text).restore(translated);
        assert_eq!(restored.as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn nothing_goes_over_to_the_other_side_of_a_separator() {
    let text = "See @ada\n\u{1e}\nLoud\n\u{1e}\nA boat";
    let skeleton = "Ver ⟦0⟧\n⟦1⟧\nRuido\n⟦2⟧\nUn barco";
    assert!(protected(text).restore(skeleton).is_ok());
    for (translated, moved) in [
        ("⟦1⟧\nVer ⟦0⟧ ruido\n⟦2⟧\nUn barco", &[0, 1][..]),
        ("Ver ⟦0⟧\n⟦1⟧\n⟦2⟧\nRuido. Un barco", &[1]),
        ("Ver ⟦0⟧\n⟦1⟧\nRuido. Un barco\n⟦2⟧", &[2]),
        ("Ver\n⟦1⟧\nRuido ⟦0⟧\n⟦2⟧\nUn barco", &[0]),
    ] {
        let broken = protected(text).restore(translated).expect_err("broken");
        assert_eq!(broken.misplaced, moved, "{translated}");
    }
    let alone = protected("\u{1e}\nA boat").restore("Un ⟦0⟧ barco");
    assert_eq!(alone.expect_err("broken").misplaced, [0]);
}

#[test]
fn no_bracket_of_a_placeholder_is_left_behind() {
    for (text, translated, n_stray) in [
        ("@ada", "⟦0⟧ ⟦", 1),
        ("@ada", "⟦0⟧, ⟦0, 1⟧", 2),
        ("@ada", "⟦⟦0⟧⟧", 2),
        ("by", "⟦x⟧", 2),
        ("⟦x⟧ by @ada", "⟦x⟧ ⟦0⟧", 0),
        ("⟦x⟧ by @ada", "⟦0⟧", 0),
    ] {
        let n_found = match protected(text).restore(translated) {
            Ok(_) => 0,
            Err(broken) => broken.n_stray,
        };
        assert_eq!(n_found, n_stray, "{translated}");
    }
    let broken = protected("@ada").restore("⟦0⟧ ⟦0, 1⟧");
    assert_eq!(
        broken.expect_err("broken").to_string(),
        "every placeholder was wanted once, brackets without a number that was sent: 2"
    );
}

#[test]
fn a_translation_brings_no_links_of_its_own() {
    for (translated, n_added) in [
        ("see https://spam.example", 1),
        ("@ada #tag 🎉", 3),
        ("⟦", 0),
        ("5 $US", 0),
    ] {
        let n_found = match protected("see this").restore(translated) {
            Ok(_) => 0,
            Err(broken) => broken.n_added,
        };
        assert_eq!(n_found, n_added, "{translated}");
    }
}

#[test]
fn numbers_with_units_and_prices_are_kept_where_asked() {
    let text: Arc<str> =
        "5 km, 12,5 % of 1 200 € for $5 or € 7.50, 20°C, 3 men, a1 kg, 5.5GB/s 10 USD 7 metres"
            .into();
    let kept = protect_with(&text, Numbers::Kept);
    let shown: Vec<&str> = kept.spans.iter().map(|span| &*span.text).collect();
    assert_eq!(
        shown,
        [
            "5 km", "12,5 %", "200 €", "$5", "€ 7.50", "20°C", "5.5GB", "10 USD"
        ]
    );
    assert!(kept.spans.iter().all(|span| span.kind == SpanKind::Number));
    assert!(protect(&text).spans.is_empty());
    assert_eq!(kept.restore(&kept.skeleton).as_deref(), Ok(&*text));
    let domains = protect_with(&"5m.example.com and 3g@e.co in 5 m.".into(), Numbers::Kept);
    assert_eq!(&*domains.skeleton, "⟦0⟧ and ⟦1⟧ in ⟦2⟧.");
    let names = protect_with(
        &"0%a@e.co, 5 km@e.co, 5 m.example.com, 5 m.Then".into(),
        Numbers::Kept,
    );
    assert_eq!(&*names.skeleton, "⟦0⟧, 5 ⟦1⟧, 5 ⟦2⟧, ⟦3⟧.Then");
    let cashtag = protect_with(&"50 $AAPL for 50 $, 20 €3".into(), Numbers::Kept);
    assert_eq!(&*cashtag.skeleton, "50 ⟦0⟧ for ⟦1⟧, 20 ⟦2⟧");
    let number = protect_with(&"(5 km) for $5".into(), Numbers::Kept);
    let restored = number.restore("(1⟦0⟧) ⟦1⟧0");
    assert_eq!(restored.as_deref(), Ok("(1 5 km ) $5 0"));
    let kept = protect_with(&"About 5 km, ten percent".into(), Numbers::Kept);
    let restored = kept.restore("約⟦0⟧です、10 %");
    assert_eq!(restored.as_deref(), Ok("約5 kmです、10 %"));
    let restored = kept.restore("Tempo⟦0⟧ins Dorf, 10 %");
    assert_eq!(restored.as_deref(), Ok("Tempo 5 km ins Dorf, 10 %"));
}

#[test]
fn only_letters_outside_of_spans_are_words() {
    for text in [
        "",
        " ",
        "@ada #tag https://e.co 12:30 – 50 % 🎉",
        "ada@e.co!",
        "⟦1⟧ ½ 、。",
        "müller@e.co",
    ] {
        assert!(!protected(text).has_words(), "{text}");
    }
    for text in ["a", "@ada é", "🎉 日", "h", "x ada@e.co", "שלום"] {
        assert!(protected(text).has_words(), "{text}");
    }
}

#[test]
fn a_text_without_spans_is_not_copied() {
    let text: Arc<str> = "Nothing to see: 12:30, C#, a@b".into();
    assert!(Arc::ptr_eq(&protect(&text).skeleton, &text));
}

/// Texts made of what spans are made of, and of what surrounds them.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "https://", "http://e.co/a_(b)", "HTTPS://x.y?z=1#q", "@", "@ada", "@ada@e.social", "#", "#tag",
            "＃日本", "#12", ":", ":ab:", ":30:", "://", "ada@e.co", "⟦", "⟧", "⟦0⟧", "⟦ 1 ⟧", "⟦12", "2⟧", "🇺🇦", "🇺",
            "👨‍👩‍👧‍👦", "🏽", "1️⃣", "\u{fe0f}", "\u{20e3}", "\u{200d}", "\u{301}", "\u{600}", "©️", "❤", "a", "Z_9",
            "é", "ü", "日本語。", "שלום", "مرحبا", "हिन्दी", "ไทย", "\u{200f}", "\u{202e}", " ", "\n", "\r\n", "\t", "\u{a0}",
            "\u{3000}", ".", ",", "(", ")", "[", "]", "…", "、", "-", "/", "&", "=",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => "\\PC{0,6}",
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_was_set_aside_comes_back(text in hostile()) {
        let protected = protected(&text);
        prop_assert_eq!(protected.restore(&protected.skeleton), Ok(text.clone()));
        let numbers: Vec<usize> = placeholder::all(&protected.skeleton).map(|(_, number)| number).collect();
        prop_assert_eq!(numbers, (0..protected.spans.len()).collect::<Vec<_>>());
        let mut outside = placeholder::all(&protected.skeleton);
        let mut rest = String::new();
        let mut copied = 0;
        for (found, _) in outside.by_ref() {
            rest.push_str(&protected.skeleton[copied..found.start]);
            copied = found.end;
        }
        rest.push_str(&protected.skeleton[copied..]);
        prop_assert_eq!(protected.has_words(), rest.contains(char::is_alphabetic));
    }

    #[test]
    fn any_order_restores_the_same_spans(
        (text, order) in hostile().prop_flat_map(|text| {
            let n_spans = protected(&text).spans.len();
            let order = Just((0..n_spans).collect::<Vec<_>>()).prop_shuffle();
            (Just(text), order)
        }),
        between in "[a-zא-ת日、. ]{0,4}",
    ) {
        // A separator says how many texts there are, none of which gains or loses its words.
        prop_assume!(!text.contains(SEPARATOR));
        let protected = protected(&text);
        let mut answer = between.clone();
        for &number in &order {
            answer.push_str(&format!("⟦{number}⟧{between}"));
        }
        let sorted = |text: &str| {
            let mut spans = spans(text);
            spans.sort();
            spans
        };
        if let Ok(restored) = protected.restore(&answer) {
            prop_assert_eq!(sorted(&restored), sorted(&text));
        }
        let apart = answer.replace('⟦', " ⟦").replace('⟧', "⟧ ");
        if !between.contains('.') {
            let restored = protected.restore(&apart);
            prop_assert!(restored.is_ok(), "{:?}", restored);
            prop_assert_eq!(sorted(&restored.expect("spans apart")), sorted(&text));
        }
    }

    #[test]
    fn any_loss_or_doubling_is_refused(text in hostile(), pick in any::<prop::sample::Index>()) {
        let protected = protected(&text);
        prop_assume!(!protected.spans.is_empty());
        let number = pick.index(protected.spans.len());
        let skeleton = &*protected.skeleton;
        let written = format!("⟦{number}⟧");
        // Brackets of the text that met would make another placeholder.
        let lost = protected.restore(&skeleton.replacen(&written, "x", 1)).expect_err("lost");
        prop_assert_eq!(lost.missing, vec![number]);
        let doubled = protected.restore(&format!("{skeleton} {written}")).expect_err("doubled");
        prop_assert_eq!(doubled.doubled, vec![number]);
        let unknown = protected.restore(&format!("⟦{}⟧{skeleton}", protected.spans.len())).expect_err("unknown");
        prop_assert_eq!(unknown.unknown, vec![protected.spans.len()]);
    }
}

#[test]
fn the_spans_of_a_translation_are_set_aside_as_those_of_its_text() {
    let text: Arc<str> = "See https://a.example or ask @ann@b.example, twice @ann@b.example".into();
    let original = protect(&text);
    let by_hand = "Pregunta a @ann@b.example, @ann@b.example o mira https://a.example";
    let skeleton = original.set_aside(by_hand).expect("all are there");
    assert_eq!(original.restore(&skeleton).as_deref(), Ok(by_hand));
    assert_eq!(original.set_aside("Mira https://a.example"), None);
    let other = "Pregunta a @ann@b.example, @ann@b.example o mira https://c.example";
    assert_eq!(original.set_aside(other), None);
}
