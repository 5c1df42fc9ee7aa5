//! That whoever waits gets a fair turn, the urgent before the others.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::{IdMint, TaskId, Timestamp};

fn bucket(class: Class, flow: &str, target: &str) -> Bucket {
    Bucket {
        class,
        flow: flow.into(),
        pair: Pair {
            source: None,
            target: target.parse().expect("a tag"),
        },
    }
}

fn weight(tokens: u64) -> Weight {
    Weight {
        input: tokens / 2,
        output: tokens - tokens / 2,
    }
}

const TEN: Weight = Weight {
    input: 5,
    output: 5,
};

struct Filler(IdMint);

impl Filler {
    fn task(&mut self) -> TaskId {
        self.0.next(Timestamp::from_millis(1), 0).task(1)
    }

    fn fill(
        &mut self,
        queue: &mut Queue<&'static str>,
        bucket: &Bucket,
        n: usize,
        name: &'static str,
    ) {
        for _ in 0..n {
            let position = Position::new(None, self.task());
            queue.insert(bucket, usize::MAX, position, TEN, name);
        }
    }
}

fn empty() -> (Queue<&'static str>, Filler) {
    (Queue::default(), Filler(IdMint::default()))
}

fn drain(queue: &mut Queue<&'static str>, n: usize) -> Vec<&'static str> {
    let taken = (0..n).filter_map(|_| {
        let spot = queue.next(|_| true, |_| true)?;
        queue.take(spot)
    });
    taken.collect()
}

#[test]
fn classes_share_by_weight() {
    let (mut queue, mut filler) = empty();
    for (class, name) in [
        (Class::Interactive, "i"),
        (Class::High, "h"),
        (Class::Normal, "n"),
        (Class::Low, "l"),
    ] {
        filler.fill(&mut queue, &bucket(class, "f", "es"), 1_000, name);
    }
    let taken = drain(&mut queue, 290);
    let count = |name| taken.iter().filter(|taken| **taken == name).count() as i64;
    for (name, share) in [("i", 160), ("h", 80), ("n", 40), ("l", 10)] {
        assert!((count(name) - share).abs() <= 2, "{name}: {}", count(name));
    }
}

#[test]
fn a_short_flow_is_not_stuck_behind_a_long_one() {
    let (mut queue, mut filler) = empty();
    let job = bucket(Class::Normal, "job", "es");
    filler.fill(&mut queue, &job, 10_000, "job");
    drain(&mut queue, 500);
    filler.fill(&mut queue, &bucket(Class::Normal, "feed", "es"), 10, "feed");
    let taken = drain(&mut queue, 20);
    assert!(taken.iter().filter(|name| **name == "feed").count() >= 9);
}

#[test]
fn each_flow_pays_for_its_own_tokens() {
    let (mut queue, mut filler) = empty();
    for _ in 0..1_000 {
        for (flow, tokens) in [("long", 300), ("short", 20)] {
            let position = Position::new(None, filler.task());
            let bucket = bucket(Class::Normal, flow, "es");
            queue.insert(&bucket, usize::MAX, position, weight(tokens), flow);
        }
    }
    let taken = drain(&mut queue, 800);
    let n_long = taken.iter().filter(|name| **name == "long").count();
    // 50 long ones have the tokens of 750 short ones.
    assert!((48..=52).contains(&n_long), "{n_long}");
}

#[test]
fn a_deadline_overtakes_its_own_flow_alone() {
    let (mut queue, mut filler) = empty();
    filler.fill(
        &mut queue,
        &bucket(Class::Normal, "feed", "es"),
        500,
        "feed",
    );
    let hasty = bucket(Class::Normal, "hasty", "es");
    for n in 0..500 {
        let position = Position::new(Some(Timestamp::from_millis(n)), filler.task());
        queue.insert(&hasty, usize::MAX, position, TEN, "hasty");
    }
    let taken = drain(&mut queue, 100);
    let n_hasty = taken.iter().filter(|name| **name == "hasty").count();
    assert!((49..=51).contains(&n_hasty), "{n_hasty}");
}

#[test]
fn who_was_away_gets_no_credit() {
    let (mut queue, mut filler) = empty();
    filler.fill(&mut queue, &bucket(Class::Normal, "a", "es"), 1_000, "a");
    filler.fill(&mut queue, &bucket(Class::Normal, "b", "es"), 1, "b");
    drain(&mut queue, 500);
    filler.fill(&mut queue, &bucket(Class::Normal, "b", "es"), 400, "b");
    let taken = drain(&mut queue, 100);
    let b = taken.iter().filter(|name| **name == "b").count();
    assert!((48..=52).contains(&b), "{b}");
}

#[test]
fn inside_a_flow_the_earliest_deadline_comes_first_then_the_oldest() {
    let (mut queue, mut filler) = empty();
    let bucket = bucket(Class::Normal, "f", "es");
    let deadline = Some(Timestamp::from_millis(5));
    for (due, name) in [(None, "old"), (None, "young"), (deadline, "urgent")] {
        let position = Position::new(due, filler.task());
        queue.insert(&bucket, usize::MAX, position, TEN, name);
    }
    assert_eq!(drain(&mut queue, 3), ["urgent", "old", "young"]);
    assert!(queue.is_empty());
}

#[test]
fn only_pairs_that_are_served_get_their_turn() {
    let (mut queue, mut filler) = empty();
    filler.fill(&mut queue, &bucket(Class::Normal, "f", "es"), 1, "es");
    filler.fill(&mut queue, &bucket(Class::Normal, "f", "ca"), 1, "ca");
    let catalan = |pair: &Pair| pair.target.as_str() == "ca";
    let spot = queue.next(|_| true, catalan).expect("one");
    assert_eq!(queue.take(spot), Some("ca"));
    assert_eq!(queue.next(|_| true, catalan), None);
}

#[test]
fn what_bears_little_company_stays_among_its_like() {
    let (mut queue, mut filler) = empty();
    let bucket = bucket(Class::Normal, "f", "es");
    for n in 0..9 {
        let (most, name) = if n % 3 == 0 {
            (2, "doubtful")
        } else {
            (usize::MAX, "good")
        };
        let position = Position::new(None, filler.task());
        queue.insert(&bucket, most, position, TEN, name);
    }
    let first = queue.next(|_| true, |_| true).expect("one");
    let company = queue.company(first).expect("some").clone();
    assert_eq!((company.most, queue.crowd(&company).n_texts), (2, 3));
    assert_eq!(queue.crowd(&company).weight.total(), 30);
    let number = queue.company_number(&company).expect("waits");
    for _ in 0..3 {
        let alike = queue.next_alike(|_| true, number).expect("one");
        assert_eq!(queue.take(alike), Some("doubtful"));
    }
    assert_eq!(queue.next_alike(|_| true, number), None);
    assert_eq!(queue.len(), 6);
}

#[test]
fn the_places_of_all_work_begin_with_the_urgent_and_the_old() {
    let (mut queue, mut filler) = empty();
    for (class, name) in [(Class::Normal, "normal"), (Class::High, "high")] {
        filler.fill(&mut queue, &bucket(class, "f", "es"), 3, name);
    }
    let first = queue.next(|class| class == Class::Normal, |_| true);
    queue.take(first.expect("one"));
    filler.fill(&mut queue, &bucket(Class::Normal, "f", "es"), 1, "young");
    let found: Vec<&str> = queue
        .in_turn()
        .filter_map(|spot| queue.get(spot).copied())
        .collect();
    assert_eq!(found, ["high", "high", "high", "normal", "normal", "young"]);
}

#[test]
fn flows_and_pairs_that_come_and_go_leave_nothing_behind() {
    let (mut queue, mut filler) = empty();
    filler.fill(
        &mut queue,
        &bucket(Class::Normal, "stays", "es"),
        1,
        "stays",
    );
    for n in 0..2_000 {
        let guest = bucket(
            Class::Normal,
            &format!("guest {n}"),
            &format!("en-x-{n:04}"),
        );
        let position = Position::new(None, filler.task());
        let spot = queue.insert(&guest, n, position, TEN, "guest");
        assert_eq!(queue.take(spot), Some("guest"));
    }
    assert!(queue.crowds.len() <= 128, "{}", queue.crowds.len());
    assert_eq!(drain(&mut queue, 2), ["stays"]);
}

#[derive(Clone, Debug)]
enum Move {
    Insert(usize, u8, u8, u8, Option<u8>, u8),
    Remove(usize),
    Take(u8),
}

fn moves() -> impl Strategy<Value = Move> {
    let insert = (
        0..4_usize,
        0..4_u8,
        0..3_u8,
        0..2_u8,
        any::<Option<u8>>(),
        1..50_u8,
    );
    prop_oneof![
        3 => insert.prop_map(|(c, f, p, m, d, w)| Move::Insert(c, f, p, m, d, w)),
        1 => any::<usize>().prop_map(Move::Remove),
        2 => (0..4_u8).prop_map(Move::Take),
    ]
}

proptest! {
    /// Whatever comes and goes: nothing is lost, nothing comes twice, a flow's first is its
    /// first, and what is told of a company is the sum of what waits.
    #[test]
    fn a_queue_keeps_what_it_was_given(moves in prop::collection::vec(moves(), 0..200)) {
        let mut queue: Queue<u32> = Queue::default();
        let mut model: BTreeMap<u32, (Spot, Bucket, usize, Position, Weight)> = BTreeMap::new();
        let mut mint = IdMint::default();
        for (serial, step) in (0..).zip(moves) {
            match step {
                Move::Insert(class, flow, pair, most, due, tokens) => {
                    let bucket = bucket(
                        Class::ALL[class],
                        ["a", "b", "c", "d"][flow as usize],
                        ["es", "fr", "de"][pair as usize],
                    );
                    let most = [1, usize::MAX][most as usize];
                    let due = due.map(|due| Timestamp::from_millis(i64::from(due)));
                    let id = mint.next(Timestamp::from_millis(1), 0).task(1);
                    let (position, weight) = (Position::new(due, id), weight(u64::from(tokens)));
                    let spot = queue.insert(&bucket, most, position, weight, serial);
                    model.insert(serial, (spot, bucket, most, position, weight));
                }
                Move::Remove(choice) => {
                    let Some(serial) = model.keys().nth(choice % model.len().max(1)).copied() else {
                        continue;
                    };
                    let (spot, ..) = model.remove(&serial).expect("stands there");
                    prop_assert_eq!(queue.get(spot), Some(&serial));
                    prop_assert_eq!(queue.remove(spot), Some(serial));
                }
                Move::Take(pair) => {
                    let wanted = ["es", "fr", "de", ""][pair as usize];
                    let serves = |pair: &Pair| wanted.is_empty() || pair.target.as_str() == wanted;
                    let Some(spot) = queue.next(|_| true, serves) else {
                        prop_assert!(!model.values().any(|(_, bucket, ..)| serves(&bucket.pair)));
                        continue;
                    };
                    let serial = queue.take(spot).expect("stands there");
                    let (_, taken, _, position, _) = model.remove(&serial).expect("was given");
                    prop_assert!(serves(&taken.pair));
                    for (_, other, _, later, _) in model.values() {
                        let is_alike = other.class == taken.class && other.flow == taken.flow;
                        prop_assert!(!is_alike || !serves(&other.pair) || position < *later);
                    }
                }
            }
            prop_assert_eq!(queue.len(), model.len());
            prop_assert_eq!(queue.iter().count(), model.len());
            for (_, bucket, most, ..) in model.values() {
                let alike = model.values().filter(|(_, other, limit, ..)| {
                    other.pair == bucket.pair && limit == most
                });
                let company = Company { pair: bucket.pair.clone(), most: *most };
                let crowd = queue.crowd(&company);
                prop_assert_eq!(crowd.n_texts, alike.clone().count());
                prop_assert_eq!(crowd.weight, alike.map(|(.., weight)| *weight).sum::<Weight>());
            }
        }
    }
}
