//! Questions that several clients ask, each one at a time.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use tokio::task::LocalSet;

use super::super::client;
use super::super::corpus;
use super::super::machine::processor_seconds_of;
use super::super::statistics::{Quantiles, Times};

/// Questions to ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Questions {
    /// The socket of the service.
    pub(crate) socket: PathBuf,
    /// Connections with one question in flight each.
    pub(crate) n_clients: u64,
    /// How many questions.
    pub(crate) n_questions: u64,
    /// How many texts each has.
    pub(crate) texts_a_question: u64,
    /// Which texts.
    pub(crate) pick: Pick,
    /// How long an answer may take.
    pub(crate) deadline: Duration,
}

/// Which texts are asked for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Pick {
    /// From this number on, each once.
    Fresh(u64),
    /// Always this one.
    Same(u64),
    /// Of the first so many, each as often as its rank says.
    Zipf {
        /// How many there are.
        n_texts: u64,
        /// What the order is drawn from.
        seed: u64,
    },
}

/// What came of questions.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct QuestionsOutcome {
    /// The times of the answers.
    pub(crate) answers: Quantiles,
    /// Texts that were answered.
    pub(crate) n_texts: u64,
    /// Those among them that were known.
    pub(crate) n_cached: u64,
    /// Texts whose answer was not their translation.
    pub(crate) n_wrong: u64,
    /// Questions that were not answered.
    pub(crate) n_failed: u64,
    /// The first answer to one of these.
    pub(crate) first_failure: Option<String>,
    /// How long it took from the first question to the last answer.
    pub(crate) taken: Duration,
    /// Processor time that the load generator used.
    pub(crate) processor_seconds: f64,
}

struct Progress {
    questions: Questions,
    n_asked: Cell<u64>,
    picker: RefCell<Picker>,
    outcome: RefCell<QuestionsOutcome>,
    times: RefCell<Times>,
}

/// Asks.
pub(super) async fn ask(questions: Questions) -> anyhow::Result<QuestionsOutcome> {
    let processor_before = processor_seconds_of("self")?;
    let n_clients = questions.n_clients;
    let progress = Rc::new(Progress {
        picker: RefCell::new(Picker::new(questions.pick)),
        questions,
        n_asked: Cell::default(),
        outcome: RefCell::default(),
        times: RefCell::new(Times::new()),
    });
    let started = Instant::now();
    let local = LocalSet::new();
    let clients: Vec<_> = (0..n_clients)
        .map(|_| local.spawn_local(repeat(progress.clone())))
        .collect();
    local
        .run_until(async {
            for client in clients {
                client.await.context("a client fell")??;
            }
            anyhow::Ok(())
        })
        .await?;
    let answers = progress.times.borrow().quantiles();
    Ok(QuestionsOutcome {
        answers,
        taken: started.elapsed(),
        processor_seconds: processor_seconds_of("self")? - processor_before,
        ..progress.outcome.take()
    })
}

async fn repeat(progress: Rc<Progress>) -> anyhow::Result<()> {
    let questions = &progress.questions;
    let mut connection = client::connect_unix(&questions.socket).await?;
    while progress.n_asked.get() < questions.n_questions {
        progress.n_asked.set(progress.n_asked.get() + 1);
        let numbers = progress
            .picker
            .borrow_mut()
            .take(questions.texts_a_question);
        let request = question(&numbers, questions.deadline);
        if connection.is_closed() {
            connection = client::connect_unix(&questions.socket).await?;
        }
        let called = Instant::now();
        let response = connection.exchange(&request).await?;
        progress.times.borrow_mut().add(called.elapsed());
        progress
            .outcome
            .borrow_mut()
            .read(response.status, response.body, &numbers)?;
    }
    Ok(())
}

fn question(numbers: &[u64], deadline: Duration) -> Vec<u8> {
    let texts: Vec<String> = numbers.iter().map(|n| corpus::text(*n)).collect();
    let body = format!(
        r#"{{"texts":{texts:?},"target":"es","source":"en","deadline_ms":{}}}"#,
        deadline.as_millis()
    );
    client::post("/v1/translate", "application/json", body.as_bytes())
}

