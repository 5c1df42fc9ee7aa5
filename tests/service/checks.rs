//! What a provider says that is no translation is asked for again, and goes to nobody but a person.

use serde_json::{Value, json};

use crate::harness::{Program, until};
use crate::simulators::provider::{Dialect, Fault, ProviderSimulator};

const TEXT: &str = "We are going to the beach with @ann and you are not.";
const GOOD: &str = "Vamos a la playa con ⟦0⟧ y vosotros no.";
const PUBLISHED: &str = "Vamos a la playa con @ann y vosotros no.";

/// The ways in which a model does not translate, with the reason that it is told.
const WAYS: [(Fault, &str); 5] = [
    (Fault::Echo, "it was the text itself"),
    (
        Fault::Says("Lo siento, no puedo ayudar con ⟦0⟧."),
        "it was a refusal",
    ),
    (
        Fault::Says("Aquí está la traducción: Vamos a la playa con ⟦0⟧."),
        "words about the translation stood before it",
    ),
    (
        Fault::Says("Vamos a la playa con ⟦0⟧ y vosotros no.\n\nNota: traducción libre."),
        "a note of the translator stood in it",
    ),
    (
        Fault::Says("Vamos a la playa y vosotros no."),
        "missing: ⟦0⟧",
    ),
];

/// A program as it ships, but for a provider and an outlet that keeps what it says.
fn program(simulator: &ProviderSimulator, hold: &str) -> Program {
    Program::started(&format!(
        "[[provider]]\nname = \"model\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{}\"\n\
         [[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n\
         hold = \"{hold}\"\n",
        simulator.base_url(Dialect::OpenAi)
    ))
}

fn publish(program: &Program) -> Value {
    let body = json!({"text": TEXT, "source": "en", "targets": ["es"], "publish": true});
    program.final_task(&program.submit(&body))
}

/// The last question that the provider was asked.
fn last_question(simulator: &ProviderSimulator) -> Value {
    let call = simulator.calls().pop().expect("a call");
    let messages = call.body["messages"].as_array().cloned().expect("messages");
    let content = messages.last().and_then(|last| last["content"].as_str());
    serde_json::from_str(content.expect("a question")).expect("JSON")
}

#[test]
fn a_model_that_is_told_what_was_wrong_does_better() {
    for (fault, why) in WAYS {
        let simulator = ProviderSimulator::start();
        let program = program(&simulator, "never");
        simulator.then(fault.clone());
        simulator.always(Some(Fault::Says(GOOD)));

        let task = publish(&program);

        assert_eq!(task["result"]["text"], PUBLISHED, "{fault:?}");
        assert_eq!(simulator.n_calls(), 2, "{fault:?}");
        let remark = last_question(&simulator)["remark"].to_string();
        assert!(remark.contains(why), "{remark}");
        let published = program.published("es.jsonl");
        assert_eq!(published.len(), 1);
        assert_eq!(published[0]["text"], PUBLISHED);
    }
}

#[test]
fn what_no_model_translates_is_never_published() {
    for (fault, _) in WAYS {
        let is_torn = !matches!(&fault, Fault::Echo) && !format!("{fault:?}").contains('⟦');
        let simulator = ProviderSimulator::start();
        let program = program(&simulator, "never");
        simulator.always(Some(fault.clone()));

        let task = publish(&program);

        if is_torn {
            // Only a person can say where the mention belongs.
            assert_eq!(task["publications"][0]["state"], "Held", "{task}");
        } else {
            assert_eq!(task["state"], "Failed", "{task}");
            assert_eq!(task["error"]["kind"], "checks", "{task}");
        }
        let metrics = program.get("/v1/metrics").json().to_string();
        assert!(metrics.contains("\"checks."), "{metrics}");
        assert!(program.published("es.jsonl").is_empty(), "{fault:?}");
    }
}

#[test]
fn a_person_mends_what_is_held_with_its_reason() {
    for (fault, why) in WAYS {
        let simulator = ProviderSimulator::start();
        let program = program(&simulator, "doubtful");
        simulator.always(Some(fault));

        let task = publish(&program);

        let held = &task["publications"][0];
        assert_eq!(held["state"], "Held", "{task}");
        let told = held["why"].as_str().expect("a reason");
        assert!(told.contains(why), "{told}");
        let id = held["id"].as_str().expect("an id");
        program.run(&["approve", id, "--text", PUBLISHED]).well();
        until("it is published", || {
            (program.published("es.jsonl").len() == 1).then_some(())
        });
        assert_eq!(program.published("es.jsonl")[0]["text"], PUBLISHED);
    }
}

#[test]
fn switched_off_checks_let_everything_pass() {
    let simulator = ProviderSimulator::start();
    let mut program = Program::new(&format!(
        "{}[[provider]]\nname = \"model\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{}\"\n",
        crate::harness::UNCHECKED,
        simulator.base_url(Dialect::OpenAi)
    ));
    program.start();
    simulator.always(Some(Fault::Echo));
    let id = program.submit(&json!({"text": TEXT, "source": "en", "targets": ["es"]}));
    assert_eq!(program.final_task(&id)["result"]["text"], TEXT);
}

#[test]
fn a_source_in_its_outlets_language_is_published_as_it_is_or_skipped() {
    let simulator = ProviderSimulator::start();
    let outlet = |name: &str, same: &str| {
        format!(
            "[[outlet]]\nname = \"{name}\"\nkind = \"file\"\npath = \"{name}.jsonl\"\n\
             language = \"pt-BR\"\nsame = \"{same}\"\n"
        )
    };
    let program = Program::started(&format!(
        "[[provider]]\nname = \"model\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{}\"\n\
         [[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.txt\"\nevery = \"1s\"\n\
         language = \"pt\"\n{}{}",
        simulator.base_url(Dialect::OpenAi),
        outlet("as-is", "publish"),
        outlet("skipped", "skip"),
    ));
    program.write("notes.txt", "Bom dia a todos\n");

    until("it is published", || {
        (program.published("as-is.jsonl").len() == 1).then_some(())
    });
    assert_eq!(
        program.published("as-is.jsonl")[0]["text"],
        "Bom dia a todos"
    );
    assert!(program.published("skipped.jsonl").is_empty());
    assert_eq!(simulator.n_calls(), 0);
}
