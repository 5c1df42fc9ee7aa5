//! The flows of one class: who has had the least comes next.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::HashMap;

use super::table::Table;
use crate::domain::{Flow, Position};

/// So many flows without work are remembered, whatever they had.
const RESTING: usize = 64;
/// So many lines without work a flow keeps.
const EMPTY_LINES: usize = 16;

/// The flows of one class.
#[derive(Debug, Default)]
pub(super) struct Flows {
    flows: Table<FlowQueue>,
    numbers: HashMap<Flow, usize>,
    /// Flows with work, by what they had.
    waiting: BTreeSet<(u64, usize)>,
    /// Flows without work, by what they had.
    resting: BTreeSet<(u64, usize)>,
    /// The virtual time of what was taken last, in which a flow that returns begins.
    clock: u64,
}

#[derive(Debug)]
struct FlowQueue {
    name: Flow,
    had: u64,
    len: usize,
    lines: Vec<Line>,
}

/// The work of one flow and company, in order.
#[derive(Debug)]
struct Line {
    company: usize,
    places: BTreeMap<Position, usize>,
}

impl FlowQueue {
    fn line(&self, company: usize) -> Option<&Line> {
        self.lines.iter().find(|line| line.company == company)
    }

    fn line_mut(&mut self, company: usize) -> &mut Line {
        let known = self.lines.iter().position(|line| line.company == company);
        let index = known.unwrap_or_else(|| {
            if self.lines.len() >= EMPTY_LINES {
                self.lines.retain(|line| !line.places.is_empty());
            }
            self.lines.push(Line {
                company,
                places: BTreeMap::new(),
            });
            self.lines.len() - 1
        });
        &mut self.lines[index]
    }
}

impl Flows {
    /// The number of a flow, which is about to have work.
    pub(super) fn number(&mut self, flow: &Flow) -> usize {
        if let Some(&number) = self.numbers.get(flow) {
            return number;
        }
        self.forget_some();
        let number = self.flows.insert(FlowQueue {
            name: flow.clone(),
            had: self.clock,
            len: 0,
            lines: Vec::new(),
        });
        self.resting.insert((self.clock, number));
        self.numbers.insert(flow.clone(), number);
        number
    }

    /// Adds work to a flow.
    pub(super) fn insert(
        &mut self,
        number: usize,
        company: usize,
        position: Position,
        work: usize,
    ) {
        let clock = self.clock;
        let Some(flow) = self.flows.get_mut(number) else {
            return;
        };
        if flow.len == 0 {
            self.resting.remove(&(flow.had, number));
            flow.had = flow.had.max(clock);
            self.waiting.insert((flow.had, number));
        }
        flow.len += 1;
        flow.line_mut(company).places.insert(position, work);
    }

    /// Takes work out of a flow.
    pub(super) fn remove(&mut self, number: usize, company: usize, position: Position) {
        let Some(flow) = self.flows.get_mut(number) else {
            return;
        };
        flow.line_mut(company).places.remove(&position);
        flow.len -= 1;
        if flow.len == 0 {
            self.waiting.remove(&(flow.had, number));
            self.resting.insert((flow.had, number));
        }
    }

    /// Lets a flow that has work pay.
    pub(super) fn pay(&mut self, number: usize, cost: u64) {
        let Some(flow) = self.flows.get_mut(number) else {
            return;
        };
        self.waiting.remove(&(flow.had, number));
        self.clock = self.clock.max(flow.had);
        flow.had += cost;
        self.waiting.insert((flow.had, number));
    }

    /// Whose turn it is among the companies that `serves` allows.
    pub(super) fn next(&self, serves: impl Fn(usize) -> bool) -> Option<usize> {
        self.waiting.iter().find_map(|&(_, number)| {
            let lines = self.flows.get(number)?.lines.iter();
            lines
                .filter_map(|line| Some((line.company, line.places.first_key_value()?)))
                .filter(|(company, _)| serves(*company))
                .min_by_key(|(_, (position, _))| **position)
                .map(|(_, (_, work))| *work)
        })
    }

    /// Whose turn it is in one company.
    pub(super) fn next_alike(&self, company: usize) -> Option<usize> {
        self.waiting.iter().find_map(|&(_, number)| {
            let line = self.flows.get(number)?.line(company)?;
            line.places.first_key_value().map(|(_, work)| *work)
        })
    }

    /// All work, roughly in the order of its turns.
    pub(super) fn in_turn(&self) -> impl Iterator<Item = usize> {
        let waiting = self.waiting.iter();
        let flows = waiting.filter_map(|&(_, number)| self.flows.get(number));
        let lines = flows.flat_map(|flow| &flow.lines);
        lines.flat_map(|line| line.places.values().copied())
    }

    /// Forgets flows without work, who had the least first, when there are many.
    fn forget_some(&mut self) {
        while self.resting.len() >= RESTING
            && let Some((_, number)) = self.resting.pop_first()
        {
            self.forget(number);
        }
    }

    /// Forgets lines and flows without work, when there are many.
    pub(super) fn forget_what_is_empty(&mut self) {
        if self.numbers.len() > RESTING {
            while let Some((_, number)) = self.resting.pop_first() {
                self.forget(number);
            }
            self.flows.shrink();
        }
    }

    fn forget(&mut self, number: usize) {
        if let Some(flow) = self.flows.remove(number) {
            self.numbers.remove(&flow.name);
        }
    }
}
