//! What a service keeps and refuses while its settings change under it.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Program, UNCHECKED, until};
use crate::held::Held;
use crate::patient::Patient;

const OUTLET: &str =
    "[[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\nlanguage = \"es\"\n";

/// Settings that differ from each other by the size of their packs.
fn settings(patient: &Patient, pack: usize) -> String {
    format!(
        "[batching]\nmax_batch_size = {pack}\n{UNCHECKED}{}{OUTLET}",
        patient.settings()
    )
}

fn body(text: &str) -> Value {
    json!({"text": text, "targets": ["es"], "publish": true})
}

/// Waits until the program says that it has taken its settings anew.
fn wait_for_rebuild(program: &Program, n_before: usize) {
    until("the system is built anew", || {
        (program.n_logged(" ready ") > n_before).then_some(())
    });
}

fn outlet_state(program: &Program) -> Value {
    program.status()["outlets"][0]["state"].clone()
}

#[test]
fn what_a_person_paused_stays_paused_when_settings_are_read_again() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&settings(&patient, 1));
    program.run(&["pause", "es"]).well();
    program.run(&["pause", "patient"]).well();
    program.write("Settings.toml", &settings(&patient, 2));
    program.run(&["reload"]).well();
    wait_for_rebuild(&program, 1);
    until("the outlet is paused again", || {
        (outlet_state(&program) == "paused").then_some(())
    });
    let id = program.submit(&body("Good day"));
    program.run(&["resume", "patient"]).well();
    let task = program.wait_for_state(&id, "Completed");
    assert_eq!(task["publications"][0]["state"], "Planned", "{task}");
    program.run(&["resume", "es"]).well();
    assert_eq!(
        program.final_task(&id)["publications"][0]["state"],
        "Published"
    );
}

#[test]
fn what_a_person_paused_stays_paused_over_a_kill_until_it_is_resumed() {
    let patient = Patient::start(0, 0);
    let mut program = Program::started(&settings(&patient, 1));
    program.run(&["pause", "es"]).well();
    let id = program.submit(&body("Good day"));
    program.wait_for_state(&id, "Completed");
    program.kill();
    program.run(&["once", "--for", "60s"]);
    program.start();
    assert_eq!(outlet_state(&program), "paused");
    let task = program.task(&id);
    assert_eq!(task["publications"][0]["state"], "Planned", "{task}");
    program.run(&["resume", "es"]).well();
    assert_eq!(
        program.final_task(&id)["publications"][0]["state"],
        "Published"
    );
    program.kill();
    program.start();
    assert_ne!(outlet_state(&program), "paused");
}

#[test]
fn an_outlet_is_resumed_by_its_name_after_everything_or_its_lane_was_paused() {
    let patient = Patient::start(0, 0);
    let mut program = Program::started(&settings(&patient, 1));
    for (pause, text) in [
        (vec!["pause"], "Good day"),
        (vec!["pause", "outlet:es"], "Good night"),
    ] {
        program.run(&pause).well();
        program.kill();
        program.start();
        program.run(&["resume", "es"]).well();
        if pause.len() == 1 {
            program.run(&["resume", "patient"]).well();
        }
        let task = program.final_task(&program.submit(&body(text)));
        assert_eq!(
            task["publications"][0]["state"], "Published",
            "{pause:?} {task}"
        );
    }
}

#[test]
fn what_came_while_a_person_paused_a_source_counts_as_seen_after_settings_are_read_again_too() {
    let patient = Patient::start(0, 0);
    let source = "[[source]]\nname = \"news\"\nkind = \"file\"\npath = \"news.txt\"\n\
         every = \"1s\"\nlanguage = \"en\"\n";
    let settings = |pack| format!("{}{source}", settings(&patient, pack));
    let mut program = Program::new(&settings(1));
    program.write("news.txt", "First\n");
    program.start();
    let append = |line: &str| {
        let file = OpenOptions::new()
            .append(true)
            .open(program.path("news.txt"));
        let mut file = file.expect("a file");
        file.write_all(line.as_bytes()).expect("written");
    };
    until("the first is out", || {
        (program.published("es.jsonl").len() == 1).then_some(())
    });
    program.run(&["pause", "news"]).well();
    append("Second\n");
    program.write("Settings.toml", &settings(2));
    program.run(&["reload"]).well();
    wait_for_rebuild(&program, 1);
    let state = |program: &Program| program.status()["sources"][0]["state"].clone();
    assert_eq!(state(&program), "paused");
    append("Third\n");
    program.run(&["resume", "news"]).well();
    until("it was polled", || {
        (program.status()["sources"][0]["last_poll"].is_string()).then_some(())
    });

    append("Fourth\n");

    let out = until("the fourth is out", || {
        let out = program.published("es.jsonl");
        (out.len() == 2).then_some(out)
    });
    assert_eq!(out[1]["text"], "[es] Fourth", "{out:?}");
}

