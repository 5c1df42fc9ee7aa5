//! What the rate limiter hears.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use tokio::sync::oneshot;

use crate::domain::{Lane, Moment, SeenLimit, Timestamp, Tokens};
use crate::logic::quota::Quota;
pub use crate::logic::quota::Urgency;

/// Asks for permits in a lane, one a call; answered at once.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Acquired")]
pub struct Acquire {
    /// The lane.
    pub lane: Lane,
    /// Whether the slots held back for urgent work may be used.
    pub urgency: Urgency,
    /// The most permits wanted, at least one.
    pub calls: usize,
    /// The tokens that each call is expected to use.
    pub tokens: Tokens,
    /// The most that each call is expected to cost, in US dollars.
    pub usd: f64,
}

/// What the lane grants.
#[derive(Debug)]
pub enum Acquired {
    /// So many permits now, at least one.
    Now(Vec<Permit>),
    /// None now.
    Later {
        /// When it is expected, where that is known.
        until: Option<Moment>,
        /// Here come the permits when they are due; closed when the limiter fell, or the lane closed
        /// so that `until` holds no longer: ask again.
        permits: oneshot::Receiver<Vec<Permit>>,
    },
}

/// The right to make one call in a lane; dropped without a word, it counts as never used.
pub struct Permit {
    serial: u64,
    tokens: Tokens,
    /// Where it goes back to; none once it has.
    home: Option<Arc<PermitHome>>,
}

/// Where the permits of a lane come from and go back to; they share it.
pub struct PermitHome {
    lane: Lane,
    settle: Recipient<Settle>,
}

impl PermitHome {
    /// The home of the permits of a lane; `settle` hears of their ends.
    pub const fn new(lane: Lane, settle: Recipient<Settle>) -> Self {
        Self { lane, settle }
    }

    /// The lane.
    pub const fn lane(&self) -> &Lane {
        &self.lane
    }
}

impl fmt::Debug for PermitHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PermitHome({})", self.lane)
    }
}

impl Permit {
    /// The permit of that number, for so many tokens.
    pub const fn new(home: Arc<PermitHome>, serial: u64, tokens: Tokens) -> Self {
        Self {
            serial,
            tokens,
            home: Some(home),
        }
    }

    /// The tokens granted, which the call is expected to stay within.
    pub const fn tokens(&self) -> Tokens {
        self.tokens
    }

    /// Ends the permit with what the call was, and what its response said of limits.
    pub fn settle(self, verdict: Verdict, seen: Vec<SeenLimit>) {
        drop(self.settling(verdict, 0.0, seen));
    }

    /// The same once this is dropped; `part_usd` is what was answered of a call before it failed.
    #[must_use = "the permit ends when this is dropped"]
    pub const fn settling(self, verdict: Verdict, part_usd: f64, seen: Vec<SeenLimit>) -> Settling {
        Settling {
            permit: self,
            verdict,
            part_usd,
            seen,
        }
    }

    fn end(&mut self, verdict: Verdict, part_usd: f64, seen: Vec<SeenLimit>) {
        if let Some(home) = self.home.take() {
            let settle = Settle {
                home: Arc::clone(&home),
                serial: self.serial,
                verdict,
                part_usd,
                seen,
            };
            home.settle.do_send(settle);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        // A panic in the call unwinds through here: the call may have been made.
        let verdict = if std::thread::panicking() {
            Verdict::Spent { tokens: None }
        } else {
            Verdict::Unused
        };
        self.end(verdict, 0.0, Vec::new());
    }
}

/// The end of a permit, which its lane hears of when this is dropped, however that comes.
#[derive(Debug)]
pub struct Settling {
    permit: Permit,
    verdict: Verdict,
    part_usd: f64,
    seen: Vec<SeenLimit>,
}

impl Drop for Settling {
    fn drop(&mut self) {
        let seen = std::mem::take(&mut self.seen);
        self.permit.end(self.verdict, self.part_usd, seen);
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.home {
            Some(home) => write!(f, "Permit({}, {})", home.lane, self.serial),
            None => write!(f, "Permit({}, settled)", self.serial),
        }
    }
}

/// Ends a permit; said by the permit itself.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Settle {
    /// Where the permit came from.
    pub home: Arc<PermitHome>,
    /// The permit's number.
    pub serial: u64,
    /// What the call was.
    pub verdict: Verdict,
    /// What was answered of it before it failed has cost, in US dollars.
    pub part_usd: f64,
    /// What its response said of limits.
    pub seen: Vec<SeenLimit>,
}

