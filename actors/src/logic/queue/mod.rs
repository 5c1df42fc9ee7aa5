//! The task queue in memory: whose turn it is among classes, flows and deadlines.
//!
//! Classes share by weight and flows inside a class by tokens, both by virtual time: who has
//! had the least for its weight comes next, and who was away gets no credit for it. Inside a
//! flow the earliest deadline comes first, then the oldest.
//!
//! Every take stands between a permit and its call, so flows, companies and work have numbers,
//! places hold numbers alone, and what is empty stays for a while to be filled again.

mod flows;
mod table;

use crate::domain::{Bucket, Class, Pair, Position};
use crate::logic::estimate::Weight;
use flows::Flows;
use table::{Numbers, Table};

/// A class of weight 1 pays so much for a token; the others pay the less the more they weigh.
const CLASS_PRICE: u64 = 16;

/// Work that waits for its turn.
#[derive(Debug)]
pub struct Queue<T> {
    works: Table<Entry<T>>,
    companies: Numbers<Company>,
    crowds: Vec<Crowd>,
    classes: [ClassQueue; 4],
    /// The virtual time of what was taken last, in which a class that returns begins.
    clock: u64,
}

/// Work that may share a call: of one pair, and alike in how much company it bears.
///
/// What came back broken stays among its like, so that it does not spoil good company.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Company {
    /// From what into what.
    pub pair: Pair,
    /// The most texts in one call.
    pub most: usize,
}

/// How much work of one company waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crowd {
    /// The texts.
    pub n_texts: usize,
    /// What they weigh together.
    pub weight: Weight,
}

/// Where a piece of work stands in its queue, until it leaves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spot(usize);

/// The number of a company, as long as any of it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompanyNumber(usize);

#[derive(Debug)]
struct Entry<T> {
    class: Class,
    flow: usize,
    company: usize,
    position: Position,
    weight: Weight,
    work: T,
}

#[derive(Debug, Default)]
struct ClassQueue {
    had: u64,
    len: usize,
    flows: Flows,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self {
            works: Table::default(),
            companies: Numbers::default(),
            crowds: Vec::new(),
            classes: std::array::from_fn(|_| ClassQueue::default()),
            clock: 0,
        }
    }
}