#[test]
fn what_came_during_a_pause_counts_as_seen_although_the_service_falls_before_it_is_passed_over() {
    let patient = Patient::start(0, 0);
    let source = "[[source]]\nname = \"news\"\nkind = \"feed\"\npath = \"news.xml\"\n\
         every = \"1s\"\nlanguage = \"en\"\nbackfill = \"all\"\n";
    let settings = |pack| format!("{}{source}", settings(&patient, pack));
    let feed = |words: &[&str]| {
        let items = words.iter().rev().map(|word| {
            format!("<item><guid isPermaLink=\"false\">{word}</guid><title>{word}</title></item>")
        });
        let items: String = items.collect();
        format!("<rss version=\"2.0\"><channel><title>News</title>{items}</channel></rss>")
    };
    let out_after = |program: &Program, n: usize| {
        until("one more is out", || {
            let out = program.published("es.jsonl");
            (out.len() == n).then(|| out[n - 1]["text"].clone())
        })
    };
    let mut program = Program::new(&settings(1));
    program.write("news.xml", &feed(&["First"]));
    program.start();
    out_after(&program, 1);
    program.run(&["pause", "news"]).well();
    program.write("news.xml", "This is no feed.");
    program.run(&["resume", "news"]).well();
    let fails = |program: &Program| {
        until("it fails", || {
            program.status()["sources"][0]["error"]
                .is_string()
                .then_some(())
        });
    };
    fails(&program);
    program.write("Settings.toml", &settings(2));
    program.run(&["reload"]).well();
    wait_for_rebuild(&program, 1);
    fails(&program);
    program.kill();
    program.write("news.xml", &feed(&["First", "Second"]));
    program.start();
    until("it was polled", || {
        (program.status()["sources"][0]["last_poll"].is_string()).then_some(())
    });
    program.write("news.xml", &feed(&["First", "Second", "Third"]));
    assert_eq!(out_after(&program, 2), "[es] Third");

    program.kill();
    program.write("news.xml", &feed(&["First", "Second", "Third", "Fourth"]));
    program.start();
    assert_eq!(out_after(&program, 3), "[es] Fourth", "the pause is over");
}

#[test]
fn a_service_that_drains_still_drains_when_settings_are_read_again() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&settings(&patient, 1));
    program.run(&["drain"]).well();
    program.write("Settings.toml", &settings(&patient, 2));
    program.run(&["reload"]).well();
    wait_for_rebuild(&program, 1);
    let refused = program.post("/v1/requests", &body("Too late"));
    assert_eq!(refused.status, 503, "{}", refused.head);
    program.run(&["resume"]).well();
    until("intake is open again", || {
        (program.post("/v1/requests", &body("Good day")).status == 202).then_some(())
    });
}

#[test]
fn a_hangup_reads_the_settings_again() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&settings(&patient, 1));
    program.write("Settings.toml", &settings(&patient, 2));
    program.signal("HUP");
    wait_for_rebuild(&program, 1);
    let id = program.submit(&body("Good day"));
    assert_eq!(program.final_task(&id)["state"], "Completed");
}

#[test]
fn settings_that_leave_nobody_to_translate_or_publish_are_refused() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&settings(&patient, 1));
    let socket = program.socket();
    let socket = socket.to_str().expect("a path");
    for (left, missing) in [
        (OUTLET.to_owned(), "provider"),
        (patient.settings(), "outlet"),
    ] {
        program.write("Settings.toml", &format!("{UNCHECKED}{left}"));
        let said = program.run(&["reload", "--socket", socket]);
        assert_eq!(said.code, 1, "{}", said.err);
        assert!(
            said.err.contains(&format!("no {missing} is left")),
            "{}",
            said.err
        );
    }
    let id = program.submit(&body("Good day"));
    assert_eq!(
        program.final_task(&id)["publications"][0]["state"],
        "Published"
    );
}

