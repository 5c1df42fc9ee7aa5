//! Decides whether to poll for what comes next, by how long that took before.

use std::time::{Duration, Instant};

/// How long is polled for an answer: some wake-ups lie on its way, each of which takes up to 250 µs
/// where a core sleeps deeply.
pub(super) const FOR_ANSWER: Duration = Duration::from_micros(500);

/// How long is polled for the next question: as long as Linux polls before it halts a virtual core
/// where it is told nothing else.
const FOR_QUESTION: Duration = Duration::from_micros(200);

/// How many waits within their bound make good for one beyond it.
const PRICE: u32 = 16;

/// The credit from which on is polled.
const ENOUGH: u32 = 2 * PRICE;

/// The most credit there is; so no more than three waits of a kind in a row are polled in vain.
const MOST: u32 = 4 * PRICE;

/// How questions and answers follow on each other.
#[derive(Debug)]
pub(super) struct Pace {
    answers: Waits,
    questions: Waits,
    turned: Option<Instant>,
}

/// How waits of one kind ended.
#[derive(Debug)]
struct Waits {
    bound: Duration,
    credit: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            answers: Waits::within(FOR_ANSWER),
            questions: Waits::within(FOR_QUESTION),
            turned: None,
        }
    }
}

impl Pace {
    /// The pace where both came at once for long.
    #[cfg(test)]
    pub(super) fn prompt() -> Self {
        let mut pace = Self::default();
        (pace.answers.credit, pace.questions.credit) = (MOST, MOST);
        pace
    }

    /// Takes note of a question; returns how long to poll for its answer, if that pays.
    pub(super) fn asked(&mut self, now: Instant) -> Option<Duration> {
        let waited = self.turn(now);
        self.questions.ended(waited);
        self.answers.bound_if_it_pays()
    }

    /// Takes note of an answer; returns how long to poll for the next question, if that pays.
    pub(super) fn answered(&mut self, now: Instant) -> Option<Duration> {
        let waited = self.turn(now);
        self.answers.ended(waited);
        self.questions.bound_if_it_pays()
    }

    /// Returns how long it took from the turn before, if there was one.
    fn turn(&mut self, now: Instant) -> Option<Duration> {
        let turned = self.turned.replace(now)?;
        Some(now.saturating_duration_since(turned))
    }
}

impl Waits {
    fn within(bound: Duration) -> Self {
        Self { bound, credit: 0 }
    }

    fn ended(&mut self, waited: Option<Duration>) {
        self.credit = if waited.is_some_and(|waited| waited <= self.bound) {
            MOST.min(self.credit + 1)
        } else {
            self.credit.saturating_sub(PRICE)
        };
    }

    fn bound_if_it_pays(&self) -> Option<Duration> {
        (self.credit >= ENOUGH).then_some(self.bound)
    }
}

#[cfg(test)]
mod tests {
    use proptest::bool::weighted;

    use super::*;

    const QUICK: Duration = Duration::from_micros(20);
    const SLOW: Duration = Duration::from_millis(300);

    /// Questions that each wait so long to be answered, and then so long until the next; returns
    /// for each whether was polled for its answer and for the question after it.
    fn converse(
        pace: &mut Pace,
        n: u32,
        answer: Duration,
        question: Duration,
    ) -> Vec<(bool, bool)> {
        let mut now = pace.turned.unwrap_or_else(Instant::now);
        let mut exchange = || {
            now += question;
            let for_answer = pace.asked(now).is_some();
            now += answer;
            (for_answer, pace.answered(now).is_some())
        };
        (0..n).map(|_| exchange()).collect()
    }

    #[test]
    fn a_client_that_asks_again_at_once_is_polled_for_after_some_questions() {
        let polled = converse(&mut Pace::default(), 100, QUICK, QUICK);

        let n_before = polled
            .iter()
            .filter(|polled| **polled != (true, true))
            .count();
        assert_eq!(n_before, ENOUGH as usize);
        assert_eq!(polled.last(), Some(&(true, true)));
    }

    #[test]
    fn a_provider_that_takes_its_time_is_never_polled_for() {
        let polled = converse(&mut Pace::default(), 1_000, SLOW, QUICK);

        assert!(polled.iter().all(|(for_answer, _)| !for_answer));
    }

    #[test]
    fn a_client_that_takes_its_time_is_never_polled_for() {
        let polled = converse(&mut Pace::default(), 1_000, QUICK, SLOW);

        assert!(polled.iter().all(|(_, for_question)| !for_question));
    }

    #[test]
    fn when_all_become_slow_three_waits_of_each_kind_are_polled_at_most() {
        let mut pace = Pace::prompt();

        let polled = converse(&mut pace, 100, SLOW, SLOW);

        let for_answers = polled.iter().filter(|(for_answer, _)| *for_answer);
        let for_questions = polled.iter().filter(|(_, for_question)| *for_question);
        assert_eq!((for_answers.count(), for_questions.count()), (3, 2));
    }

    #[test]
    fn one_slow_answer_among_many_changes_nothing() {
        let mut pace = Pace::prompt();
        converse(&mut pace, 1, SLOW, QUICK);

        let polled = converse(&mut pace, 100, QUICK, QUICK);

        assert!(polled.iter().all(|polled| *polled == (true, true)));
    }

    proptest::proptest! {
        #[test]
        fn what_is_polled_in_vain_is_paid_for_beforehand(
            quick in proptest::collection::vec([weighted(0.97), weighted(0.97)], 1..400)
        ) {
            let (mut pace, mut now) = (Pace::default(), Instant::now());
            let mut polled = None;
            // Of answers, and of questions.
            let (mut n_within, mut n_in_vain) = ([0_u32; 2], [0_u32; 2]);
            for [is_quick_answer, is_quick_question] in quick {
                for (kind, is_quick) in [(1, is_quick_question), (0, is_quick_answer)] {
                    now += if is_quick { QUICK } else { SLOW };
                    n_within[kind] += u32::from(is_quick);
                    n_in_vain[kind] += u32::from(!is_quick && polled.is_some());
                    polled = if kind == 1 { pace.asked(now) } else { pace.answered(now) };
                }
            }
            for kind in 0..2 {
                proptest::prop_assert!(n_in_vain[kind] * PRICE <= n_within[kind]);
            }
        }
    }
}
