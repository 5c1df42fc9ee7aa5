//! What a simulated provider counts for itself.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::admission::Cost;

/// How long an episode of refusals lasts at most, from its first on.
const EPISODE: Duration = Duration::from_secs(1);

/// How long a slot of the timeline is.
pub(crate) const SLOT: Duration = Duration::from_millis(100);

/// The most slots of a timeline, which is four hours, and the most calls that an outage lists.
const MAX_SLOTS: usize = 144_000;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    /// Calls that arrived, whatever became of them.
    pub(crate) received: u64,
    /// Calls that were answered with a translation, broken ones among them.
    pub(crate) calls: u64,
    /// Texts in these.
    pub(crate) texts: u64,
    /// Calls that were not understood.
    pub(crate) misunderstood: u64,
    /// Calls answered 429.
    pub(crate) throttled: u64,
    /// Refusals no more than a second after the first of them count as one.
    pub(crate) episodes: u64,
    /// Calls that failed otherwise: 5xx, reset, hang.
    pub(crate) failed: u64,
    /// Calls during an outage.
    pub(crate) during_outage: u64,
    /// Answers that came broken.
    pub(crate) broken: u64,
    /// Answers that came a few bytes at a time.
    pub(crate) trickled: u64,
    /// Answers that were cut at the tokens that their call allowed.
    pub(crate) cut: u64,
    /// Calls that were admitted and not answered yet.
    pub(crate) in_flight: u64,
    /// The most calls that were in flight at once.
    pub(crate) peak_in_flight: u64,
    /// Tokens of the questions that were answered.
    pub(crate) tokens_in: u64,
    /// Tokens of the answers.
    pub(crate) tokens_out: u64,
    /// Calls begun after the one planned refusal, until one of them was answered.
    pub(crate) begun_after: u64,
    /// Those among them that did not wait as long as was asked.
    pub(crate) begun_early: u64,
    /// Calls that the smallest bucket of requests would let in now.
    pub(crate) room: u64,
}

impl Counts {
    /// Returns the tokens of questions and answers together.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens_in + self.tokens_out
    }
}

/// When things happened, counted from the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Timeline {
    /// How long the provider runs, in milliseconds.
    pub(crate) now_ms: u64,
    /// Calls admitted in each slot of 100 ms.
    pub(crate) admitted: Vec<u32>,
    /// When calls arrived during outages, in milliseconds.
    pub(crate) during_outage_ms: Vec<u64>,
}

/// The book of one provider.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// What was counted.
    pub(super) counts: Counts,
    timeline: Timeline,
    episode_began: Option<Duration>,
    planned: Planned,
}

/// How far the one planned refusal has come.
#[derive(Clone, Copy, Debug, Default)]
enum Planned {
    #[default]
    Ahead,
    Refused {
        at: Duration,
        until: Duration,
    },
    Over,
}

impl Book {
    /// Counts a call that arrived; returns its number, from 1.
    pub(super) fn arrived(&mut self, now: Duration) -> u64 {
        self.counts.received += 1;
        if let Planned::Refused { at, until } = self.planned
            && now > at
        {
            self.counts.begun_after += 1;
            self.counts.begun_early += u64::from(now < until);
        }
        self.counts.received
    }

    /// Counts a call that was let in.
    pub(super) fn admitted(&mut self, now: Duration, n_texts: u64) {
        self.counts.calls += 1;
        self.counts.texts += n_texts;
        let slot = (now.as_millis() / SLOT.as_millis()) as usize;
        if slot < MAX_SLOTS {
            if self.timeline.admitted.len() <= slot {
                self.timeline.admitted.resize(slot + 1, 0);
            }
            self.timeline.admitted[slot] += 1;
        }
    }

    /// Counts a call that waits for its answer.
    pub(super) fn began(&mut self) {
        self.counts.in_flight += 1;
        self.counts.peak_in_flight = self.counts.peak_in_flight.max(self.counts.in_flight);
    }

    /// Counts the end of that.
    pub(super) fn ended(&mut self) {
        self.counts.in_flight -= 1;
    }

    /// Counts what an answer used, and ends the time in which only one call may have begun.
    pub(super) fn answered(&mut self, began: Duration, used: Cost) {
        self.counts.tokens_in += used.tokens_in;
        self.counts.tokens_out += used.tokens_out;
        if let Planned::Refused { at, .. } = self.planned
            && began > at
        {
            self.planned = Planned::Over;
        }
    }

    /// Counts a call answered 429.
    pub(super) fn refused(&mut self, now: Duration) {
        self.counts.throttled += 1;
        let is_new = self
            .episode_began
            .is_none_or(|began| now.saturating_sub(began) > EPISODE);
        if is_new {
            self.counts.episodes += 1;
            self.episode_began = Some(now);
        }
    }

    /// Counts the one planned refusal, which asks to wait so long.
    pub(super) fn refused_as_planned(&mut self, now: Duration, wait: Duration) {
        self.refused(now);
        self.planned = Planned::Refused {
            at: now,
            until: now + wait,
        };
    }

    /// Counts a call during an outage.
    pub(super) fn turned_away(&mut self, now: Duration) {
        self.counts.during_outage += 1;
        if self.timeline.during_outage_ms.len() < MAX_SLOTS {
            self.timeline.during_outage_ms.push(now.as_millis() as u64);
        }
    }

    /// Returns the timeline until now.
    pub(super) fn timeline(&self, now: Duration) -> Timeline {
        Timeline {
            now_ms: now.as_millis() as u64,
            ..self.timeline.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn refusals_close_together_are_one_episode() {
        let mut book = Book::default();

        for time in [0, 100, 1_000, 5_000] {
            book.refused(at(time));
        }

        assert_eq!((book.counts.throttled, book.counts.episodes), (4, 2));
    }

    #[test]
    fn refusals_without_a_pause_are_an_episode_each_second() {
        let mut book = Book::default();

        for time in (0..10_000).step_by(500) {
            book.refused(at(time));
        }

        assert_eq!((book.counts.throttled, book.counts.episodes), (20, 7));
    }

    #[test]
    fn calls_after_a_planned_refusal_count_until_one_is_answered() {
        let mut book = Book::default();
        book.arrived(at(0));
        book.refused_as_planned(at(10), at(1_000));

        book.arrived(at(500));
        book.arrived(at(1_100));
        book.answered(at(1_100), Cost::default());
        book.arrived(at(1_200));

        assert_eq!((book.counts.begun_after, book.counts.begun_early), (2, 1));
    }

    #[test]
    fn a_refused_text_that_is_sent_again_at_once_is_early() {
        let mut book = Book::default();
        book.refused_as_planned(at(10), at(1_000));

        book.arrived(at(11));
        book.answered(at(11), Cost::default());

        assert_eq!((book.counts.begun_after, book.counts.begun_early), (1, 1));
    }

    #[test]
    fn an_answer_to_an_older_call_does_not_end_the_time_of_the_probe() {
        let mut book = Book::default();
        book.refused_as_planned(at(10), at(1_000));

        book.answered(at(5), Cost::default());
        book.arrived(at(1_100));

        assert_eq!(book.counts.begun_after, 1);
    }

    #[test]
    fn a_timeline_has_a_place_for_every_slot() {
        let mut book = Book::default();

        for time in [0, 50, 250] {
            book.admitted(at(time), 1);
        }

        assert_eq!(book.timeline(at(300)).admitted, [2, 0, 1]);
    }
}
