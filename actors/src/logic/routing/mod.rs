//! Which provider is asked first, from what is set and from what was measured.

mod calls;
mod latency;
mod pairs;

use std::time::Duration;

pub use calls::{Calls, Look, far_too_late};
pub use latency::Latency;
pub use pairs::{Pairs, PairsError};

use foldhash::HashMap;

use crate::domain::{Pair, Usage};
use crate::logic::price::usd;

/// The most providers that there can be.
pub const MOST_ROUTES: usize = 128;

/// By what the first provider is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The one that the settings name first.
    #[default]
    Order,
    /// The one that is expected to cost the least for this pair of languages.
    Price,
    /// The one that answers the soonest.
    Speed,
    /// Each in proportion to its share.
    Share,
}

/// Some of the providers, by their places in the settings' order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Routes(u128);

impl Routes {
    /// The first so many.
    pub const fn first(n_routes: usize) -> Self {
        match n_routes {
            MOST_ROUTES.. => Self(u128::MAX),
            _ => Self((1 << n_routes) - 1),
        }
    }

    /// These and one more.
    #[must_use]
    pub const fn with(self, route: usize) -> Self {
        Self(self.0 | 1 << (route % MOST_ROUTES))
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, those: Self) -> Self {
        Self(self.0 | those.0)
    }

    /// These without those.
    #[must_use]
    pub const fn without(self, those: Self) -> Self {
        Self(self.0 & !those.0)
    }

    /// Whether a provider is among them.
    pub const fn contains(self, route: usize) -> bool {
        self.0 >> (route % MOST_ROUTES) & 1 == 1
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<usize> for Routes {
    fn from_iter<I: IntoIterator<Item = usize>>(routes: I) -> Self {
        routes.into_iter().fold(Self::default(), Self::with)
    }
}

/// One call in so many finds out how fast another provider is now.
const EXPLORE: u64 = 20;
/// So many calls are needed to know how fast a provider is.
const MEASURED: f64 = 8.0;
/// The part of calls by whose time providers are compared.
const COMPARED: f64 = 0.75;
/// How much the latest call counts in the part of calls that are answered.
const LATEST: f64 = 0.05;
/// How much older texts count, for each that comes, in what a byte costs.
const FADING: f64 = 0.99;
/// Tokens for a byte of text, one way, before anything was learned.
const TOKENS_PER_BYTE: f64 = 0.4;
/// How many pairs' costs are remembered of a provider.
const PAIRS: usize = 4_096;

/// What the choice knows of all providers.
#[derive(Clone, Debug)]
pub struct Routing {
    by: By,
    standings: Vec<Standing>,
    n_calls: u64,
    /// What the provider that had its turn last had had before, in shares.
    clock: f64,
}

/// What is known of one provider.
#[derive(Clone, Debug)]
struct Standing {
    share: f64,
    price: (f64, f64),
    latency: Latency,
    answered: f64,
    costs: HashMap<Pair, Cost>,
    had: f64,
    calls: u64,
    texts: u64,
    /// The number of the latest call, all providers counted together.
    latest: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    usd: f64,
    bytes: f64,
}

/// What was measured of a provider.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// Calls made.
    pub calls: u64,
    /// Texts in them.
    pub texts: u64,
    /// Its part of all calls, from 0 to 1.
    pub share: f64,
    /// What half of the latest answered calls did not exceed.
    pub median: Option<Duration>,
    /// What 99 of 100 of them did not exceed.
    pub p99: Option<Duration>,
}

impl Routing {
    /// A choice among providers with these shares, and prices for a million tokens in and out.
    pub fn new(by: By, routes: impl IntoIterator<Item = (f64, (f64, f64))>) -> Self {
        let standings = routes
            .into_iter()
            .map(|(share, price)| Standing {
                share,
                price,
                latency: Latency::default(),
                answered: 1.0,
                costs: HashMap::default(),
                had: 0.0,
                calls: 0,
                texts: 0,
                latest: 0,
            })
            .collect();
        Self {
            by,
            standings,
            n_calls: 0,
            clock: 0.0,
        }
    }

    /// The provider to be asked first for a pair, among those that `may`.
    pub fn first(&self, pair: &Pair, may: impl Fn(usize) -> bool) -> Option<usize> {
        let mut routes = (0..self.standings.len()).filter(|route| may(*route));
        match self.by {
            By::Order => routes.next(),
            By::Price => routes.min_by(|a, b| self.cost(*a, pair).total_cmp(&self.cost(*b, pair))),
            By::Share => routes.min_by(|a, b| self.had(*a).total_cmp(&self.had(*b))),
            By::Speed => {
                let fastest = |a: &usize, b: &usize| self.time(*a).total_cmp(&self.time(*b));
                let best = routes.min_by(fastest)?;
                if !self.explores() {
                    return Some(best);
                }
                let others = (0..self.standings.len()).filter(|route| *route != best);
                let others = others.filter(|route| may(*route));
                let oldest = others.min_by_key(|route| self.standings[*route].latest);
                Some(oldest.unwrap_or(best))
            }
        }
    }

