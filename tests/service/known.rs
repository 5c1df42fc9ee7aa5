//! What is asked once and known afterwards, by the provider's own count.

use std::thread;

use serde_json::json;

use crate::harness::{Program, UNCHECKED, until};
use crate::simulators::provider::{Dialect, ProviderSimulator};

const TEXT: &str = "The same text for everybody.";

fn settings(simulator: &ProviderSimulator, more: &str) -> String {
    let url = simulator.base_url(Dialect::OpenAi);
    format!(
        "{more}{UNCHECKED}[[provider]]\nname = \"model\"\nkind = \"openai\"\nmodel = \"m\"\n\
         base_url = \"{url}\"\n"
    )
}

/// Asks for the same text fifty times at once: half as requests, half by clients who wait.
fn ask_fifty_times(program: &Program) {
    thread::scope(|scope| {
        for number in 0..50 {
            scope.spawn(move || {
                if number % 2 == 0 {
                    let id =
                        program.submit(&json!({"text": TEXT, "targets": ["es"], "source": "en"}));
                    assert_eq!(program.final_task(&id)["state"], "Completed");
                } else {
                    let body = json!({"texts": [TEXT], "target": "es", "source": "en"});
                    let answer = program.post("/v1/translate", &body);
                    assert_eq!(answer.status, 200, "{}", answer.json());
                }
            });
        }
    });
}

#[test]
fn fifty_equal_texts_at_once_are_one_call_and_after_a_restart_none() {
    let simulator = ProviderSimulator::start();
    let mut program = Program::started(&settings(&simulator, ""));
    ask_fifty_times(&program);
    assert_eq!((simulator.n_calls(), simulator.n_texts()), (1, 1));

    program.stop();
    program.start();
    ask_fifty_times(&program);

    assert_eq!((simulator.n_calls(), simulator.n_texts()), (1, 1));
    let cache = program.status()["cache"].clone();
    assert_eq!((&cache["hits"], &cache["misses"]), (&json!(50), &json!(0)));
}

#[test]
fn a_changed_glossary_is_read_by_reload_and_asks_anew() {
    let simulator = ProviderSimulator::start();
    let program = Program::new(&settings(
        &simulator,
        "[translation]\nglossary = \"terms.toml\"\n",
    ));
    let glossary =
        |word: &str| format!("[[language]]\ntarget = \"es\"\nforbidden = [\"{word}\"]\n");
    program.write("terms.toml", &glossary("ordenador"));
    let mut program = program;
    program.start();
    let ask = |program: &Program| {
        let body = json!({"texts": [TEXT], "target": "es", "source": "en"});
        assert_eq!(program.post("/v1/translate", &body).status, 200);
    };
    ask(&program);
    ask(&program);
    assert_eq!(simulator.n_calls(), 1);
    assert!(simulator.calls()[0].body.to_string().contains("ordenador"));

    program.write("terms.toml", &glossary("pantalla"));
    program.run(&["reload"]).well();

    until("the service is built anew", || {
        let n_times = program.n_logged("INFO ready socket=");
        (n_times == 2).then_some(())
    });
    ask(&program);
    assert_eq!(simulator.n_calls(), 2);
    assert!(simulator.calls()[1].body.to_string().contains("pantalla"));
    program.write("terms.toml", "[[language]]\ntarget = 1\n");
    let refused = program.run(&["reload"]);
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("terms.toml:2"), "{}", refused.err);
}

#[test]
fn a_warm_file_is_known_before_anybody_asks_and_delays_nothing() {
    let simulator = ProviderSimulator::start();
    let program = Program::new(&settings(&simulator, "[cache]\nwarm_file = \"warm.txt\"\n"));
    let line = json!({"text": TEXT, "source": "en", "targets": ["es"]});
    program.write("warm.txt", &line.to_string());
    let mut program = program;
    program.start();
    until("it is warm", || {
        (program.n_logged("warmed up") == 1).then_some(())
    });

    let body = json!({"texts": [TEXT], "target": "es", "source": "en"});
    let answer = program.post("/v1/translate", &body).json();

    assert_eq!(answer["translations"][0]["cached"], true, "{answer}");
    assert_eq!(simulator.n_calls(), 1);
}
