//! Makes calls to providers, and checks what comes back text by text.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler, Recipient, ResponseFuture, Supervised};
use foldhash::HashMap;
use futures_util::FutureExt;
use log::{debug, error};

use crate::domain::{Failure, FailureKind, ProviderName, Tokens, Translation, Usage};
use crate::failpoints;
use crate::logic::answers::Broken;
use crate::logic::checks::Checks;
use crate::logic::glossary::Wishes;
use crate::logic::landing::{Exam, Flaw, Landed, Sound, land};
use crate::logic::price::usd;
use crate::messages::{
    CallEnd, Insert, ItemEnd, Job, JobItem, Operation, Permit, Record, Rendered, Translate,
    Trouble, Verdict,
};
use crate::ports::{
    Answer, Clock, Item, Pack, Provider, ProviderError, ProviderRemedy, Translated,
};

/// A call that has not ended so long after its time is cut off from outside.
const GRACE: Duration = Duration::from_secs(1);

/// A provider as a translator uses it.
pub struct Callee {
    /// Its name.
    pub name: ProviderName,
    /// The adapter, which lives on the translator's arbiter.
    pub provider: Box<dyn Provider>,
    /// US dollars per million tokens, in and out.
    pub price: (f64, f64),
    /// Where its calls are counted.
    pub operation: Operation,
}

/// Owns the clients of one arbiter.
pub struct TranslatorActor {
    callees: HashMap<ProviderName, Rc<Callee>>,
    tools: Rc<Tools>,
}

/// What every call needs.
struct Tools {
    clock: Arc<dyn Clock>,
    cache: Recipient<Insert>,
    metrics: Recipient<Record>,
    checks: Checks,
}

impl TranslatorActor {
    /// A translator that can call these providers, and makes these checks on what they answer.
    pub fn new(
        clock: Arc<dyn Clock>,
        cache: Recipient<Insert>,
        metrics: Recipient<Record>,
        callees: Vec<Callee>,
        checks: Checks,
    ) -> Self {
        let callees = callees
            .into_iter()
            .map(|callee| (callee.name.clone(), Rc::new(callee)))
            .collect();
        Self {
            callees,
            tools: Rc::new(Tools {
                clock,
                cache,
                metrics,
                checks,
            }),
        }
    }
}

impl Actor for TranslatorActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
        failpoints::hit("translator.started");
    }
}

/// Calls in flight are no part of the actor, so a fall has nothing to rebuild.
impl Supervised for TranslatorActor {}

impl Handler<Translate> for TranslatorActor {
    type Result = ResponseFuture<CallEnd>;

    fn handle(&mut self, Translate(job): Translate, _: &mut Self::Context) -> Self::Result {
        failpoints::hit("translator.handler");
        let Some(callee) = self.callees.get(&job.provider) else {
            let error = ProviderError::Unsupported {
                detail: format!("`{}` is no provider of this translator", job.provider),
            };
            return Box::pin(std::future::ready(nothing(job.items, error)));
        };
        let call = Call {
            callee: Rc::clone(callee),
            tools: Rc::clone(&self.tools),
        };
        Box::pin(call.run(job))
    }
}

/// One call and what it needs.
struct Call {
    callee: Rc<Callee>,
    tools: Rc<Tools>,
}

impl Call {
    async fn run(self, job: Job) -> CallEnd {
        let Job {
            pair,
            guide,
            items,
            permit,
            timeout,
            max_tokens,
            ..
        } = job;
        let pack = Pack {
            pair,
            items: items.iter().enumerate().map(pack_item).collect(),
            max_tokens,
            guide,
        };
        let begun = self.tools.clock.now();
        let outcome = self.call(&pack, timeout).await;
        let record = Record {
            operation: self.callee.operation.clone(),
            took: self.tools.clock.now().since(begun),
            is_error: match &outcome {
                Ok(answer) => answer.error.is_some(),
                Err(_) => true,
            },
        };
        let end = match outcome {
            Ok(answer) => self.accept(&pack, items, answer, permit),
            Err(error) => {
                debug!(provider:% = self.callee.name, cause:% = error; "a call brought nothing");
                permit.settle(verdict(&error), self.callee.provider.take_seen());
                refused(items, error)
            }
        };
        self.tools.metrics.do_send(record);
        end
    }