    /// The most calls to be asked for at once at the provider that comes first, whose packs
    /// hold so many texts, before the choice is to be made anew.
    pub fn most_calls(&self, route: usize, pack: usize, may: impl Fn(usize) -> bool) -> usize {
        match self.by {
            By::Order | By::Price => usize::MAX,
            By::Speed if self.explores() => 1,
            By::Speed => (EXPLORE - 1 - self.n_calls % EXPLORE) as usize,
            By::Share => {
                let others = (0..self.standings.len()).filter(|it| *it != route && may(*it));
                let next = others.map(|it| self.had(it)).min_by(f64::total_cmp);
                let Some(next) = next.filter(|next| next.is_finite()) else {
                    return usize::MAX;
                };
                let behind = (next - self.had(route)).max(0.0) * self.standings[route].share;
                (behind / pack.max(1) as f64) as usize + 1
            }
        }
    }

    /// Whether the next call finds out how fast another provider is.
    const fn explores(&self) -> bool {
        self.n_calls % EXPLORE == EXPLORE - 1
    }

    /// Notes that a call with so many texts has begun.
    pub fn called(&mut self, route: usize, n_texts: usize) {
        self.n_calls += 1;
        let had = self.had(route);
        let standing = &mut self.standings[route];
        standing.calls += 1;
        standing.texts += n_texts as u64;
        standing.latest = self.n_calls;
        if standing.share > 0.0 {
            // Who was away gets no credit for it.
            self.clock = self.clock.max(had);
            standing.had = had + n_texts as f64 / standing.share;
        }
    }

    /// Notes that a call was answered after so long.
    pub fn answered(&mut self, route: usize, took: Duration) {
        let standing = &mut self.standings[route];
        standing.latency.record(took);
        standing.answered += (1.0 - standing.answered) * LATEST;
    }

    /// Notes that a call brought nothing for reasons of the provider's.
    pub fn failed(&mut self, route: usize) {
        self.standings[route].answered *= 1.0 - LATEST;
    }

    /// Notes what a text of so many bytes took.
    pub fn used(&mut self, route: usize, pair: &Pair, bytes: usize, usage: Usage) {
        if self.by != By::Price || usage.tokens_in + usage.tokens_out == 0 {
            return;
        }
        let standing = &mut self.standings[route];
        let usd = usd(usage.tokens(), standing.price);
        if !standing.costs.contains_key(pair) {
            if standing.costs.len() >= PAIRS {
                standing.costs.clear();
            }
            standing.costs.insert(pair.clone(), Cost::default());
        }
        if let Some(cost) = standing.costs.get_mut(pair) {
            cost.usd = cost.usd * FADING + usd;
            cost.bytes = cost.bytes * FADING + bytes.max(1) as f64;
        }
    }

    /// How long its calls take.
    pub fn latency(&self, route: usize) -> &Latency {
        &self.standings[route].latency
    }

    /// What was measured of a provider.
    pub fn figures(&self, route: usize) -> Figures {
        let standing = &self.standings[route];
        Figures {
            calls: standing.calls,
            texts: standing.texts,
            share: standing.calls as f64 / self.n_calls.max(1) as f64,
            median: standing.latency.quantile(0.5),
            p99: standing.latency.quantile(0.99),
        }
    }

    /// The dollars that a byte of text is expected to cost.
    fn cost(&self, route: usize, pair: &Pair) -> f64 {
        let standing = &self.standings[route];
        match standing.costs.get(pair) {
            Some(cost) => cost.usd / cost.bytes,
            None => (standing.price.0 + standing.price.1) * TOKENS_PER_BYTE / 1e6,
        }
    }

    /// The seconds that an answer is expected to take, failed calls included; nothing for a
    /// provider of which too little is known, which is thus tried first.
    fn time(&self, route: usize) -> f64 {
        let standing = &self.standings[route];
        let latency = &standing.latency;
        let known = latency.weight() / standing.answered.max(0.01) >= MEASURED;
        let time = latency.quantile(COMPARED).filter(|_| known);
        time.map_or(0.0, |time| time.as_secs_f64() / standing.answered.max(0.01))
    }

    /// What a provider has had for its share; endless for one that only stands in for others.
    fn had(&self, route: usize) -> f64 {
        let standing = &self.standings[route];
        if standing.share > 0.0 {
            standing.had.max(self.clock)
        } else {
            f64::INFINITY
        }
    }
}

#[cfg(test)]
mod tests;
