//! Fills a pack: takes the best work for one call out of the queues.

use super::super::work::Work;
use super::super::{TaskManagerActor, Unfit};
use super::{Line, fits};
use crate::domain::{Class, Pair, Tokens};
use crate::logic::pack::{Bounds, Filling};
use crate::logic::queue::{Company, CompanyNumber, Queue, Spot};
use crate::logic::quota::Urgency;
use crate::logic::routing::Routes;

/// The numbers of one company among a provider's strays and in the common queue.
type CompanyNumbers = (Option<(Routes, CompanyNumber)>, Option<CompanyNumber>);

/// What a permit is used for.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) company: Company,
    pub(super) works: Vec<Work>,
    pub(super) max_tokens: Option<u32>,
}

impl TaskManagerActor {
    /// Whose turn it is at this provider, its strays first, among the pairs for which `pairs`
    /// holds; it is told who else may do the work.
    pub(in crate::task_manager) fn next_turn(
        &self,
        route: usize,
        classes: impl Fn(Class) -> bool + Copy,
        pairs: impl Fn(Routes, &Pair) -> bool,
    ) -> Option<(Line, Spot)> {
        let stray = self.strays_of(route).find_map(|(among, strays)| {
            let spot = strays.next(classes, |pair| pairs(among, pair))?;
            Some((Line::Strays(among), spot))
        });
        let all = Routes::first(self.config.routes.len());
        stray.or_else(|| {
            let spot = self.state.queue.next(classes, |pair| pairs(all, pair))?;
            Some((Line::Common, spot))
        })
    }

    /// The numbers of a company among the strays and in the common queue.
    fn numbers(&self, route: usize, company: &Company) -> CompanyNumbers {
        let stray = self
            .strays_of(route)
            .find_map(|(among, strays)| Some((among, strays.company_number(company)?)));
        (stray, self.state.queue.company_number(company))
    }

    /// Whose turn it is in a company.
    fn next_alike(&self, numbers: CompanyNumbers) -> Option<(Line, Spot)> {
        let (stray, common) = numbers;
        let stray = stray.and_then(|(among, number)| {
            let strays = self.state.strays.get(&among)?;
            let spot = strays.next_alike(|_| true, number)?;
            Some((Line::Strays(among), spot))
        });
        stray.or_else(|| {
            let spot = self.state.queue.next_alike(|_| true, common?)?;
            Some((Line::Common, spot))
        })
    }

    pub(super) fn queue(&self, line: Line) -> &Queue<Work> {
        match line {
            Line::Strays(among) => self.state.strays.get(&among).unwrap_or(&self.state.queue),
            Line::Common => &self.state.queue,
        }
    }

    fn queue_mut(&mut self, line: Line) -> &mut Queue<Work> {
        let super::super::State { queue, strays, .. } = &mut self.state;
        match line {
            Line::Strays(among) => strays.get_mut(&among).unwrap_or(queue),
            Line::Common => queue,
        }
    }

    /// Takes the work whose turn it is; nobody pays for what nobody wants any more.
    pub(super) fn take(&mut self, line: Line, spot: Spot) -> Option<Work> {
        let queue = self.queue_mut(line);
        let is_wanted = queue.get(spot).is_some_and(|work| !work.is_abandoned());
        let work = if is_wanted {
            queue.take(spot)
        } else {
            queue.remove(spot)
        }?;
        if let Line::Strays(among) = line
            && self.queue(line).is_empty()
        {
            self.state.strays.remove(&among);
        }
        self.state.leaders.remove(&work.key);
        is_wanted.then_some(work)
    }

    /// The best work for one call: of one company, as much as may share it within what was
    /// granted.
    ///
    /// Work that came first meanwhile and needs more than that is asked for anew, once.
    pub(super) fn fill(
        &mut self,
        route: usize,
        urgency: Urgency,
        granted: Tokens,
    ) -> Option<Filled> {
        let (company, first) = loop {
            let serves = |_, pair: &Pair| self.serves(route, pair);
            let (line, spot) = self.next_turn(route, |class| fits(class, urgency), serves)?;
            let queue = self.queue(line);
            let company = queue.company(spot)?.clone();
            let mut filling = self.filling(route, &company, granted);
            let work = queue.get(spot)?;
            let (weight, bytes) = (work.weight(), work.text.skeleton.len());
            let fits = work.is_abandoned() || filling.takes(weight, bytes);
            let state = self.state.routes.entry(route).or_default();
            if !fits && !matches!(state.unfit, Some(Unfit::AskedFor(_))) {
                state.unfit = Some(Unfit::Noted(weight));
                return None;
            }
            if let Some(work) = self.take(line, spot) {
                filling.add(weight, bytes);
                break (company, (work, filling));
            }
        };
        if let Some(state) = self.state.routes.get_mut(&route) {
            state.unfit = None;
        }
        let (work, mut filling) = first;
        let mut works = vec![work];
        let numbers = self.numbers(route, &company);
        while !filling.is_full()
            && let Some((line, spot)) = self.next_alike(numbers)
        {
            let Some(work) = self.queue(line).get(spot) else {
                break;
            };
            let (weight, bytes) = (work.weight(), work.text.skeleton.len());
            if !work.is_abandoned() && !filling.takes(weight, bytes) {
                break;
            }
            if let Some(work) = self.take(line, spot) {
                filling.add(weight, bytes);
                works.push(work);
            }
        }
        let most = filling.answer();
        Some(Filled {
            company,
            works,
            max_tokens: most.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)),
        })
    }

    fn filling(&self, route: usize, company: &Company, granted: Tokens) -> Filling {
        let provider = &self.config.routes[route];
        Filling::new(Bounds {
            texts: self.pack_size_for(route, &company.pair).min(company.most),
            bytes: provider.max_bytes,
            tokens: provider
                .counts_tokens
                .then(|| (self.rate(route, &company.pair), granted)),
        })
    }
}
