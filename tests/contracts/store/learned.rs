//! What every store must keep of what was learned: translations, corrections, the use of quotas.

use std::sync::Arc;
use std::time::Duration;

use babelfeed_actors::domain::{Correction, KnownBy, LearnedLimit, Pair, Translation, Unit, Usage};
use babelfeed_actors::ports::{
    Known, LearnedLimits, QuotaChange, QuotaEntry, QuotaLedger as _, TaskStore as _,
    TranslationMemory as _,
};

use super::Kind;
use super::requests::{at, language, translation};

pub(super) async fn known_translations_are_read_newest_first<K: Kind>() {
    let mut kind = K::new();
    let known = |key: u8, millis: i64| Known {
        key: [key; 16],
        translation: Arc::new(Translation {
            usage: Usage::default(),
            ..translation()
        }),
        at: at(millis),
    };
    let saved = vec![known(1, 10), known(2, 30), known(3, 20), known(4, 5)];
    let save = |known, forgotten| kind.store().save(known, forgotten);
    save(saved, Vec::new()).await.expect("a write");
    save(vec![known(1, 40)], vec![[3; 16]])
        .await
        .expect("a write");
    kind.crash();

    let loaded = kind.store().load(2).await;

    assert_eq!(loaded, Ok(vec![known(1, 40), known(2, 30)]));
    kind.store().clear().await.expect("a write");
    assert_eq!(kind.store().load(9).await, Ok(Vec::new()));
    kind.crash();
    assert_eq!(kind.store().load(9).await, Ok(Vec::new()));
}

pub(super) async fn corrections_are_kept_once_and_outlive_a_crash<K: Kind>() {
    let mut kind = K::new();
    let correction = |source: Option<&str>, new: &str| Correction {
        pair: Pair {
            source: source.map(language),
            target: language("es"),
        },
        old: "ordenador".into(),
        new: new.into(),
        text: "The computer does not start.".into(),
    };
    let first = correction(Some("en"), "computadora");
    let second = correction(None, "computadora");
    let third = correction(Some("en"), "equipo");
    for kept in [vec![first.clone(), first.clone()], vec![second.clone()]] {
        let kept = kind.store().keep_corrections(kept).await;
        assert_eq!(kept, Ok(()));
    }
    kind.crash();
    let again = vec![first.clone(), third.clone()];
    assert_eq!(kind.store().keep_corrections(again).await, Ok(()));
    let latest = kind.store().corrections(2).await;
    assert_eq!(latest, Ok(vec![second.clone(), third.clone()]));
    let all = kind.store().corrections(9).await;
    assert_eq!(all, Ok(vec![first, second, third]));
}

pub(super) async fn the_use_of_quotas_survives_a_crash_and_is_forgotten_in_time<K: Kind>() {
    let mut kind = K::new();
    let entry = |lane: &str, unit, minute: i64, amount| QuotaEntry {
        lane: lane.into(),
        unit,
        slot: at(minute * 60_000),
        amount,
    };
    let first = [
        entry("groq", Unit::Requests, 1, 10.0),
        entry("groq", Unit::Requests, 2, 4.0),
        entry("groq", Unit::Dollars, 2, 0.25),
        entry("other", Unit::OutputTokens, 2, 700.0),
    ];
    let enter = |entries: &[QuotaEntry], before| {
        kind.store().enter(QuotaChange {
            entries: entries.to_vec(),
            before: at(before),
            ..QuotaChange::default()
        })
    };
    enter(&first, 0).await.expect("a write");
    let later = entry("groq", Unit::Requests, 2, 3.0);
    enter(std::slice::from_ref(&later), 2 * 60_000)
        .await
        .expect("a write");
    let window = entry("60s:groq", Unit::Requests, 3, 5.0);
    enter(std::slice::from_ref(&window), 0)
        .await
        .expect("a write");
    let past = entry("60s:groq", Unit::Requests, 3, 0.0);
    enter(std::slice::from_ref(&past), 0)
        .await
        .expect("a write");
    kind.crash();

    let mut found = kind.store().entries(at(0)).await.expect("a read");

    found.sort_by(|a, b| (&a.lane, a.unit).cmp(&(&b.lane, b.unit)));
    assert_eq!(found, [later, first[2].clone(), first[3].clone()]);
    assert_eq!(kind.store().entries(at(3 * 60_000)).await, Ok(Vec::new()));
}

pub(super) async fn what_lanes_learned_is_replaced_whole_and_survives_a_crash<K: Kind>() {
    let mut kind = K::new();
    let limit = |unit, seconds, limit, known_by| LearnedLimit {
        unit,
        per: Duration::from_secs(seconds),
        limit,
        known_by,
        at: at(seconds.cast_signed()),
        set: (unit == Unit::Tokens).then_some(9_000.5),
    };
    let lane = |lane: &str, account, limits: &[LearnedLimit]| LearnedLimits {
        lane: lane.into(),
        account,
        limits: limits.to_vec(),
    };
    let requests = limit(Unit::Requests, 60, 30.0, KnownBy::Headers);
    let tokens = limit(Unit::Tokens, 60, 6_000.25, KnownBy::Refusal);
    let day = limit(Unit::Requests, 86_400, 1_000.0, KnownBy::Headers);
    let tried = limit(Unit::Requests, 60, 601.0, KnownBy::Trial);
    let entry = QuotaEntry {
        lane: "60s:groq".into(),
        unit: Unit::Requests,
        slot: at(60_000),
        amount: 3.0,
    };
    let first = QuotaChange {
        entries: vec![entry.clone()],
        learned: vec![
            lane("groq", u64::MAX, &[requests, tokens, day]),
            lane("other", 7, &[tried]),
            lane("gone", 8, &[tried]),
        ],
        before: at(0),
    };
    kind.store().enter(first).await.expect("a write");
    let later = QuotaChange {
        learned: vec![lane("groq", 5, &[tokens, tried]), lane("gone", 8, &[])],
        ..QuotaChange::default()
    };
    kind.store().enter(later).await.expect("a write");
    kind.crash();

    let mut found = kind.store().learned().await.expect("a read");

    found.sort_by(|a, b| a.lane.cmp(&b.lane));
    for lane in &mut found {
        lane.limits.sort_by_key(|limit| limit.unit);
    }
    let groq = lane("groq", 5, &[tried, tokens]);
    assert_eq!(found, [groq, lane("other", 7, &[tried])]);
    assert_eq!(kind.store().entries(at(0)).await, Ok(vec![entry]));
}