    /// The provider's answer; a panic and a call that does not end are errors like others.
    async fn call(&self, pack: &Pack, timeout: Duration) -> Result<Answer, ProviderError> {
        let call = async {
            failpoints::hit("translator.call");
            self.callee.provider.translate(pack, timeout).await
        };
        let call = AssertUnwindSafe(call).catch_unwind();
        match tokio::time::timeout(timeout + GRACE, call).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => {
                error!(provider:% = self.callee.name; "a call panicked");
                Err(unanswered("the call panicked"))
            }
            Err(_) => Err(unanswered("the call did not end in its time")),
        }
    }

    /// Keeps what is provably right: matched by id, with every protected span, and as wanted.
    ///
    /// Who waits for a text is answered first: all else that follows from a call would be waited
    /// for with it.
    fn accept(&self, pack: &Pack, items: Vec<JobItem>, answer: Answer, permit: Permit) -> CallEnd {
        let charged = answer.charged();
        let usage = answer.usage;
        let tokens = usage.map(Usage::tokens);
        let cost_usd = tokens.map(|tokens| usd(tokens, self.callee.price));
        let (verdict, part_usd) = match answer.error.as_ref().map(verdict) {
            None | Some(Verdict::Answered { .. }) => (Verdict::Answered { tokens, cost_usd }, 0.0),
            // Counted as a whole, since nobody knows what became of the rest.
            Some(Verdict::Unanswered) => (Verdict::Unanswered, 0.0),
            Some(failed) => (failed, cost_usd.unwrap_or_default()),
        };
        // Told when all is done here, or when a check panics over what has been paid.
        let _settling = permit.settling(verdict, part_usd, self.callee.provider.take_seen());
        let texts = items.iter().map(|item| Arc::clone(&item.text));
        let ids = pack.items.iter().map(|item| Arc::clone(&item.id));
        let sent: Vec<_> = ids.zip(texts).collect();
        let answered = answer.items.into_iter();
        let answered = answered.map(|Translated { id, text }| (id, text));
        let took = Usage {
            cost_usd: cost_usd.unwrap_or_default(),
            ..usage.unwrap_or_default()
        };
        let wishes = Wishes::of(
            pack.guide.as_deref(),
            pack.items.iter().map(|item| &*item.text),
        );
        let exam = Exam {
            checks: match &pack.guide {
                Some(guide) if guide.budget.is_some() => self.tools.checks.without_length(),
                _ => self.tools.checks,
            },
            pair: &pack.pair,
            wishes: &wishes,
        };
        let landed = land(&sent, answered, (charged.ending, took), exam);
        let mut known = Vec::with_capacity(items.len());
        let mut ends = Vec::with_capacity(items.len());
        for (mut item, Landed { text, usage }) in items.into_iter().zip(landed) {
            let translation = |text| Translation {
                text,
                provider: self.callee.name.clone(),
                model: Arc::clone(&answer.model),
                cached: false,
                usage,
            };
            let Sound { text, restored } = match text {
                Ok(sound) => sound,
                Err(Flaw::Broken(Broken::Missing)) if answer.error.is_some() => {
                    ends.push(not_made(item));
                    continue;
                }
                Err(Flaw::Broken(broken)) => {
                    ends.push(troubled(item, trouble(broken)));
                    continue;
                }
                Err(Flaw::Faulty { text, fault }) => {
                    let translation = Arc::new(translation(text));
                    ends.push(troubled(item, Trouble::Doubtful { fault, translation }));
                    continue;
                }
            };
            let restored: Arc<str> = restored.into();
            if let Some(awaited) = item.awaited.take() {
                awaited.answer(translation(Arc::clone(&restored)));
            }
            let translation = Arc::new(translation(text));
            if let Some(leadership) = item.duty.take() {
                known.push((leadership, Ok(Arc::clone(&translation))));
            }
            ends.push(ItemEnd {
                token: item.token,
                result: Some(Ok(Rendered {
                    translation,
                    restored,
                })),
                duty: None,
            });
        }
        if !known.is_empty() {
            self.tools.cache.do_send(Insert(known));
        }
        CallEnd {
            items: ends,
            error: answer.error,
            charged: Some(charged),
        }
    }
}

