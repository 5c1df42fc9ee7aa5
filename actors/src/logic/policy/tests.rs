//! That mentions alert whom they should, and nobody else.

use proptest::prelude::*;

use super::*;
use crate::logic::fit::{FacetKind, display};

const TEXT: &str = "Hi @ada, @bob@e.social and @eve.bsky.social! a@e.co";

#[test]
fn a_plain_mention_reads_the_same_and_alerts_nobody() {
    let plain = with_mentions(TEXT, &Mentions::Plain, Limit::X);
    assert_eq!(plain.replace(APART, ""), TEXT);
    assert!(
        entities(&plain)
            .iter()
            .all(|entity| entity.kind != EntityKind::Mention)
    );
    let found: Vec<SpanKind> = Scan::through_code(&plain).map(|found| found.kind).collect();
    assert!(!found.contains(&SpanKind::Mention), "{found:?}");
    let displayed = display(&plain, Limit::BLUESKY);
    let alerts = |kind: &FacetKind| matches!(kind, FacetKind::Mention(_));
    assert!(!displayed.facets.iter().any(|facet| alerts(&facet.kind)));
}

#[test]
fn a_known_account_is_mentioned_by_its_name_there() {
    let accounts = BTreeMap::from([("@ada".to_owned(), "@ada@e.social".to_owned())]);
    let mapped = with_mentions(
        "@ada @bob",
        &Mentions::Mapped(accounts.into()),
        Limit::MASTODON,
    );
    assert_eq!(mapped, "@ada@e.social @\u{200b}bob");
}

#[test]
fn mentions_that_are_kept_stay() {
    assert_eq!(with_mentions(TEXT, &Mentions::Alive, Limit::X), TEXT);
}

#[test]
fn what_went_through_once_stays_and_leads_back() {
    let accounts = BTreeMap::from([("@ada".to_owned(), "@ada@e.social".to_owned())]);
    for mentions in [
        Mentions::Plain,
        Mentions::Alive,
        Mentions::Mapped(accounts.into()),
    ] {
        let once = with_mentions(TEXT, &mentions, Limit::X);
        assert_eq!(with_mentions(&once, &mentions, Limit::X), once);
        assert_eq!(without_mentions(&once, &mentions), TEXT);
    }
}

#[test]
fn on_x_nobody_is_alerted_by_what_only_x_takes_for_a_mention() {
    for text in [
        "＠jack",
        "café@jack",
        "Привет@jack",
        "RT@jack",
        "@jack/list",
        "josé@e.co",
        "日本＠jack、",
    ] {
        assert!(!alerted(text, Limit::X).is_empty(), "{text}");
        let plain = with_mentions(text, &Mentions::Plain, Limit::X);
        assert_eq!(alerted(&plain, Limit::X), [""; 0], "{plain}");
        assert_eq!(without_mentions(&plain, &Mentions::Plain), text);
    }
    let elsewhere = with_mentions("josé@e.co ＠jack", &Mentions::Plain, Limit::MASTODON);
    assert_eq!(elsewhere, "josé@e.co ＠jack");
}

#[test]
fn a_full_width_mention_leads_to_the_account_that_it_names() {
    let accounts = BTreeMap::from([("@ada".to_owned(), "@countess".to_owned())]);
    let mentions = Mentions::Mapped(accounts.into());
    let mapped = with_mentions("＠ada ＠bob", &mentions, Limit::X);
    assert_eq!(mapped, "@countess ＠\u{200b}bob");
}

#[test]
fn a_plain_mention_is_found_again_where_it_stands() {
    let text = "Hi @ada, ＠bob@e.social: café@jack a@e.co @ \u{200b}";
    for limit in [Limit::X, Limit::MASTODON] {
        assert!(plain_places(text, limit).is_empty(), "{limit:?}");
        let plain = with_mentions(text, &Mentions::Plain, limit);
        let found = plain_places(&plain, limit).into_iter();
        let found: Vec<&str> = found.map(|place| &plain[place]).collect();
        let expected = alerted(text, limit).into_iter().map(super::plain);
        assert_eq!(found, expected.collect::<Vec<_>>(), "{limit:?}");
    }
}

/// What of a text alerts somebody.
fn alerted(text: &str, limit: Limit) -> Vec<&str> {
    places(text, limit)
        .into_iter()
        .map(|range| &text[range])
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_plain_text_alerts_anybody(
        pieces in prop::collection::vec(
            prop_oneof![
                3 => prop::sample::select(vec![
                    "@", "＠", "@jack", "＠ada", "@a@b", "RT", "rt@x", "é", "Ж", "本", "a", "/list", "!", "#", "_", ".", "-",
                    "e.co", "https://e.co/@bob", "josé@e.co", "À", "://", " ", "\n", "\u{301}", "\u{200b}",
                ]).prop_map(str::to_owned),
                1 => "\\PC{0,3}",
            ],
            0..16,
        ),
    ) {
        let text = pieces.concat();
        for limit in [Limit::X, Limit::MASTODON, Limit::BLUESKY] {
            let plain = with_mentions(&text, &Mentions::Plain, limit);
            prop_assert_eq!(alerted(&plain, limit), Vec::<&str>::new());
            prop_assert_eq!(plain.replace(APART, ""), text.replace(APART, ""));
            let again = with_mentions(&plain, &Mentions::Plain, limit);
            prop_assert_eq!(&again, &plain);
        }
    }
}
