//! How a service ends, and what it knows when it begins again.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Program, UNCHECKED, until};
use crate::patient::Patient;
use crate::simulators::server::{Answer, Server};
use crate::simulators::wait::Watched;

fn program(patient: &Patient, drain: &str) -> Program {
    let mut program = Program::new(&format!(
        "[service]\ndrain_timeout = \"{drain}\"\n[translation]\nconcurrency = 2\n\
         [batching]\nmax_batch_size = 1\n{UNCHECKED}{}",
        patient.settings()
    ));
    program.start();
    program
}

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "key": text})
}

/// Where a task stands in the history of a request that is read after a restart.
fn states(task: &Value) -> Vec<&str> {
    let history = task["history"].as_array().expect("a history");
    let states = history.iter().map(|entry| entry["state"].as_str());
    states.map(|state| state.expect("a state")).collect()
}

#[test]
fn a_call_in_flight_is_finished_before_the_service_ends() {
    let patient = Patient::start(0, 0);
    let mut program = program(&patient, "30s");
    patient.hold();
    let in_flight = program.submit(&body("in flight"));
    until("a call is in flight", || {
        (patient.n_waiting() == 1).then_some(())
    });
    let queued = program.submit(&body("queued"));
    program.signal("TERM");
    // The same key again: as long as intake is open, this makes no work of its own.
    let refused = until("intake is closed", || {
        let answer = program.post("/v1/requests", &body("queued"));
        (answer.status == 503).then_some(answer)
    });
    assert!(refused.head.contains("retry-after:"), "{}", refused.head);
    assert_eq!(program.get(&format!("/v1/requests/{queued}")).status, 200);
    patient.release();
    assert_eq!(program.ended().code(), Some(0));
    let n_calls = patient.n_calls();
    patient.hold();
    program.start();

    assert_eq!(program.task(&in_flight)["state"], "Completed");
    assert_eq!(program.task(&in_flight)["attempts"], 1);
    patient.release();
    let task = program.final_task(&queued);
    assert_eq!(task["state"], "Completed");
    assert_eq!(task["attempts"], 1, "{task}");
    assert_eq!(patient.n_calls(), n_calls + 1);
}

#[test]
fn a_call_that_outlasts_the_drain_goes_back_with_its_attempt_returned() {
    let patient = Patient::start(0, 0);
    let mut program = program(&patient, "300ms");
    patient.hold();
    let id = program.submit(&body("slow"));
    until("a call is in flight", || {
        (patient.n_waiting() == 1).then_some(())
    });
    program.signal("INT");
    assert_eq!(program.ended().code(), Some(0));
    patient.release();
    program.start();

    let task = program.final_task(&id);
    assert_eq!(task["state"], "Completed");
    assert_eq!(task["attempts"], 1, "the attempt was given back: {task}");
    assert!(
        states(&task)
            .windows(2)
            .any(|edge| edge == ["Processing", "Queued"]),
        "{task}"
    );
}

#[test]
fn a_call_that_outlasts_the_drain_is_no_publication_on_its_way() {
    let patient = Patient::start(0, 0);
    let mut program = Program::new(&format!(
        "[service]\ndrain_timeout = \"100ms\"\n{UNCHECKED}{}\
         [[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n",
        patient.settings()
    ));
    program.start();
    patient.hold();
    program.submit(&body("slow"));
    until("a call is in flight", || {
        (patient.n_waiting() == 1).then_some(())
    });
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(0));
    patient.release();
    assert_eq!(
        program.n_logged("still on their way"),
        0,
        "{}",
        program.log()
    );
}

/// How a delivery stands.
#[derive(PartialEq, Eq, Debug, Default)]
enum Delivery {
    #[default]
    Expected,
    Here,
    Answered,
}

#[test]
fn a_publication_on_its_way_is_finished_before_once_ends() {
    let patient = Patient::start(0, 0);
    let delivery: Arc<Watched<Delivery>> = Arc::default();
    let served = Arc::clone(&delivery);
    let receiver = Server::start(move |_| {
        served.change(|delivery| *delivery = Delivery::Here);
        served.wait(PATIENCE, |delivery| *delivery == Delivery::Answered);
        Answer::new(200, "text/plain", "").into()
    });
    let mut program = Program::new(&format!(
        "[service]\ndrain_timeout = \"60s\"\n{UNCHECKED}{}\
         [[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.txt\"\nlanguage = \"en\"\n\
         [[outlet]]\nname = \"es\"\nkind = \"webhook\"\nurl_env = \"WEBHOOK\"\nlanguage = \"es\"\n",
        patient.settings()
    ));
    program.set("WEBHOOK", &receiver.base_url());
    program.write("notes.txt", "A note\n");
    let mut once = program.command(&["once", "--json"]);
    once.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut once = once.spawn().expect("the program");
    assert!(delivery.wait(PATIENCE, |delivery| *delivery == Delivery::Here));

    let order = format!("kill -TERM {}", once.id());
    let sent = std::process::Command::new("sh")
        .args(["-c", &order])
        .status();
    assert!(sent.expect("a shell").success());
    let mut log = BufReader::new(once.stderr.take().expect("a log")).lines();
    let is_heard = log.any(|line| line.expect("a line").contains("stopping"));
    assert!(is_heard, "the signal is heard");
    delivery.change(|delivery| *delivery = Delivery::Answered);
    log.for_each(drop);

    let ended = once.wait_with_output().expect("an end");
    let report: Value = serde_json::from_slice(&ended.stdout).expect("a report");
    assert_eq!(report["outlets"][0]["published"], 1, "{report}");
    assert_eq!(report["outlets"][0]["unknown"], 0, "{report}");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    let patient = Patient::start(0, 0);
    let mut program = program(&patient, "60s");
    patient.hold();
    let id = program.submit(&body("slow"));
    until("a call is in flight", || {
        (patient.n_waiting() == 1).then_some(())
    });
    program.signal("TERM");
    until("the first signal is heard", || {
        (program.n_logged("stopping") > 0).then_some(())
    });
    program.signal("TERM");
    assert_eq!(program.ended().code(), Some(1));
    patient.release();
    program.start();
    assert_eq!(program.final_task(&id)["state"], "Completed");
}