impl<T> Queue<T> {
    /// How many pieces of work wait.
    pub fn len(&self) -> usize {
        self.works.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds work that shares calls with at most `most` texts, and pays by its weight.
    pub fn insert(
        &mut self,
        bucket: &Bucket,
        most: usize,
        position: Position,
        weight: Weight,
        work: T,
    ) -> Spot {
        let company = self.companies.number(&Company {
            pair: bucket.pair.clone(),
            most,
        });
        if self.crowds.len() <= company {
            self.crowds.resize(company + 1, Crowd::default());
        }
        let crowd = &mut self.crowds[company];
        crowd.n_texts += 1;
        crowd.weight = crowd.weight + weight;
        let class = &mut self.classes[bucket.class as usize];
        if class.len == 0 {
            class.had = class.had.max(self.clock);
        }
        class.len += 1;
        let flow = class.flows.number(&bucket.flow);
        let spot = self.works.insert(Entry {
            class: bucket.class,
            flow,
            company,
            position,
            weight,
            work,
        });
        self.classes[bucket.class as usize]
            .flows
            .insert(flow, company, position, spot);
        Spot(spot)
    }

    /// Takes work out of its place without anybody paying for it.
    pub fn remove(&mut self, spot: Spot) -> Option<T> {
        let entry = self.works.remove(spot.0)?;
        let class = &mut self.classes[entry.class as usize];
        class.len -= 1;
        class
            .flows
            .remove(entry.flow, entry.company, entry.position);
        let crowd = &mut self.crowds[entry.company];
        crowd.n_texts -= 1;
        crowd.weight.input -= entry.weight.input;
        crowd.weight.output -= entry.weight.output;
        if crowd.n_texts == 0 {
            self.companies.rest(entry.company);
        }
        if self.works.len() == 0 {
            self.forget_what_is_empty();
        }
        Some(entry.work)
    }

    /// Takes work out of its place, and lets its flow and class pay for it.
    pub fn take(&mut self, spot: Spot) -> Option<T> {
        let entry = self.works.get(spot.0)?;
        let cost = entry.weight.total().max(1);
        let class = &mut self.classes[entry.class as usize];
        self.clock = self.clock.max(class.had);
        class.had += cost * CLASS_PRICE / u64::from(entry.class.weight());
        class.flows.pay(entry.flow, cost);
        self.remove(spot)
    }

    /// The work at a place.
    pub fn get(&self, spot: Spot) -> Option<&T> {
        self.works.get(spot.0).map(|entry| &entry.work)
    }

    /// The work at a place, to be changed in what neither its place nor its weight depends on.
    pub fn get_mut(&mut self, spot: Spot) -> Option<&mut T> {
        self.works.get_mut(spot.0).map(|entry| &mut entry.work)
    }

    /// What the work at a place weighs.
    pub fn weight(&self, spot: Spot) -> Weight {
        self.works
            .get(spot.0)
            .map_or_else(Weight::default, |entry| entry.weight)
    }

    /// With whom the work at a place may go.
    pub fn company(&self, spot: Spot) -> Option<&Company> {
        self.companies.get(self.works.get(spot.0)?.company)
    }

    /// The number of a company that waits here.
    pub fn company_number(&self, company: &Company) -> Option<CompanyNumber> {
        self.companies.find(company).map(CompanyNumber)
    }

    /// How much of a company waits.
    pub fn crowd(&self, company: &Company) -> Crowd {
        self.companies
            .find(company)
            .map_or_else(Crowd::default, |number| self.crowds[number])
    }

    /// Whose turn it is among the classes of `classes` and the pairs that `serves` allows.
    pub fn next(
        &self,
        classes: impl Fn(Class) -> bool,
        serves: impl Fn(&Pair) -> bool,
    ) -> Option<Spot> {
        let company_serves = |company: usize| {
            let company = self.companies.get(company);
            company.is_some_and(|company| serves(&company.pair))
        };
        self.first(classes, |flows| flows.next(company_serves))
    }

    /// Whose turn it is in one company.
    pub fn next_alike(
        &self,
        classes: impl Fn(Class) -> bool,
        company: CompanyNumber,
    ) -> Option<Spot> {
        self.first(classes, |flows| flows.next_alike(company.0))
    }

    fn first(
        &self,
        classes: impl Fn(Class) -> bool,
        next: impl Fn(&Flows) -> Option<usize>,
    ) -> Option<Spot> {
        let mut order: [Class; 4] = Class::ALL;
        order.sort_by_key(|class| self.classes[*class as usize].had);
        order
            .into_iter()
            .filter(|class| self.classes[*class as usize].len > 0 && classes(*class))
            .find_map(|class| next(&self.classes[class as usize].flows))
            .map(Spot)
    }

    /// Every piece of work with its place and pair, in no order that matters.
    pub fn iter(&self) -> impl Iterator<Item = (Spot, &Pair, &T)> {
        self.works.iter().filter_map(|(spot, entry)| {
            let company = self.companies.get(entry.company)?;
            Some((Spot(spot), &company.pair, &entry.work))
        })
    }

    /// The places of all work: the urgent first, then roughly in the order of its turns.
    pub fn in_turn(&self) -> impl Iterator<Item = Spot> {
        let classes = self.classes.iter();
        classes.flat_map(|class| class.flows.in_turn().map(Spot))
    }

    /// When nobody waits, nobody needs to be held against what others had.
    fn forget_what_is_empty(&mut self) {
        for class in &mut self.classes {
            class.flows.forget_what_is_empty();
        }
        self.works.shrink();
    }
}

#[cfg(test)]
mod tests;