fn pack_item((index, item): (usize, &JobItem)) -> Item {
    Item {
        id: (index + 1).to_string().into(),
        text: Arc::clone(&item.text.skeleton),
        context: item.context.clone(),
    }
}

const fn trouble(broken: Broken) -> Trouble {
    match broken {
        Broken::Missing => Trouble::Broken("no text came back for its id"),
        Broken::Doubled => Trouble::Broken("several texts came back for its id"),
        Broken::Empty => Trouble::Broken("an empty text came back for its id"),
        Broken::Merged => Trouble::Broken("its text may hold the missing one beside it"),
        Broken::Cut => Trouble::Cut,
    }
}

fn troubled(item: JobItem, trouble: Trouble) -> ItemEnd {
    ItemEnd {
        token: item.token,
        result: Some(Err(trouble)),
        duty: Some(item.duty),
    }
}

fn unanswered(detail: &str) -> ProviderError {
    ProviderError::Unanswered {
        detail: detail.to_owned(),
    }
}

/// A call that brought nothing; what was refused alone in its call is refused by name.
fn refused(items: Vec<JobItem>, error: ProviderError) -> CallEnd {
    let kind = match &error {
        ProviderError::Rejected { .. } => FailureKind::Rejected,
        ProviderError::Invalid { .. } => FailureKind::Invalid,
        ProviderError::TooLarge { .. } => FailureKind::TooLarge,
        _ => return nothing(items, error),
    };
    if items.len() > 1 {
        return nothing(items, error);
    }
    let failure = Failure {
        kind,
        detail: error.to_string().into(),
    };
    let mut end = nothing(items, error);
    for item in &mut end.items {
        item.result = Some(Err(Trouble::Refused(failure.clone())));
    }
    end
}

fn nothing(items: Vec<JobItem>, error: ProviderError) -> CallEnd {
    CallEnd {
        items: items.into_iter().map(not_made).collect(),
        error: Some(error),
        charged: None,
    }
}

fn not_made(item: JobItem) -> ItemEnd {
    ItemEnd {
        token: item.token,
        result: None,
        duty: Some(item.duty),
    }
}

/// What a failed call says of its lane.
fn verdict(error: &ProviderError) -> Verdict {
    match (error, error.remedy()) {
        (ProviderError::Unreachable { .. }, _) => Verdict::Unreachable,
        (ProviderError::QuotaExhausted { wait, .. }, _) => Verdict::Exhausted { wait: *wait },
        // What is larger than a window was not counted in it, and no wait makes it smaller.
        (ProviderError::TooLarge { .. }, _) => Verdict::Answered {
            tokens: Some(Tokens::default()),
            cost_usd: Some(0.0),
        },
        (ProviderError::Unanswered { .. }, _) => Verdict::Unanswered,
        // A model that refuses has read the text, and nothing says what that costs.
        (ProviderError::Rejected { .. }, _) => Verdict::Answered {
            tokens: None,
            cost_usd: None,
        },
        (_, ProviderRemedy::Park(wait)) => Verdict::Bounced { wait },
        (_, ProviderRemedy::Retry(wait)) => Verdict::Failed { wait },
        (_, ProviderRemedy::ParkForPerson) => Verdict::Person,
        (_, ProviderRemedy::Split | ProviderRemedy::OtherProvider) => Verdict::Answered {
            tokens: None,
            cost_usd: Some(0.0),
        },
    }
}