/// What a call was, as far as its lane is concerned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// It was never made: request and tokens come back.
    Unused,
    /// It was made, and says nothing about how the lane does; the tokens used, where known.
    Spent {
        /// Tokens used.
        tokens: Option<Tokens>,
    },
    /// It was answered: the lane works.
    Answered {
        /// Tokens used, where known.
        tokens: Option<Tokens>,
        /// What it cost in US dollars, where known.
        cost_usd: Option<f64>,
    },
    /// It was refused because of a limit, which opens after `wait` where that is known.
    Bounced {
        /// For how long.
        wait: Option<Duration>,
    },
    /// It was refused because the quota of a day or a month is used up, or money.
    Exhausted {
        /// For how long; where that is not known, it is tried again each hour.
        wait: Option<Duration>,
    },
    /// The lane failed, for nothing: a server error.
    Failed {
        /// How long the lane asks to wait, where it does.
        wait: Option<Duration>,
    },
    /// There was no connection, so nothing of it arrived: all of it comes back, and the lane
    /// counts as failing.
    Unreachable,
    /// It was sent, and nothing came back that says what became of it, as at a timeout; it may
    /// have to be paid.
    Unanswered,
    /// A person has to do something first: credential or credit.
    Person,
}

/// Reserves money of a lane for what takes longer than any call; the batcher says it. Answered
/// with when it was counted, once it is written down; none when there is not so much now.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Option<Timestamp>")]
pub struct Reserve {
    /// The lane.
    pub lane: Lane,
    /// How much, in US dollars.
    pub usd: f64,
}

/// Corrects what of a lane's money counts since then; the batcher says it, and the publisher of
/// what outlets charge for reading.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub struct Amend {
    /// The lane.
    pub lane: Lane,
    /// When it was counted.
    pub at: Timestamp,
    /// How much more it is, in US dollars; negative where it is less.
    pub usd: f64,
}

/// Changes a lane by a person's order. None means every lane, those of outlets too.
#[derive(Clone, Debug, Message)]
#[rtype(result = "Result<(), super::monitor::UnknownName>")]
pub struct Adjust {
    /// The lane, or none for all.
    pub lane: Option<Lane>,
    /// What is changed.
    pub adjustment: Adjustment,
}

/// What a person changes in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adjustment {
    /// Grants nothing until resumed.
    Pause,
    /// Grants again, also what was parked.
    Resume,
}

/// Asks how the lanes do.
#[derive(Message)]
#[rtype(result = "Vec<LaneView>")]
pub struct Lanes;

/// Asks what is used in every lane, for the limiter after this one.
#[derive(Message)]
#[rtype(result = "Vec<(Lane, Quota)>")]
pub struct Quotas;

/// How a lane does.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneView {
    /// Its name.
    pub name: Lane,
    /// Its limits.
    pub windows: Vec<WindowView>,
    /// Permits waited for.
    pub waiting: u64,
    /// Calls in flight.
    pub in_flight: u64,
    /// Until when it grants nothing, by wall clock; the end of time for a person's order.
    pub parked_until: Option<Timestamp>,
    /// Why it grants nothing.
    pub why: Option<&'static str>,
    /// What was spent today, in US dollars.
    pub usd_today: f64,
    /// The limit that work waits for now, the one that opens last.
    pub binding: Option<BindingView>,
}

/// The limit that the work of a lane waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct BindingView {
    /// What is counted, as in [`WindowView`].
    pub unit: &'static str,
    /// Over what time.
    pub per: &'static str,
    /// How it is known.
    pub known_by: &'static str,
    /// When the next call may begin, where time alone decides it.
    pub opens_at: Option<Timestamp>,
}

/// One limit of a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowView {
    /// What is counted: `requests`, `tokens`, `input tokens`, `output tokens`, `US dollars`, `calls`.
    pub unit: &'static str,
    /// Over what time: `second`, `minute`, `day`, `month`, `at once`.
    pub per: &'static str,
    /// The most.
    pub limit: f64,
    /// How much of it is used.
    pub used: f64,
    /// When all of it is free again, by wall clock, if nothing more is used.
    pub resets_at: Option<Timestamp>,
    /// How it is known: `settings`, or what was learned from.
    pub known_by: &'static str,
    /// When it was told last, by wall clock; none where the settings tell it.
    pub told_at: Option<Timestamp>,
    /// Whether that was before the process started, so that it is remembered.
    pub is_remembered: bool,
}
