//! Jobs of the built program, which is killed while they are under way.

use serde_json::{Value, json};

use crate::harness::{Program, UNCHECKED, until};
use crate::simulators::batch::{Api, BatchSimulator, CreateFault, Ending};

const TEXTS: usize = 20;

/// When the service is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kill {
    /// The job exists, and nobody has been told.
    BeforeTheAnswer,
    /// The job is known, and runs.
    WhileItRuns,
}

fn program(api: Api, simulator: &BatchSimulator) -> Program {
    let kind = match api {
        Api::OpenAi => "openai",
        Api::Gemini => "gemini",
    };
    let mut program = Program::new(&format!(
        "{UNCHECKED}[batching]\nmax_batch_size = 10\njob_timeout = \"2s\"\njob_poll = \"200ms\"\n\
         [[provider]]\nname = \"{kind}\"\nkind = \"{kind}\"\nmodel = \"m\"\nbase_url = \"{}\"\n\
         api_key_env = \"PROVIDER_KEY\"\nprice = {{ input = 1.0, output = 2.0 }}\nbatch = true\n",
        simulator.base_url(api)
    ));
    program.set("PROVIDER_KEY", "key-of-this-test");
    program.start();
    program
}

fn hand_in(program: &Program) -> Vec<String> {
    let lines: String = (0..TEXTS)
        .map(|number| {
            let text = format!("A text that can wait, number {number}");
            let body = json!({"text": text, "targets": ["es"], "source": "en", "priority": "low"});
            format!("{body}\n")
        })
        .collect();
    let answers = program.hand_in(lines.as_bytes());
    let ids = answers
        .iter()
        .map(|answer| answer["id"].as_str().expect("an id").to_owned());
    ids.collect()
}

/// The tasks of these requests, all Completed, and what they cost.
fn completed(program: &Program, ids: &[String]) -> (Vec<Value>, f64) {
    let tasks: Vec<Value> = ids.iter().map(|id| program.final_task(id)).collect();
    for task in &tasks {
        assert_eq!(
            (&task["state"], &task["attempts"]),
            (&json!("Completed"), &json!(1)),
            "{task}"
        );
    }
    let cost = tasks
        .iter()
        .filter_map(|task| task["result"]["cost_usd"].as_f64())
        .sum();
    (tasks, cost)
}

#[test]
fn a_killed_service_has_one_job_at_the_provider() {
    for api in [Api::OpenAi, Api::Gemini] {
        for kill in [Kill::BeforeTheAnswer, Kill::WhileItRuns] {
            let simulator = BatchSimulator::start();
            if kill == Kill::BeforeTheAnswer {
                simulator.then(CreateFault::Hold);
            }
            let mut program = program(api, &simulator);
            let ids = hand_in(&program);
            until("the job exists", || (simulator.n_jobs() == 1).then_some(()));
            if kill == Kill::WhileItRuns {
                until("the job is known", || {
                    (program.n_logged("job created") == 1).then_some(())
                });
            }
            program.kill();
            simulator.release();
            program.start();
            simulator.finish(Ending::Well);

            let (_, cost) = completed(&program, &ids);

            assert_eq!(simulator.n_jobs(), 1, "{api:?} {kill:?}");
            assert_eq!(
                (simulator.n_texts(), simulator.n_direct()),
                (TEXTS, 0),
                "{api:?} {kill:?}"
            );
            // Two calls of 1,000 tokens in and 500 out, at half of $1 and $2 a million.
            assert!((cost - 0.002).abs() < 1e-9, "{api:?} {kill:?}: {cost}");
            until("nothing is left", || {
                (simulator.n_left().0 == 0).then_some(())
            });
            program.kill();
            program.start();
            assert_eq!(simulator.n_jobs(), 1, "{api:?} {kill:?}");
        }
    }
}

#[test]
fn a_service_stops_at_once_although_a_job_runs_and_goes_on_with_it() {
    let simulator = BatchSimulator::start();
    let mut program = program(Api::OpenAi, &simulator);
    let ids = hand_in(&program);
    until("the job is known", || {
        (program.n_logged("job created") == 1).then_some(())
    });
    program.stop();
    simulator.finish(Ending::Expired);
    program.start();

    let tasks: Vec<Value> = ids.iter().map(|id| program.final_task(id)).collect();

    let made_at_first = tasks.iter().filter(|task| task["attempts"] == 1);
    assert_eq!(made_at_first.count(), 10);
    assert!(tasks.iter().all(|task| task["state"] == "Completed"));
    assert_eq!((simulator.n_jobs(), simulator.n_direct()), (1, 1));
}
