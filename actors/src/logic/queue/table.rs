//! Things by number: numbers stay while the thing does, and are used again after it.

use std::collections::VecDeque;
use std::hash::Hash;

use foldhash::HashMap;

/// So many free places are kept when nothing is left.
const KEPT: usize = 256;
/// So many numbers of resting things are kept, in the hope that they come back.
const RESTING: usize = 64;

/// Things by number.
#[derive(Debug)]
pub(super) struct Table<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Table<T> {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn insert(&mut self, thing: T) -> usize {
        if let Some(number) = self.free.pop() {
            self.places[number] = Some(thing);
            return number;
        }
        self.places.push(Some(thing));
        self.places.len() - 1
    }

    pub(super) fn remove(&mut self, number: usize) -> Option<T> {
        let thing = self.places.get_mut(number)?.take()?;
        self.free.push(number);
        Some(thing)
    }

    pub(super) fn get(&self, number: usize) -> Option<&T> {
        self.places.get(number)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.places.get_mut(number)?.as_mut()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        let places = self.places.iter().enumerate();
        places.filter_map(|(number, place)| Some((number, place.as_ref()?)))
    }

    /// Gives the memory of many free places back, when nothing is left.
    pub(super) fn shrink(&mut self) {
        if self.len() == 0 && self.places.len() > KEPT {
            *self = Self::default();
        }
    }
}

/// Keys by number. A key that rests keeps its number until too many rest.
#[derive(Debug)]
pub(super) struct Numbers<K> {
    keys: Table<Key<K>>,
    numbers: HashMap<K, usize>,
    /// Who went to rest, in turn; who is up again may still stand here.
    resting: VecDeque<usize>,
}

#[derive(Debug)]
struct Key<K> {
    key: K,
    rests: bool,
}

impl<K> Default for Numbers<K> {
    fn default() -> Self {
        Self {
            keys: Table::default(),
            numbers: HashMap::default(),
            resting: VecDeque::new(),
        }
    }
}

impl<K: Clone + Eq + Hash> Numbers<K> {
    /// The number of a key, which does not rest any more.
    pub(super) fn number(&mut self, key: &K) -> usize {
        if let Some(&number) = self.numbers.get(key) {
            if let Some(kept) = self.keys.get_mut(number) {
                kept.rests = false;
            }
            return number;
        }
        let number = self.keys.insert(Key {
            key: key.clone(),
            rests: false,
        });
        self.numbers.insert(key.clone(), number);
        number
    }

    pub(super) fn find(&self, key: &K) -> Option<usize> {
        self.numbers.get(key).copied()
    }

    pub(super) fn get(&self, number: usize) -> Option<&K> {
        self.keys.get(number).map(|kept| &kept.key)
    }

    /// Lets a key rest.
    pub(super) fn rest(&mut self, number: usize) {
        let Some(kept) = self.keys.get_mut(number) else {
            return;
        };
        kept.rests = true;
        self.resting.push_back(number);
        while self.resting.len() > RESTING {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some(number) = self.resting.pop_front() else {
            return;
        };
        // Who stands here twice is forgotten the second time.
        let rests = self.keys.get(number).is_some_and(|kept| kept.rests);
        if rests
            && !self.resting.contains(&number)
            && let Some(kept) = self.keys.remove(number)
        {
            self.numbers.remove(&kept.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_keeps_its_number_while_it_is_up_and_for_a_while_after() {
        let mut numbers = Numbers::default();
        let first = numbers.number(&"first".to_owned());
        for n in 0..1_000 {
            let number = numbers.number(&format!("other {n}"));
            numbers.rest(number);
        }
        assert_eq!(numbers.find(&"first".to_owned()), Some(first));
        assert!(numbers.numbers.len() <= RESTING + 1);
        assert_eq!(numbers.get(first).map(String::as_str), Some("first"));
    }

    #[test]
    fn a_key_that_rests_again_and_again_leaves_the_others_their_numbers() {
        let mut numbers = Numbers::default();
        let first = numbers.number(&1);
        numbers.rest(first);
        for _ in 0..1_000 {
            let second = numbers.number(&2);
            numbers.rest(second);
        }
        let third = numbers.number(&3);
        assert_eq!(numbers.get(third), Some(&3));
        assert!(numbers.find(&2).is_some());
    }
}
