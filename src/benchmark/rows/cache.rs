//! How often a text of a trace is known, beside a plain LRU and the best that any cache could do.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::super::load::{Pick, Questions, trace};
use super::super::report::{Row, Target};
use super::super::service::Setup;
use super::super::simulator::Plan;
use super::{Bench, PATIENCE, count_calls, percent};

/// How many different texts there are, and how many can be known.
const N_TEXTS: u64 = 100_000;
const N_ENTRIES: usize = 10_000;

/// How many texts a question has, and how many questions are in flight.
const TEXTS_A_QUESTION: u64 = 100;
const N_CLIENTS: u64 = 2;

/// Asks the service for a trace, and lets two plain caches do the same.
pub(super) async fn cache(bench: &Bench, row: &mut Row) -> anyhow::Result<()> {
    let n = bench.sizes.n_trace;
    let pick = Pick::Zipf {
        n_texts: N_TEXTS,
        seed: 1,
    };
    let setup = Setup::shipped().set("cache.max_entries", N_ENTRIES as i64);
    row.conditions = format!(
        "{n} texts by rank out of {N_TEXTS}, {TEXTS_A_QUESTION} a question, provider without delay; {}",
        setup.said()
    );
    let stage = bench.stage(&Plan::default(), &setup).await?;
    let asked = bench
        .ask(Questions {
            socket: stage.service.socket().to_owned(),
            n_clients: N_CLIENTS,
            n_questions: n / TEXTS_A_QUESTION,
            texts_a_question: TEXTS_A_QUESTION,
            pick,
            deadline: PATIENCE,
        })
        .await?;
    let texts = trace(pick, n);
    let [lru, best] = [lru_hits, best_hits].map(|hits| percent(hits(&texts, N_ENTRIES), n));
    let ours = percent(asked.n_cached, asked.n_texts);
    row.aimed("hits", ours, "%", Target::AtLeast(lru));
    row.figure("hits of a plain LRU", lru, "%");
    row.figure("hits of the best possible", best, "%");
    let counts = count_calls(row, "calls", &stage.service, &stage.provider).await?;
    row.count(
        "texts",
        &[
            ("asked", n),
            ("answered well", asked.n_texts - asked.n_wrong),
        ],
    );
    row.count(
        "misses",
        &[
            ("the service", asked.n_texts - asked.n_cached),
            ("the provider", counts.texts),
        ],
    );
    Ok(())
}

/// Returns the hits of a cache that forgets what was asked for the longest ago.
fn lru_hits(trace: &[u64], n_entries: usize) -> u64 {
    let mut last_asked = HashMap::new();
    let mut order = VecDeque::new();
    let mut n_hits = 0;
    for (at, text) in trace.iter().enumerate() {
        n_hits += u64::from(last_asked.insert(*text, at).is_some());
        order.push_back((at, *text));
        while last_asked.len() > n_entries
            && let Some((at, text)) = order.pop_front()
        {
            // Asked for again since, it stands further behind too.
            if last_asked.get(&text) == Some(&at) {
                last_asked.remove(&text);
            }
        }
    }
    n_hits
}

/// Returns the hits of a cache that knows the future: it forgets what is needed the latest.
fn best_hits(trace: &[u64], n_entries: usize) -> u64 {
    let next_asked = next_asked(trace);
    let mut known = HashMap::new();
    let mut by_next = BTreeSet::new();
    let mut n_hits = 0;
    for (text, next) in trace.iter().zip(next_asked) {
        if let Some(before) = known.insert(*text, next) {
            n_hits += 1;
            by_next.remove(&(before, *text));
        }
        by_next.insert((next, *text));
        if known.len() > n_entries
            && let Some((_, text)) = by_next.pop_last()
        {
            known.remove(&text);
        }
    }
    n_hits
}

/// Returns for each place of a trace where its text is asked for next.
fn next_asked(trace: &[u64]) -> Vec<usize> {
    let mut next = HashMap::new();
    let mut found = vec![usize::MAX; trace.len()];
    for (at, text) in trace.iter().enumerate().rev() {
        if let Some(later) = next.insert(*text, at) {
            found[at] = later;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_lru_of_two_forgets_the_third_to_last() {
        assert_eq!(lru_hits(&[1, 2, 1, 3, 1, 2], 2), 2);
        assert_eq!(lru_hits(&[1, 2, 3, 1, 2, 3], 2), 0);
    }

    #[test]
    fn the_best_keeps_what_is_needed_soonest() {
        assert_eq!(best_hits(&[1, 2, 3, 1, 2, 3], 2), 2);
        assert_eq!(best_hits(&[1, 2, 1, 3, 1, 2], 2), 3);
    }

    #[test]
    fn a_cache_for_everything_misses_each_text_once() {
        let texts = [5, 6, 5, 7, 6, 5];

        assert_eq!(lru_hits(&texts, 10), 3);
        assert_eq!(best_hits(&texts, 10), 3);
    }
}