#[test]
fn a_deadline_passes_while_the_service_is_down() {
    let patient = Patient::start(0, 0);
    let mut program = program(&patient, "300ms");
    patient.hold();
    let mut urgent = body("urgent");
    urgent["deadline_ms"] = 1500.into();
    let id = program.submit(&urgent);
    // It counts from acceptance, which was not after the answer.
    let due = SystemTime::now() + Duration::from_millis(1500);
    let mut patient_one = body("patient");
    patient_one["deadline_ms"] = 600_000.into();
    let other = program.submit(&patient_one);
    program.kill();
    until("the deadline has passed", || {
        (SystemTime::now() > due).then_some(())
    });
    patient.release();
    program.start();

    let task = program.final_task(&id);
    assert_eq!(task["state"], "Failed", "{task}");
    assert_eq!(task["error"]["kind"], "expired");
    assert_eq!(program.final_task(&other)["state"], "Completed");
}

#[test]
fn a_key_means_the_same_before_and_after_a_restart() {
    let patient = Patient::start(0, 0);
    let mut program = program(&patient, "1s");
    let body = json!({"text": "Good day", "targets": ["es", "fr"], "key": "mine"});
    let first = program.post("/v1/requests", &body);
    assert_eq!(first.status, 202);
    let first = first.json();
    let id = first["id"].as_str().expect("an id").to_owned();
    program.get(&format!("/v1/requests/{id}?wait=30"));
    let mut other = body.clone();
    other["text"] = "Good night".into();
    for is_restarted in [false, true] {
        if is_restarted {
            program.kill();
            program.start();
        }
        let again = program.post("/v1/requests", &body);
        assert_eq!(again.status, 200);
        let again = again.json();
        assert_eq!(again["id"], first["id"]);
        for (one, two) in [(0, 0), (1, 1)] {
            assert_eq!(again["tasks"][one]["id"], first["tasks"][two]["id"]);
            assert_eq!(again["tasks"][one]["state"], "Completed");
        }
        let refused = program.post("/v1/requests", &other);
        assert_eq!(refused.status, 409);
        assert_eq!(refused.json()["status"], 409);
    }
    assert_eq!(program.request(&id)["key"], "mine");
}

#[test]
fn drained_means_finished_and_open_again_when_resumed() {
    let patient = Patient::start(0, 0);
    let program = program(&patient, "1s");
    patient.hold();
    let id = program.submit(&body("before"));
    program.run(&["drain"]).well();
    assert_eq!(program.post("/v1/requests", &body("meanwhile")).status, 503);
    assert_eq!(program.get("/readyz").status, 503);
    assert_eq!(program.get("/healthz").status, 200);
    patient.release();
    assert_eq!(program.final_task(&id)["state"], "Completed");
    program.run(&["resume"]).well();
    assert_eq!(program.post("/v1/requests", &body("after")).status, 202);
}

#[test]
fn a_text_whose_call_ran_at_three_deaths_is_given_up_and_the_others_go_on() {
    let patient = Patient::start(0, 0);
    let mut program = program(&patient, "1s");
    patient.hold();
    let id = program.submit(&body("poison"));
    for death in 1..=3 {
        until("its call is made and written down", || {
            let is_claimed = program.task(&id)["state"] == "Processing";
            (is_claimed && patient.n_calls() == death).then_some(())
        });
        // The claim stands in the file before the process dies.
        until("the claim is durable", || {
            let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
            let path = program.path("data/babelfeed.db");
            let file = rusqlite::Connection::open_with_flags(path, flags).ok()?;
            let sql = "SELECT count(*) FROM task WHERE state = 2";
            let n_claimed: i64 = file.query_row(sql, (), |row| row.get(0)).ok()?;
            (n_claimed == 1).then_some(())
        });
        program.kill();
        program.start();
    }

    let task = program.final_task(&id);

    assert_eq!(task["state"], "Failed", "{task}");
    assert_eq!(task["error"]["kind"], "poison");
    assert_eq!(patient.n_calls(), 3);
    patient.release();
    let other = program.submit(&body("harmless"));
    assert_eq!(program.final_task(&other)["state"], "Completed");
}
