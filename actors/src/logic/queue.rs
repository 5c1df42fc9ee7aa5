//! The task queue in memory: whose turn it is among classes, flows and deadlines.
//!
//! Classes share by weight and flows inside a class by tokens, both by virtual time: who has
//! had the least for its weight comes next, and who was away gets no credit for it. Inside a
//! flow the earliest deadline comes first, then the oldest.

use std::collections::BTreeMap;

use crate::domain::{Bucket, Class, Flow, Pair, Position};

/// Work that waits for its turn.
#[derive(Debug)]
pub struct Queue<T> {
    classes: [ClassQueue<T>; 4],
    /// The virtual time of what was taken last, in which a class that returns begins.
    clock: f64,
}

#[derive(Debug)]
struct ClassQueue<T> {
    had: f64,
    clock: f64,
    len: usize,
    flows: BTreeMap<Flow, FlowQueue<T>>,
}

#[derive(Debug)]
struct FlowQueue<T> {
    had: f64,
    pairs: BTreeMap<Pair, BTreeMap<Position, T>>,
}

/// Where the next piece of work stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its place there.
    pub position: Position,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            classes: std::array::from_fn(|_| ClassQueue {
                had: 0.0,
                clock: 0.0,
                len: 0,
                flows: BTreeMap::new(),
            }),
            clock: 0.0,
        }
    }
}

impl<T> Queue<T> {
    /// How many pieces of work wait.
    pub fn len(&self) -> usize {
        self.classes.iter().map(|class| class.len).sum()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds work; what stood at the same place is returned.
    pub fn insert(&mut self, bucket: Bucket, position: Position, work: T) -> Option<T> {
        let clock = self.clock;
        let class = &mut self.classes[bucket.class as usize];
        if class.len == 0 {
            class.had = class.had.max(clock);
        }
        let class_clock = class.clock;
        let flow = class.flows.entry(bucket.flow).or_insert(FlowQueue {
            had: class_clock,
            pairs: BTreeMap::new(),
        });
        if flow.pairs.is_empty() {
            flow.had = flow.had.max(class_clock);
        }
        let old = flow
            .pairs
            .entry(bucket.pair)
            .or_default()
            .insert(position, work);
        class.len += usize::from(old.is_none());
        old
    }

    /// Takes work out of its place without anybody paying for it.
    pub fn remove(&mut self, bucket: &Bucket, position: &Position) -> Option<T> {
        let class = &mut self.classes[bucket.class as usize];
        let flow = class.flows.get_mut(&bucket.flow)?;
        let places = flow.pairs.get_mut(&bucket.pair)?;
        let work = places.remove(position)?;
        if places.is_empty() {
            flow.pairs.remove(&bucket.pair);
        }
        class.len -= 1;
        // A flow that is empty keeps what it had until the class has passed that point.
        if flow.pairs.is_empty() && flow.had <= class.clock {
            class.flows.remove(&bucket.flow);
        }
        Some(work)
    }

    /// The work at a place.
    pub fn get(&self, bucket: &Bucket, position: &Position) -> Option<&T> {
        self.classes[bucket.class as usize]
            .flows
            .get(&bucket.flow)?
            .pairs
            .get(&bucket.pair)?
            .get(position)
    }

    /// The work at a place, to be changed.
    pub fn get_mut(&mut self, bucket: &Bucket, position: &Position) -> Option<&mut T> {
        self.classes[bucket.class as usize]
            .flows
            .get_mut(&bucket.flow)?
            .pairs
            .get_mut(&bucket.pair)?
            .get_mut(position)
    }

    /// Whose turn it is among the classes of `classes` and the pairs that `serves` allows.
    pub fn next(
        &self,
        classes: impl Fn(Class) -> bool,
        serves: impl Fn(&Pair) -> bool,
    ) -> Option<Turn> {
        let mut order: [Class; 4] = Class::ALL;
        order.sort_by(|a, b| {
            self.classes[*a as usize]
                .had
                .total_cmp(&self.classes[*b as usize].had)
        });
        order
            .into_iter()
            .filter(|class| classes(*class) && self.classes[*class as usize].len > 0)
            .find_map(|class| self.classes[class as usize].next(class, &serves))
    }

    /// Takes the work of that turn, and lets its flow and class pay `cost` for it.
    pub fn take(&mut self, turn: &Turn, cost: f64) -> Option<T> {
        let class = &mut self.classes[turn.bucket.class as usize];
        self.clock = self.clock.max(class.had);
        class.had += cost / f64::from(turn.bucket.class.weight());
        if let Some(flow) = class.flows.get_mut(&turn.bucket.flow) {
            class.clock = class.clock.max(flow.had);
            flow.had += cost;
        }
        let clock = class.clock;
        if class.flows.len() > 64 {
            class
                .flows
                .retain(|_, flow| !flow.pairs.is_empty() || flow.had > clock);
        }
        self.remove(&turn.bucket, &turn.position)
    }

    /// Every piece of work with its place, in no order that matters.
    pub fn iter(&self) -> impl Iterator<Item = (Class, &Flow, &Pair, &Position, &T)> {
        Class::ALL.into_iter().flat_map(move |class| {
            self.classes[class as usize]
                .flows
                .iter()
                .flat_map(move |(flow, queue)| {
                    queue.pairs.iter().flat_map(move |(pair, places)| {
                        places
                            .iter()
                            .map(move |(position, work)| (class, flow, pair, position, work))
                    })
                })
        })
    }
}

impl<T> ClassQueue<T> {
    fn next(&self, class: Class, serves: &impl Fn(&Pair) -> bool) -> Option<Turn> {
        let mut best: Option<(f64, &Flow, &Pair, &Position)> = None;
        for (flow, queue) in &self.flows {
            if best.is_some_and(|(had, ..)| had <= queue.had) {
                continue;
            }
            let head = queue
                .pairs
                .iter()
                .filter(|(pair, _)| serves(pair))
                .filter_map(|(pair, places)| Some((pair, places.first_key_value()?.0)))
                .min_by_key(|(_, position)| **position);
            if let Some((pair, position)) = head {
                best = Some((queue.had, flow, pair, position));
            }
        }
        best.map(|(_, flow, pair, position)| Turn {
            bucket: Bucket {
                class,
                flow: flow.clone(),
                pair: pair.clone(),
            },
            position: *position,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{IdMint, TaskId, Timestamp};

    fn pair(target: &str) -> Pair {
        Pair {
            source: None,
            target: target.parse().expect("a tag"),
        }
    }

    fn bucket(class: Class, flow: &str, target: &str) -> Bucket {
        Bucket {
            class,
            flow: flow.into(),
            pair: pair(target),
        }
    }

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
                queue.insert(bucket.clone(), position, name);
            }
        }
    }

