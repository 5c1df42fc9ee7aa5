//! A provider that translates by a plain rule, and misbehaves exactly as a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tokio::time::Instant;

use crate::domain::{Language, SeenLimit, Thoughts, Usage};
use crate::logic::price::usd;
use crate::ports::{Answer, Pack, Provider, ProviderError, Translated};

/// What goes wrong in a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderFault {
    /// It answers this error.
    Error(ProviderError),
    /// It takes so long; past the timeout it ends there.
    Delay(Duration),
    /// It never answers; it ends at the timeout.
    Hang,
    /// The code panics.
    Panic,
    /// The item at this place is left out.
    Missing(usize),
    /// The item at this place comes twice, with two texts.
    Doubled(usize),
    /// The item at this place comes under an id that nobody asked for.
    Renamed(usize),
    /// An item that nobody asked for comes as well.
    Unknown,
    /// The first two items have changed their ids.
    Swapped,
    /// The items come in the opposite order, under their right ids.
    Reordered,
    /// The placeholders are gone.
    Unmarked,
    /// The texts come back as they went.
    Echo,
    /// Every text comes back as this one.
    Says(&'static str),
    /// Only the first half of the items, rounded down, was finished.
    Truncated,
    /// The item at this place has the text of the next one too, which is missing.
    Merged(usize),
    /// Every second text came in its place, and this instead of the others.
    Halfway(ProviderError),
    /// Nothing in the answer can be read.
    Unreadable,
}

/// A deterministic provider; its clones are the same provider.
#[derive(Clone, Debug, Default)]
pub struct FakeProvider {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    latency: Duration,
    script: VecDeque<Option<ProviderFault>>,
    standing: Option<ProviderFault>,
    /// More texts in one call than this come back without their answers.
    digests: Option<usize>,
    /// A text with these words spoils the call that it is in.
    chokes_on: Option<String>,
    /// A text with these words makes the code behind the call that it is in panic.
    falls_behind: Option<String>,
    /// Whether that is to happen now.
    is_to_fall: bool,
    /// What it thinks before each answer.
    thoughts: Option<Thoughts>,
    packs: Vec<Pack>,
    begun: Vec<Instant>,
    in_flight: usize,
    most_in_flight: usize,
}

impl FakeProvider {
    /// A provider that answers at once.
    pub fn new() -> Self {
        Self::default()
    }

    /// A provider whose every call takes so long.
    pub fn with_latency(latency: Duration) -> Self {
        let provider = Self::default();
        provider.shared().latency = latency;
        provider
    }

    /// Adds a fault to the script: each call takes the next, in order.
    pub fn then(&self, fault: ProviderFault) {
        self.shared().script.push_back(Some(fault));
    }

    /// Adds a call without a fault to the script.
    pub fn then_well(&self) {
        self.shared().script.push_back(None);
    }

    /// Sets what happens in every call that the script says nothing about.
    pub fn always(&self, fault: Option<ProviderFault>) {
        self.shared().standing = fault;
    }

    /// Sets how many texts in one call it can answer; what has more brings nothing back.
    pub fn digests(&self, n_texts: usize) {
        self.shared().digests = Some(n_texts);
    }

    /// Sets the words of a text in whose company nothing comes back.
    pub fn chokes_on(&self, words: &str) {
        self.shared().chokes_on = Some(words.to_owned());
    }

    /// Sets the words of a text over whose answer the code behind the call panics.
    pub fn falls_behind(&self, words: &str) {
        self.shared().falls_behind = Some(words.to_owned());
    }

    /// Sets how many tokens it thinks before each answer, and how many it might.
    pub fn thinks(&self, used: u64, allowed: u64) {
        self.shared().thoughts = Some(Thoughts { used, allowed });
    }

    /// How many calls were made.
    pub fn n_calls(&self) -> usize {
        self.shared().packs.len()
    }

    /// How many texts the calls had, all together.
    pub fn n_texts(&self) -> usize {
        self.shared()
            .packs
            .iter()
            .map(|pack| pack.items.len())
            .sum()
    }

    /// The packs of all calls, in order.
    pub fn packs(&self) -> Vec<Pack> {
        self.shared().packs.clone()
    }

    /// What all its calls cost at these prices, each paid as if it had been answered well.
    pub fn billed(&self, price: (f64, f64)) -> f64 {
        let packs = self.packs();
        let bills = packs.iter();
        let thought = self.shared().thoughts.map_or(0, |thoughts| thoughts.used);
        let bill = |pack| {
            let mut tokens = full_usage(pack).tokens();
            tokens.output += thought;
            usd(tokens, price)
        };
        bills.map(bill).sum()
    }