#[derive(Deserialize)]
struct Answered {
    translations: Vec<Translation>,
}

#[derive(Deserialize)]
struct Translation {
    text: String,
    cached: bool,
}

impl QuestionsOutcome {
    fn read(&mut self, status: u16, body: &[u8], numbers: &[u64]) -> anyhow::Result<()> {
        if status != 200 {
            self.n_failed += 1;
            self.first_failure
                .get_or_insert_with(|| format!("{status}: {}", String::from_utf8_lossy(body)));
            return Ok(());
        }
        let answered: Answered = serde_json::from_slice(body)?;
        anyhow::ensure!(
            answered.translations.len() == numbers.len(),
            "expected {} translations, got {}",
            numbers.len(),
            answered.translations.len()
        );
        for (translation, n) in answered.translations.iter().zip(numbers) {
            self.n_texts += 1;
            self.n_cached += u64::from(translation.cached);
            self.n_wrong += u64::from(translation.text != corpus::translation(*n, "es"));
        }
        Ok(())
    }
}

/// Returns the texts that so many questions for one text each pick.
pub(crate) fn trace(pick: Pick, n: u64) -> Vec<u64> {
    Picker::new(pick).take(n)
}

/// Draws the numbers of texts.
enum Picker {
    Fresh(u64),
    Same(u64),
    Zipf { cumulative: Vec<f64>, rng: Rng },
}

impl Picker {
    fn new(pick: Pick) -> Self {
        match pick {
            Pick::Fresh(first) => Self::Fresh(first),
            Pick::Same(n) => Self::Same(n),
            Pick::Zipf { n_texts, seed } => {
                let mut sum = 0.0;
                let cumulative = (1..=n_texts)
                    .map(|rank| {
                        sum += 1.0 / rank as f64;
                        sum
                    })
                    .collect();
                Self::Zipf {
                    cumulative,
                    rng: Rng::with_seed(seed),
                }
            }
        }
    }

    fn take(&mut self, n: u64) -> Vec<u64> {
        (0..n).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> u64 {
        match self {
            Self::Fresh(next) => {
                *next += 1;
                *next - 1
            }
            Self::Same(n) => *n,
            Self::Zipf { cumulative, rng } => {
                let at = rng.f64() * cumulative.last().copied().unwrap_or(0.0);
                cumulative.partition_point(|sum| *sum <= at) as u64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fresh_texts_come_once_and_one_text_again_and_again() {
        assert_eq!(Picker::new(Pick::Fresh(5)).take(3), [5, 6, 7]);
        assert_eq!(Picker::new(Pick::Same(5)).take(3), [5, 5, 5]);
    }

    #[test]
    fn of_two_thousand_texts_the_first_two_hundred_are_seven_in_ten() {
        let mut picker = Picker::new(Pick::Zipf {
            n_texts: 2_000,
            seed: 1,
        });

        let drawn = picker.take(10_000);

        let n_common = drawn.iter().filter(|n| **n < 200).count();
        assert!((6_900..7_500).contains(&n_common), "{n_common}");
        assert!(drawn.iter().all(|n| *n < 2_000));
    }

    #[test]
    fn an_answer_with_other_words_is_wrong() {
        let body = format!(
            r#"{{"translations":[{{"text":"{}","cached":false}},{{"text":"x","cached":true}}]}}"#,
            corpus::translation(1, "es")
        );
        let mut outcome = QuestionsOutcome::default();

        outcome.read(200, body.as_bytes(), &[1, 2]).unwrap();
        outcome.read(504, b"late", &[3]).unwrap();

        assert_eq!(
            (outcome.n_texts, outcome.n_cached, outcome.n_wrong),
            (2, 1, 1)
        );
        assert_eq!(outcome.first_failure.as_deref(), Some("504: late"));
    }
}
