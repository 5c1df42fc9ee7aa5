//! Which limit holds work back.

use super::{Charge, Need, Now, Quota, Urgency, held_back, per_name};
use crate::domain::{KnownBy, Moment};

/// What a limit of calls in flight counts.
pub const CALLS: &str = "calls";
/// Over what time it does.
pub const AT_ONCE: &str = "at once";

/// The limit that holds work back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Binding {
    /// What it counts.
    pub unit: &'static str,
    /// Over what time.
    pub per: &'static str,
    /// The most of it.
    pub limit: f64,
    /// How it is known.
    pub known_by: KnownBy,
    /// When the call that waits may begin, where time alone decides it.
    pub opens: Option<Moment>,
}

impl Quota {
    /// The limit that a call of that need waits for: the one that opens last, or else that of
    /// calls in flight.
    pub fn binding(&self, need: impl Into<Need>, now: Now) -> Option<Binding> {
        let charge = Charge::from(need.into());
        let windows = self.windows.iter().filter_map(|window| {
            let opens = window.due(charge.of(window.unit()), now.moment)?;
            Some(Binding {
                unit: window.unit().name(),
                per: per_name(window.per()),
                limit: window.limit()?,
                known_by: window.known_by(),
                opens: Some(opens),
            })
        });
        let accounts = self.accounts.iter().filter_map(|account| {
            let (long, opens) = account.opens_last(charge.of(account.unit()))?;
            Some(Binding {
                unit: account.unit().name(),
                per: long.span.name(),
                limit: long.limit()?,
                known_by: long.known_by(),
                opens: Some(now.moment.plus(opens.since(now.wall))),
            })
        });
        let timed = windows.chain(accounts).max_by_key(|binding| binding.opens);
        let timed = timed.filter(|binding| binding.opens > Some(now.moment));
        timed.or_else(|| self.full())
    }

    /// The limit of calls in flight, where no more of them may begin for work that is not urgent.
    fn full(&self) -> Option<Binding> {
        let concurrency = self.concurrency?;
        let open = concurrency - held_back(concurrency, Urgency::Bulk);
        (self.in_flight() >= open).then_some(Binding {
            unit: CALLS,
            per: AT_ONCE,
            limit: concurrency as f64,
            known_by: KnownBy::Settings,
            opens: None,
        })
    }
}