#[test]
fn who_waits_for_results_gets_them_although_settings_are_read_again_meanwhile() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!(
        "[service]\ndrain_timeout = \"100ms\"\n{}",
        settings(&patient, 1)
    ));
    patient.hold();
    let said = thread::scope(|scope| {
        let waiting =
            scope.spawn(|| program.run(&["submit", "Good day", "--to", "es", "--wait", "--json"]));
        until("a call is in flight", || {
            (patient.n_waiting() >= 1).then_some(())
        });
        program.write(
            "Settings.toml",
            &format!(
                "[service]\ndrain_timeout = \"100ms\"\n{}",
                settings(&patient, 2)
            ),
        );
        program.run(&["reload"]).well();
        wait_for_rebuild(&program, 1);
        patient.release();
        waiting.join().expect("no panic")
    });
    let said = said.well();
    assert!(said.contains("[es] Good day"), "{said}");
}

#[test]
fn work_waits_for_settings_that_name_a_provider() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!("{UNCHECKED}{OUTLET}"));
    let id = program.submit(&body("Good day"));
    assert_eq!(program.task(&id)["state"], "Queued");
    program.write("Settings.toml", &settings(&patient, 1));
    program.run(&["reload"]).well();
    wait_for_rebuild(&program, 1);
    assert_eq!(program.final_task(&id)["state"], "Completed");
    assert_eq!(patient.n_calls(), 1);
}

/// Settings with an outlet that keeps its answers back, and with so long for calls in flight.
fn held(patient: &Patient, pack: usize, drain: &str) -> String {
    format!(
        "[service]\ndrain_timeout = \"{drain}\"\n[batching]\nmax_batch_size = {pack}\n{UNCHECKED}{}\
         [[outlet]]\nname = \"held\"\nkind = \"webhook\"\nurl_env = \"HELD\"\nlanguage = \"es\"\n",
        patient.settings()
    )
}

/// A program one of whose publications has arrived at its outlet, which says nothing yet.
fn publishing(held_back: &Held, settings: &str) -> (Program, String) {
    let mut program = Program::new(settings);
    program.set("HELD", held_back.url());
    program.start();
    let id = program.submit(&body("Good day"));
    until("it has arrived", || {
        (held_back.n_taken() == 1).then_some(())
    });
    (program, id)
}

fn wait_until_it_stops(program: &Program) {
    until("intake is closed", || {
        let late = json!({"text": "Too late", "targets": ["es"]});
        (program.post("/v1/requests", &late).status == 503).then_some(())
    });
}

#[test]
fn what_is_being_published_while_settings_are_read_again_is_waited_for_and_all_else_goes_on() {
    let (held_back, patient) = (Held::start(), Patient::start(0, 0));
    let (program, id) = publishing(&held_back, &held(&patient, 1, "1ms"));
    program.write("Settings.toml", &held(&patient, 2, "1ms"));
    program.run(&["reload"]).well();
    until("nothing more is published", || {
        (outlet_state(&program) == "paused").then_some(())
    });
    let next = program.submit(&body("Good night"));
    until("it is translated", || {
        (program.task(&next)["state"] == "Completed").then_some(())
    });
    assert_eq!(held_back.n_taken(), 1);
    held_back.release();
    wait_for_rebuild(&program, 1);

    let tasks = [id, next].map(|id| program.final_task(&id));

    for task in tasks {
        assert_eq!(task["publications"][0]["state"], "Published", "{task}");
    }
    assert_eq!(held_back.n_taken(), 2);
}

#[test]
fn orders_that_would_be_lost_are_refused_while_settings_are_read_again() {
    let (held_back, patient) = (Held::start(), Patient::start(0, 0));
    let (program, _) = publishing(&held_back, &held(&patient, 1, "1s"));
    program.write("Settings.toml", &held(&patient, 2, "1s"));
    program.run(&["reload"]).well();
    let orders: [&[&str]; 3] = [&["pause", "patient"], &["resume", "patient"], &["drain"]];
    for order in orders {
        let said = program.run(order);
        assert_eq!(said.code, 1, "{order:?} {}", said.err);
        assert!(said.err.contains("are being reloaded"), "{}", said.err);
    }
    held_back.release();
    wait_for_rebuild(&program, 1);

    program.run(&["pause", "held"]).well();

    let id = program.submit(&body("Good night"));
    let task = program.wait_for_state(&id, "Completed");
    assert_eq!(task["publications"][0]["state"], "Planned", "{task}");
}

