//! That mentions alert whom they should, and that tags are in the right language.

use super::*;
use crate::logic::fit::{FacetKind, display};
use crate::logic::x_text::{EntityKind, entities};

const TEXT: &str = "Hi @ada, @bob@e.social and @eve.bsky.social! a@e.co";

#[test]
fn a_plain_mention_reads_the_same_and_alerts_nobody() {
    let plain = with_mentions(TEXT, Limit::X, &Mentions::Plain);
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
        Limit::MASTODON,
        &Mentions::Mapped(accounts.into()),
    );
    assert_eq!(mapped, "@ada@e.social @\u{200b}bob");
}

#[test]
fn where_nobody_is_alerted_mentions_stay() {
    for limit in [
        Limit::Unbounded,
        Limit::DISCORD,
        Limit::Characters { max: 9 },
    ] {
        assert_eq!(with_mentions(TEXT, limit, &Mentions::Plain), TEXT);
    }
    assert_eq!(with_mentions(TEXT, Limit::X, &Mentions::Alive), TEXT);
}

#[test]
fn hashtags_are_kept_translated_or_both() {
    let translated = BTreeMap::from([
        ("OpenSource".to_owned(), "código abierto".to_owned()),
        ("rust".to_owned(), "rust".to_owned()),
    ]);
    let text = "#OpenSource #rust #other";
    for (hashtags, expected) in [
        (Hashtags::Keep, text),
        (Hashtags::Translate, "#CódigoAbierto #rust #other"),
        (Hashtags::Both, "#OpenSource #CódigoAbierto #rust #other"),
    ] {
        assert_eq!(with_hashtags(text, hashtags, &translated), expected);
    }
}

#[test]
fn a_tag_is_its_words_and_words_are_a_tag() {
    for (tag, words) in [
        ("#MachineLearning", "Machine Learning"),
        ("#HTTPServer2Go", "HTTP Server2 Go"),
        ("#climate_change", "climate change"),
        ("＃日本語", "日本語"),
    ] {
        assert_eq!(words_of(tag), words);
    }
    assert_eq!(
        tag_of("cambio climático").as_deref(),
        Some("#CambioClimático")
    );
    assert_eq!(tag_of("हिन्दी").as_deref(), Some("#हिन्दी"));
    assert_eq!(tag_of("1 2"), None);
    assert_eq!(tag_of("!"), None);
}
