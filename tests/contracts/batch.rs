//! The contract of the port for jobs, passed by its fake and by every adapter.

use std::sync::Arc;
use std::time::Duration;

use babelfeed::providers::gemini::GeminiConfig;
use babelfeed::providers::gemini::batch::GeminiBatch;
use babelfeed::providers::openai::OpenAiConfig;
use babelfeed::providers::openai::batch::OpenAiBatch;
use babelfeed::secret::Secret;
use babelfeed_actors::domain::{Pair, Timestamp};
use babelfeed_actors::ports::{
    Answer, BatchAnswers, BatchCall, BatchProgress, BatchProvider, Item, Pack, ProviderError,
    ProviderRemedy,
};
use babelfeed_actors::testkit::batch::{self as fake, FakeBatchProvider};

use serde_json::{Value, json};

use crate::simulators::batch::{Api, BatchSimulator, CreateFault, Ending};

const LONG: Duration = Duration::from_secs(20);
/// 2026-11-21, before any job of a simulator.
const LONG_AGO: Timestamp = Timestamp::from_millis(1_795_262_700_000);

/// A provider of jobs with the means to trouble it.
enum Subject {
    Fake(FakeBatchProvider),
    Adapter(Api, BatchSimulator, Box<dyn BatchProvider>),
}

impl Subject {
    fn all() -> Vec<Self> {
        let adapters = [Api::OpenAi, Api::Gemini].into_iter().map(Self::adapter);
        let fake = FakeBatchProvider::over_after(usize::MAX);
        adapters.chain([Self::Fake(fake)]).collect()
    }

    fn adapter(api: Api) -> Self {
        let simulator = BatchSimulator::start();
        let (base_url, api_key) = (simulator.base_url(api), Some(Secret::new("key")));
        let provider: Box<dyn BatchProvider> = match api {
            Api::OpenAi => {
                let config = OpenAiConfig {
                    api_key,
                    ..OpenAiConfig::new(&base_url, "m")
                };
                Box::new(OpenAiBatch::new(config, LONG).expect("an address"))
            }
            Api::Gemini => {
                let config = GeminiConfig {
                    api_key,
                    ..GeminiConfig::new(&base_url, "m")
                };
                Box::new(GeminiBatch::new(config, LONG).expect("an address"))
            }
        };
        Self::Adapter(api, simulator, provider)
    }

    fn name(&self) -> String {
        match self {
            Self::Fake(_) => "Fake".to_owned(),
            Self::Adapter(api, ..) => format!("{api:?}"),
        }
    }

    fn provider(&self) -> &dyn BatchProvider {
        match self {
            Self::Fake(fake) => fake,
            Self::Adapter(_, _, provider) => &**provider,
        }
    }

    fn n_jobs(&self) -> usize {
        match self {
            Self::Fake(fake) => fake.n_jobs(),
            Self::Adapter(_, simulator, _) => simulator.n_jobs(),
        }
    }

    /// Has the answer to the next creation be lost.
    fn lose_reply(&self) {
        match self {
            Self::Fake(fake) => fake.then(fake::CreateFault::Lost),
            Self::Adapter(_, simulator, _) => simulator.then(CreateFault::LoseReply),
        }
    }

    /// Has all jobs be over, in this manner.
    fn finish(&self, ending: Ending) {
        match self {
            Self::Fake(fake) => {
                fake.set_looks(0);
                fake.end(match ending {
                    Ending::Well => fake::Ending::Well,
                    Ending::Expired => fake::Ending::Expired(1),
                    Ending::Failed | Ending::Cancelled => fake::Ending::Failed,
                    Ending::FirstRefused => fake::Ending::FirstRefused,
                    Ending::OutOfRoom => fake::Ending::Cut,
                    Ending::FormRefused | Ending::FormRefusedNamelessly => {
                        unreachable!("the fake has no form")
                    }
                });
            }
            Self::Adapter(_, simulator, _) => simulator.finish(ending),
        }
    }

    async fn create(&self) -> Arc<str> {
        let created = self.provider().create("mark-1", &calls()).await;
        created.unwrap_or_else(|error| panic!("{}: {error}", self.name()))
    }