#[test]
fn a_stop_is_heard_while_settings_are_read_again() {
    for by_signal in [true, false] {
        let (held_back, patient) = (Held::start(), Patient::start(0, 0));
        let (mut program, _) = publishing(&held_back, &held(&patient, 1, "1s"));
        program.write("Settings.toml", &held(&patient, 2, "1s"));
        program.run(&["reload"]).well();
        until("outlets rest for the next system", || {
            (outlet_state(&program) == "paused").then_some(())
        });
        let begun = Instant::now();
        if by_signal {
            program.signal("TERM");
        } else {
            program.run(&["stop"]).well();
        }
        assert_eq!(program.ended().code(), Some(0));
        let took = begun.elapsed();
        assert!(
            took < Duration::from_secs(30),
            "{took:?}, not the time of a call"
        );
        assert_eq!(program.n_logged(" ready "), 1, "no next system is begun");
        held_back.release();
    }
}

#[test]
fn what_is_being_published_when_the_service_stops_gets_the_time_of_calls_in_flight() {
    let (held_back, patient) = (Held::start(), Patient::start(0, 0));
    let (mut program, id) = publishing(&held_back, &held(&patient, 1, "60s"));
    program.signal("TERM");
    wait_until_it_stops(&program);
    held_back.release();
    assert_eq!(program.ended().code(), Some(0));
    program.start();

    let task = program.final_task(&id);

    assert_eq!(task["publications"][0]["state"], "Published", "{task}");
    assert_eq!(held_back.n_taken(), 1);
}

/// Settings whose provider has such limits.
fn limited(patient: &Patient, pack: usize, limits: &str) -> String {
    let provider = patient.settings() + limits;
    format!("[batching]\nmax_batch_size = {pack}\n{UNCHECKED}{provider}{OUTLET}")
}

/// Lets texts of such numbers be translated, a call each.
fn translate(program: &Program, numbers: Range<usize>) {
    for number in numbers {
        let text = format!("Text {number}");
        program.final_task(&program.submit(&json!({"text": text, "targets": ["es"]})));
    }
}

/// Hands in a text more, and answers for which limit the provider's lane makes it wait.
fn binding_of_one_more(program: &Program) -> Value {
    program.submit(&json!({"text": "One too many", "targets": ["es"]}));
    until("the lane says what it waits for", || {
        let status = program.status();
        let mut lanes = status["lanes"].as_array().expect("lanes").iter();
        let lane = lanes.find(|lane| lane["name"] == "patient")?;
        lane["binding"].is_object().then(|| lane["binding"].clone())
    })
}

#[test]
fn what_a_minute_holds_still_counts_when_settings_are_read_again() {
    let patient = Patient::start(0, 0);
    let limits = "limits = { rpm = 5 }\n";
    let program = Program::started(&limited(&patient, 1, limits));
    translate(&program, 0..5);
    program.write("Settings.toml", &limited(&patient, 2, limits));
    program.run(&["reload"]).well();
    wait_for_rebuild(&program, 1);

    let binding = binding_of_one_more(&program);

    assert_eq!(binding["per"], "minute", "{binding}");
    assert_eq!(patient.n_calls(), 5);
}

#[test]
fn what_passed_before_a_minute_had_a_limit_counts_also_after_a_kill() {
    let patient = Patient::start(0, 0);
    let mut program = Program::started(&limited(&patient, 1, ""));
    translate(&program, 0..5);
    program.write(
        "Settings.toml",
        &limited(&patient, 1, "limits = { rpm = 6 }\n"),
    );
    program.run(&["reload"]).well();
    wait_for_rebuild(&program, 1);
    // The last that the minute has room for, which goes when all before is written down.
    translate(&program, 5..6);
    program.kill();
    program.start();

    let binding = binding_of_one_more(&program);

    assert_eq!(binding["per"], "minute", "{binding}");
    assert_eq!(patient.n_calls(), 6);
}