    /// When each call began, in order.
    pub fn begun(&self) -> Vec<Instant> {
        self.shared().begun.clone()
    }

    /// The most calls that were ever in flight at once.
    pub fn most_in_flight(&self) -> usize {
        self.shared().most_in_flight
    }

    fn fly(&self) -> InFlight {
        let mut shared = self.shared();
        shared.in_flight += 1;
        shared.most_in_flight = shared.most_in_flight.max(shared.in_flight);
        InFlight(self.clone())
    }

    fn take(&self, pack: &Pack) -> (Duration, Option<ProviderFault>) {
        let mut shared = self.shared();
        shared.packs.push(pack.clone());
        shared.begun.push(Instant::now());
        let scripted = shared.script.pop_front();
        let fault = scripted.unwrap_or_else(|| shared.standing.clone());
        let fault = fault.or_else(|| shared.indigestion(pack));
        (shared.latency, fault)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Scripted panics happen without the lock, so what a poisoned one guards is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    /// What the pack itself does to a call without another fault.
    fn indigestion(&self, pack: &Pack) -> Option<ProviderFault> {
        let is_too_much = self.digests.is_some_and(|most| pack.items.len() > most);
        let chokes = has_words(pack, self.chokes_on.as_deref());
        (is_too_much || chokes).then_some(ProviderFault::Unreadable)
    }
}

/// Whether a text of a pack has these words.
fn has_words(pack: &Pack, words: Option<&str>) -> bool {
    let has = |words| pack.items.iter().any(|item| item.text.contains(words));
    words.is_some_and(has)
}

/// A call in flight, until it is dropped.
#[derive(Debug)]
struct InFlight(FakeProvider);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.shared().in_flight -= 1;
    }
}

/// The rule: the target in brackets before the text, placeholders untouched.
pub fn translation(target: &Language, text: &str) -> String {
    format!("[{target}] {text}")
}

impl Provider for FakeProvider {
    fn translate<'a>(
        &'a self,
        pack: &'a Pack,
        timeout: Duration,
    ) -> LocalBoxFuture<'a, Result<Answer, ProviderError>> {
        let (latency, fault) = self.take(pack);
        let in_flight = self.fly();
        Box::pin(async move {
            let _in_flight = in_flight;
            let latency = match &fault {
                Some(ProviderFault::Hang) => Duration::MAX,
                Some(ProviderFault::Delay(delay)) => *delay,
                _ => latency,
            };
            if latency > timeout {
                tokio::time::sleep(timeout).await;
                return Err(timed_out(timeout));
            }
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            let mut answer = answer(pack, fault)?;
            answer.thoughts = self.shared().thoughts;
            if let (Some(usage), Some(thoughts)) = (&mut answer.usage, answer.thoughts) {
                usage.tokens_out += thoughts.used;
            }
            let mut shared = self.shared();
            shared.is_to_fall = has_words(pack, shared.falls_behind.as_deref());
            Ok(answer)
        })
    }

    fn take_seen(&self) -> Vec<SeenLimit> {
        let is_to_fall = std::mem::take(&mut self.shared().is_to_fall);
        assert!(!is_to_fall, "the fake provider was told to panic");
        Vec::new()
    }
}

fn timed_out(timeout: Duration) -> ProviderError {
    ProviderError::Unanswered {
        detail: format!("no answer within {timeout:?}"),
    }
}

/// What comes back of a pack where nothing goes wrong.
fn well(pack: &Pack) -> impl Iterator<Item = Translated> {
    pack.items.iter().map(|item| Translated {
        id: Arc::clone(&item.id),
        text: translation(&pack.pair.target, &item.text),
    })
}