    /// What came of a job that is over.
    async fn answers(&self, remote: &str) -> BatchAnswers {
        match self.provider().look(remote).await {
            Ok(BatchProgress::Over(answers)) => answers,
            other => panic!("{}: {other:?}", self.name()),
        }
    }
}

/// Three calls of two texts each.
fn calls() -> Vec<BatchCall> {
    let item = |call: usize, id: usize| Item {
        id: id.to_string().into(),
        text: format!("Text \"{call}\" ⟦0⟧\nwith the number {id}").into(),
        context: None,
    };
    (1..=3)
        .map(|call| BatchCall {
            key: call.to_string().into(),
            pack: Pack {
                pair: Pair {
                    source: None,
                    target: "es".parse().expect("a tag"),
                },
                items: vec![item(call, 1), item(call, 2)],
                max_tokens: None,
                guide: None,
            },
        })
        .collect()
}

/// The answer to the call of that key.
fn answer<'a>(answers: &'a BatchAnswers, key: &str) -> Option<&'a Result<Answer, ProviderError>> {
    let mut found = answers.answers.iter().filter(|(other, _)| &**other == key);
    let answer = found.next().map(|(_, answer)| answer);
    assert!(found.next().is_none(), "key {key} twice");
    answer
}

#[actix_rt::test]
async fn every_call_of_a_job_is_answered_under_its_key() {
    for subject in Subject::all() {
        let name = subject.name();
        let remote = subject.create().await;
        let running = subject.provider().look(&remote).await;
        assert_eq!(running, Ok(BatchProgress::Running), "{name}");
        subject.finish(Ending::Well);

        let answers = subject.answers(&remote).await;

        assert_eq!((answers.answers.len(), &answers.why), (3, &None), "{name}");
        for call in calls() {
            let answer = answer(&answers, &call.key).expect("an answer");
            let answer = answer.as_ref().expect("translations");
            for (item, translated) in call.pack.items.iter().zip(&answer.items) {
                assert_eq!(translated.id, item.id, "{name}");
                assert_eq!(translated.text, format!("[es] {}", item.text), "{name}");
            }
            assert!(
                answer.usage.is_some_and(|usage| usage.tokens_in > 0),
                "{name}"
            );
        }
    }
}

#[actix_rt::test]
async fn a_job_is_found_by_its_mark_among_others() {
    for subject in Subject::all() {
        let (name, provider) = (subject.name(), subject.provider());
        subject.lose_reply();

        let created = provider.create("mark-1", &calls()).await;

        let remedy = created.as_ref().map_err(ProviderError::remedy);
        assert_eq!(remedy, Err(ProviderRemedy::Retry(None)), "{name}");
        assert_eq!(provider.find("mark-2", LONG_AGO).await, Ok(None), "{name}");
        let found = provider.find("mark-1", LONG_AGO).await.expect("a list");
        let found = found.unwrap_or_else(|| panic!("{name}: not found"));
        assert_eq!(subject.n_jobs(), 1, "{name}");
        subject.finish(Ending::Well);
        assert_eq!(subject.answers(&found).await.answers.len(), 3, "{name}");
    }
}

#[actix_rt::test]
async fn a_job_that_ended_badly_says_why_and_keeps_what_was_done() {
    for subject in Subject::all() {
        let name = subject.name();
        let remote = subject.create().await;
        for (ending, n_answered) in [
            (Ending::Expired, 1),
            (Ending::Failed, 0),
            (Ending::Cancelled, 0),
        ] {
            subject.finish(ending);
            let answers = subject.answers(&remote).await;
            assert!(answers.why.is_some(), "{name} {ending:?}");
            let good = answers.answers.iter().filter(|(_, answer)| answer.is_ok());
            assert_eq!(good.count(), n_answered, "{name} {ending:?}");
            let mut bad = answers.answers.iter().filter_map(|it| it.1.as_ref().err());
            let is_free = bad.all(|error| matches!(error, ProviderError::Transient { .. }));
            assert!(is_free && !answers.may_lack_answers, "{name} {ending:?}");
        }
    }
}

