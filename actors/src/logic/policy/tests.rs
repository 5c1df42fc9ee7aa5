//! That mentions alert whom they should, and nobody else.

use super::*;
use crate::logic::fit::{FacetKind, Limit, display};
use crate::logic::x_text::{EntityKind, entities};

const TEXT: &str = "Hi @ada, @bob@e.social and @eve.bsky.social! a@e.co";

#[test]
fn a_plain_mention_reads_the_same_and_alerts_nobody() {
    let plain = with_mentions(TEXT, &Mentions::Plain);
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
    let mapped = with_mentions("@ada @bob", &Mentions::Mapped(accounts.into()));
    assert_eq!(mapped, "@ada@e.social @\u{200b}bob");
}

#[test]
fn mentions_that_are_kept_stay() {
    assert_eq!(with_mentions(TEXT, &Mentions::Alive), TEXT);
}

#[test]
fn what_went_through_once_stays_and_leads_back() {
    let accounts = BTreeMap::from([("@ada".to_owned(), "@ada@e.social".to_owned())]);
    for mentions in [
        Mentions::Plain,
        Mentions::Alive,
        Mentions::Mapped(accounts.into()),
    ] {
        let once = with_mentions(TEXT, &mentions);
        assert_eq!(with_mentions(&once, &mentions), once);
        assert_eq!(without_mentions(&once, &mentions), TEXT);
    }
}