pub(super) fn answer(pack: &Pack, fault: Option<ProviderFault>) -> Result<Answer, ProviderError> {
    let mut items: Vec<Translated> = well(pack).collect();
    let mut is_truncated = false;
    let mut error = None;
    match fault {
        Some(ProviderFault::Error(error)) => return Err(error),
        Some(ProviderFault::Panic) => panic!("the fake provider was told to panic"),
        Some(ProviderFault::Missing(place)) if place < items.len() => {
            items.remove(place);
        }
        Some(ProviderFault::Doubled(place)) if place < items.len() => {
            let mut twin = items[place].clone();
            twin.text.push_str(" again");
            items.push(twin);
        }
        Some(ProviderFault::Renamed(place)) if place < items.len() => {
            items[place].id = "renamed".into();
        }
        Some(ProviderFault::Unknown) => items.push(Translated {
            id: "unknown".into(),
            text: translation(&pack.pair.target, "something else"),
        }),
        Some(ProviderFault::Swapped) if items.len() > 1 => {
            let first = Arc::clone(&items[0].id);
            items[0].id = std::mem::replace(&mut items[1].id, first);
        }
        Some(ProviderFault::Reordered) => items.reverse(),
        Some(ProviderFault::Unmarked) => {
            for item in &mut items {
                item.text = without_marks(&item.text);
            }
        }
        Some(ProviderFault::Echo) => {
            for (item, asked) in items.iter_mut().zip(&pack.items) {
                item.text = asked.text.as_ref().to_owned();
            }
        }
        Some(ProviderFault::Says(text)) => {
            for item in &mut items {
                item.text = text.to_owned();
            }
        }
        Some(ProviderFault::Truncated) => {
            items.truncate(pack.items.len() / 2);
            is_truncated = true;
        }
        Some(ProviderFault::Merged(place)) if place + 1 < items.len() => {
            let second = items.remove(place + 1);
            items[place].text.push_str(&second.text);
        }
        Some(ProviderFault::Halfway(halfway)) => {
            items = items.into_iter().step_by(2).collect();
            error = Some(halfway);
        }
        Some(ProviderFault::Unreadable) => items.clear(),
        _ => {}
    }
    Ok(Answer {
        usage: Some(usage(pack, &items)),
        items,
        model: "fake-1".into(),
        thoughts: None,
        is_truncated,
        is_in_place: error.is_some(),
        error,
    })
}

/// What a pack takes where nothing goes wrong.
pub(super) fn full_usage(pack: &Pack) -> Usage {
    let items: Vec<Translated> = well(pack).collect();
    usage(pack, &items)
}

/// A token for each four bytes, rounded up.
fn usage(pack: &Pack, items: &[Translated]) -> Usage {
    let tokens = |n_bytes: usize| n_bytes.div_ceil(4) as u64;
    Usage {
        tokens_in: tokens(pack.items.iter().map(|item| item.text.len()).sum()),
        tokens_out: tokens(items.iter().map(|item| item.text.len()).sum()),
        cost_usd: 0.0,
    }
}

fn without_marks(text: &str) -> String {
    let mut is_mark = false;
    text.chars()
        .filter(|letter| {
            is_mark |= *letter == '⟦';
            let is_kept = !is_mark;
            is_mark &= *letter != '⟧';
            is_kept
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Pair;
    use crate::ports::Item;

    fn pack(n_items: usize) -> Pack {
        Pack {
            max_tokens: None,
            guide: None,
            pair: Pair {
                source: None,
                target: "es".parse().expect("a tag"),
            },
            items: (0..n_items)
                .map(|number| Item {
                    id: number.to_string().into(),
                    text: format!("text ⟦0⟧ {number}").into(),
                    context: None,
                })
                .collect(),
        }
    }

    #[actix_rt::test]
    async fn faults_come_in_the_order_of_the_script() {
        let provider = FakeProvider::new();
        provider.then(ProviderFault::Missing(0));
        provider.then_well();
        provider.always(Some(ProviderFault::Unmarked));
        let second = Duration::from_secs(1);

        let answers = [
            provider
                .translate(&pack(2), second)
                .await
                .expect("an answer"),
            provider
                .translate(&pack(2), second)
                .await
                .expect("an answer"),
            provider
                .translate(&pack(1), second)
                .await
                .expect("an answer"),
        ];

        assert_eq!(answers[0].items.len(), 1);
        assert_eq!(answers[1].items[1].text, "[es] text ⟦0⟧ 1");
        assert_eq!(answers[2].items[0].text, "[es] text  0");
        assert_eq!((provider.n_calls(), provider.n_texts()), (3, 5));
    }

    #[test]
    fn a_hanging_call_ends_at_its_timeout_in_virtual_time() {
        let runtime = || {
            let mut builder = tokio::runtime::Builder::new_current_thread();
            builder
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a runtime")
        };
        actix_rt::System::with_tokio_rt(runtime).block_on(async {
            let provider = FakeProvider::new();
            provider.then(ProviderFault::Hang);
            let begun = tokio::time::Instant::now();
            let answer = provider.translate(&pack(1), Duration::from_secs(60)).await;
            assert!(matches!(answer, Err(ProviderError::Unanswered { .. })));
            assert_eq!(begun.elapsed(), Duration::from_secs(60));
        });
    }
}