#[actix_rt::test]
async fn a_refused_call_costs_the_others_nothing() {
    for subject in Subject::all() {
        let name = subject.name();
        let remote = subject.create().await;
        subject.finish(Ending::FirstRefused);
        let answers = subject.answers(&remote).await;
        let first = answer(&answers, "1").expect("an answer");
        assert!(
            matches!(first, Err(ProviderError::Rejected { .. })),
            "{name}: {first:?}"
        );
        assert!(answer(&answers, "2").is_some_and(Result::is_ok), "{name}");
        assert!(answer(&answers, "3").is_some_and(Result::is_ok), "{name}");
    }
}

#[actix_rt::test]
async fn calls_that_had_no_room_for_an_answer_were_cut_and_keep_their_bound() {
    for api in [Api::OpenAi, Api::Gemini] {
        let subject = Subject::adapter(api);
        let Subject::Adapter(_, simulator, _) = &subject else {
            unreachable!("it is an adapter");
        };
        let remote = subject.create().await;
        let bound = simulator.last_bound();
        subject.finish(Ending::OutOfRoom);

        let answers = subject.answers(&remote).await;

        assert_eq!(answers.answers.len(), 3, "{api:?}");
        for (_, answer) in &answers.answers {
            let answer = answer.as_ref().expect("a cut answer");
            assert!(answer.is_truncated && answer.items.is_empty(), "{api:?}");
        }
        subject.create().await;
        // Gemini tells that it thought, OpenAI does not.
        let more = if api == Api::Gemini { 4_096 } else { 0 };
        let most = bound.map(|bound| bound + more);
        assert!(most.is_some(), "{api:?}");
        assert_eq!(simulator.last_bound(), most, "{api:?}");
    }
}

#[actix_rt::test]
async fn a_job_that_nobody_knows_is_over() {
    for subject in Subject::all() {
        let answers = subject.answers("9999").await;
        assert!(
            answers.why.is_some() && answers.answers.is_empty() && answers.may_lack_answers,
            "{}",
            subject.name()
        );
        let discarded = subject.provider().discard("9999").await;
        assert_eq!(discarded, Ok(()), "{}", subject.name());
    }
}

#[actix_rt::test]
async fn a_refusal_says_what_is_to_be_done_and_makes_no_job() {
    for api in [Api::OpenAi, Api::Gemini] {
        let Subject::Adapter(_, simulator, provider) = Subject::adapter(api) else {
            unreachable!("it is an adapter");
        };
        for (fault, remedy) in [
            (CreateFault::Limited, ProviderRemedy::Park(None)),
            (CreateFault::BadKey, ProviderRemedy::ParkForPerson),
            (CreateFault::Overloaded, ProviderRemedy::Retry(None)),
        ] {
            simulator.then(fault.clone());
            let created = provider.create("mark-1", &calls()).await;
            let created = created.map_err(|error| error.remedy());
            assert_eq!(created, Err(remedy), "{api:?} {fault:?}");
        }
        assert_eq!(simulator.n_jobs(), 0);
    }
}

#[actix_rt::test]
async fn a_file_that_was_not_taken_tells_that_there_is_no_job() {
    let Subject::Adapter(_, simulator, provider) = Subject::adapter(Api::OpenAi) else {
        unreachable!("it is an adapter");
    };
    simulator.then(CreateFault::NoFile);
    let created = provider.create("mark-1", &calls()).await;
    let remedy = created.map_err(|error| error.remedy());
    assert_eq!(remedy, Err(ProviderRemedy::Park(None)));
    assert_eq!(simulator.n_jobs(), 0);
}

#[actix_rt::test]
async fn nothing_is_left_of_a_job_that_is_discarded() {
    for api in [Api::OpenAi, Api::Gemini] {
        let subject = Subject::adapter(api);
        let remote = subject.create().await;
        subject.finish(Ending::Well);
        subject.answers(&remote).await;

        subject
            .provider()
            .discard(&remote)
            .await
            .expect("discarded");

        let Subject::Adapter(_, simulator, _) = &subject else {
            unreachable!("it is an adapter");
        };
        let (n_files, n_jobs) = simulator.n_left();
        assert_eq!(n_files, 0, "{api:?}");
        // OpenAI deletes no jobs.
        assert_eq!(n_jobs, usize::from(api == Api::OpenAi), "{api:?}");
    }
}

