//! That a link leads where its address does.

use proptest::prelude::*;

use super::*;

#[test]
fn on_mastodon_an_address_ends_before_what_belongs_to_the_sentence() {
    for (text, expected) in [
        (
            "詳細は https://e.co/a。次の船",
            "詳細は https://e.co/a 。次の船",
        ),
        ("«https://e.co/a»", "«https://e.co/a »"),
        ("“https://e.co/a”.", "“https://e.co/a ”."),
        ("انظر https://e.co/a، ثم", "انظر https://e.co/a ، ثم"),
        ("https://e.co/a…", "https://e.co/a …"),
        ("https://e.co/a\u{200f} x", "https://e.co/a \u{200f} x"),
        ("https://e.co?a=b」", "https://e.co?a=b 」"),
        ("https://e.co?a=b\u{3000}次", "https://e.co?a=b \u{3000}次"),
        ("https://e.co/a?。", "https://e.co/a ?。"),
        ("https://e.co/a（次）", "https://e.co/a （次）"),
    ] {
        assert_eq!(with_links_apart(text, Limit::MASTODON), expected);
        assert_eq!(with_links_apart(text, Limit::BLUESKY), text);
    }
    for text in [
        "https://e.co。次",
        "(https://e.co/a).",
        "https://e.co/a, b",
        "https://e.co/a!\n",
        "「https://e.co/a」",
        "https://e.co/a\u{3000}次",
        "https://e.co/a?",
        "e.co/a。次",
        "https://e.co#a。次",
    ] {
        assert_eq!(with_links_apart(text, Limit::MASTODON), text);
    }
}

#[test]
fn in_chats_an_address_ends_before_whatever_is_no_blank() {
    for limit in [Limit::TELEGRAM, Limit::DISCORD] {
        assert_eq!(
            with_links_apart("https://e.co。次", limit),
            "https://e.co 。次"
        );
        assert_eq!(
            with_links_apart("(https://e.co/a).", limit),
            "(https://e.co/a)."
        );
    }
    assert_eq!(
        with_links_apart("https://e.co/a。次", Limit::X),
        "https://e.co/a。次"
    );
    assert_eq!(
        with_links_apart("https://e.co/a。次", Limit::Unbounded),
        "https://e.co/a。次"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_apart_stays_and_keeps_its_addresses(
        pieces in prop::collection::vec(
            prop_oneof![
                3 => prop::sample::select(vec![
                    "https://e.co", "https://e.co/a", "https://e.co/a?b=c", "https://e.co/a_(b)", "e.co/x", "。", "、", "…", "”",
                    "»", "،", "؟", "」", ".", ",", "!", "?", "(", ")", " ", "\u{3000}", "\u{200f}", "次", "a", "/",
                ]).prop_map(str::to_owned),
                1 => "\\PC{0,3}",
            ],
            0..16,
        ),
    ) {
        let text = pieces.concat();
        let addresses = |text: &str| -> Vec<String> {
            let found = Scan::through_code(text).filter(|it| it.kind == SpanKind::Url);
            found.map(|it| text[it.start..it.end].to_owned()).collect()
        };
        for limit in [Limit::X, Limit::MASTODON, Limit::TELEGRAM, Limit::DISCORD_MESSAGE] {
            let apart = with_links_apart(&text, limit);
            prop_assert_eq!(apart.replace(' ', ""), text.replace(' ', ""));
            prop_assert_eq!(with_links_apart(&apart, limit), apart.clone());
            prop_assert_eq!(addresses(&apart), addresses(&text));
        }
    }
}
