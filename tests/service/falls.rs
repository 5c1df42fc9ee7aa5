//! What the built program does when an actor falls.
#![cfg(feature = "failpoints")]

use serde_json::json;

use crate::harness::{Program, until};
use crate::patient::Patient;

#[test]
fn six_falls_of_one_actor_in_a_minute_end_the_process_with_70() {
    let mut program = Program::new(
        "[[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.txt\"\nevery = \"1s\"\n\
         [[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n",
    );
    program.write("notes.txt", "Good day\n");
    program.set("BABELFEED_FAIL_POINT", "monitor.timer=6");
    program.spawn();

    let status = program.ended();

    assert_eq!(status.code(), Some(70));
    assert_eq!(program.n_logged("an actor fell"), 5);
    assert_eq!(program.n_logged("an actor falls again and again"), 1);
}

#[test]
fn a_fall_costs_nothing_but_a_moment() {
    let patient = Patient::start(0, 0);
    let mut program = Program::new(&patient.settings());
    program.set("BABELFEED_FAIL_POINT", "task_manager.ended=1");
    program.start();
    let id = program.submit(&json!({"text": "Good day", "targets": ["es"]}));

    let request = until("the task is final", || {
        let request = program.request(&id);
        (request["tasks"][0]["state"] == "Completed").then_some(request)
    });

    assert_eq!(
        request["tasks"][0]["result"]["cached"].as_bool(),
        Some(true)
    );
    assert!(program.n_logged("an actor fell") >= 1);
}