#[actix_rt::test]
async fn a_job_that_is_discarded_while_it_runs_is_cancelled() {
    for api in [Api::OpenAi, Api::Gemini] {
        let subject = Subject::adapter(api);
        let remote = subject.create().await;
        subject
            .provider()
            .discard(&remote)
            .await
            .expect("discarded");
        let Subject::Adapter(_, simulator, _) = &subject else {
            unreachable!("it is an adapter");
        };
        assert_eq!(simulator.n_cancelled(), 1, "{api:?}");
    }
}

#[actix_rt::test]
async fn calls_that_were_refused_for_one_field_make_the_next_plainer_by_one_step() {
    for (api, form, thinking) in [
        (Api::OpenAi, json!("json_object"), Value::Null),
        (Api::Gemini, Value::Null, json!({"thinkingLevel": "LOW"})),
    ] {
        let subject = Subject::adapter(api);
        let remotes = [subject.create().await, subject.create().await];
        subject.finish(Ending::FormRefused);
        for remote in remotes {
            let answers = subject.answers(&remote).await;
            assert!(answers.answers.iter().all(|(_, answer)| answer.is_err()));
        }

        subject.create().await;

        let Subject::Adapter(_, simulator, _) = &subject else {
            unreachable!("it is an adapter");
        };
        assert_eq!(simulator.last_form(), (form, thinking), "{api:?}");
    }
}

#[actix_rt::test]
async fn calls_that_were_refused_without_a_word_let_the_next_think_unless_it_was_for_their_texts() {
    let (off, low) = (
        json!({"thinkingBudget": 0}),
        json!({"thinkingLevel": "LOW"}),
    );
    let calls = calls();
    for (was_answered, calls, thinking) in [
        (false, &calls[..], &low),
        (false, &calls[..1], &off),
        (true, &calls[..], &off),
    ] {
        let subject = Subject::adapter(Api::Gemini);
        if was_answered {
            let remote = subject.create().await;
            subject.finish(Ending::Well);
            subject.answers(&remote).await;
        }
        let remote = subject.provider().create("mark-2", calls).await;
        subject.finish(Ending::FormRefusedNamelessly);
        let answers = subject.answers(&remote.expect("a job")).await;
        assert!(answers.answers.iter().all(|(_, answer)| answer.is_err()));

        subject.create().await;

        let Subject::Adapter(_, simulator, _) = &subject else {
            unreachable!("it is an adapter");
        };
        let n_calls = calls.len();
        assert_eq!(
            simulator.last_form().1,
            *thinking,
            "{was_answered} {n_calls}"
        );
    }
}

#[actix_rt::test]
async fn a_job_whose_file_is_gone_tells_that_answers_may_be_lacking() {
    for api in [Api::OpenAi, Api::Gemini] {
        let subject = Subject::adapter(api);
        let remote = subject.create().await;
        if let Subject::Adapter(_, simulator, _) = &subject {
            simulator.put_answers_in_a_file();
            simulator.lose_files();
        }
        subject.finish(Ending::Well);
        let answers = subject.answers(&remote).await;
        assert!(answers.answers.is_empty(), "{api:?}");
        assert!(answers.may_lack_answers, "{api:?}");
    }
}

#[actix_rt::test]
async fn answers_in_a_file_are_matched_by_their_keys() {
    let subject = Subject::adapter(Api::Gemini);
    let remote = subject.create().await;
    if let Subject::Adapter(_, simulator, _) = &subject {
        simulator.put_answers_in_a_file();
    }
    subject.finish(Ending::Well);
    let answers = subject.answers(&remote).await;
    for call in calls() {
        let answer = answer(&answers, &call.key).expect("an answer");
        let answer = answer.as_ref().expect("translations");
        assert_eq!(
            answer.items[1].text,
            format!("[es] {}", call.pack.items[1].text)
        );
    }
}