    fn drain(queue: &mut Queue<&'static str>, n: usize) -> Vec<&'static str> {
        (0..n)
            .filter_map(|_| {
                let turn = queue.next(|_| true, |_| true)?;
                queue.take(&turn, 10.0)
            })
            .collect()
    }

    #[test]
    fn classes_share_by_weight() {
        let (mut queue, mut filler) = (Queue::default(), Filler(IdMint::default()));
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
        let (mut queue, mut filler) = (Queue::default(), Filler(IdMint::default()));
        filler.fill(
            &mut queue,
            &bucket(Class::Normal, "job", "es"),
            10_000,
            "job",
        );
        drain(&mut queue, 500);
        filler.fill(&mut queue, &bucket(Class::Normal, "feed", "es"), 10, "feed");
        let taken = drain(&mut queue, 20);
        assert_eq!(taken.iter().filter(|name| **name == "feed").count(), 10);
    }

    #[test]
    fn who_was_away_gets_no_credit() {
        let (mut queue, mut filler) = (Queue::default(), Filler(IdMint::default()));
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
        let (mut queue, mut filler) = (Queue::default(), Filler(IdMint::default()));
        let bucket = bucket(Class::Normal, "f", "es");
        let deadline = Some(Timestamp::from_millis(5));
        for (due, name) in [(None, "old"), (None, "young"), (deadline, "urgent")] {
            queue.insert(bucket.clone(), Position::new(due, filler.task()), name);
        }
        assert_eq!(drain(&mut queue, 3), ["urgent", "old", "young"]);
        assert!(queue.is_empty());
    }

    #[test]
    fn only_pairs_that_are_served_get_their_turn() {
        let (mut queue, mut filler) = (Queue::default(), Filler(IdMint::default()));
        filler.fill(&mut queue, &bucket(Class::Normal, "f", "es"), 1, "es");
        filler.fill(&mut queue, &bucket(Class::Normal, "f", "ca"), 1, "ca");
        let turn = queue.next(|_| true, |pair| pair.target.as_str() == "ca");
        assert_eq!(turn.and_then(|turn| queue.take(&turn, 1.0)), Some("ca"));
        assert_eq!(
            queue.next(|_| true, |pair| pair.target.as_str() == "ca"),
            None
        );
    }
}
