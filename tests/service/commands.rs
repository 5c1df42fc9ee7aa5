//! Every command of the command line, at least once, with its exit code.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Program, UNCHECKED, json_lines, until};
use crate::http;
use crate::patient::Patient;
use crate::simulators::provider::{Dialect, Fault, ProviderSimulator};

const OUTLET: &str = "[[outlet]]\nname = \"es\"\nkind = \"file\"\nlanguage = \"es\"\n\
    path = \"es.jsonl\"\n";

fn settings(patient: &Patient) -> String {
    format!("{UNCHECKED}{}", patient.settings())
}

fn program(patient: &Patient) -> Program {
    Program::started(&settings(patient))
}

#[test]
fn once_does_what_there_is_and_reports_it() {
    let patient = Patient::start(0, 0);
    let program = Program::new(&format!(
        "{}{OUTLET}[[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.txt\"\n\
         language = \"en\"\n",
        settings(&patient)
    ));
    program.write("notes.txt", "First note\nSecond note\n");

    let report = program.run(&["once", "--json"]).json();
    program.write("notes.txt", "First note\nSecond note\nThird note\n");
    let again = program.run(&["once", "--json", "--for", "30s"]).json();

    assert_eq!(report["sources"][0]["new"], 2, "{report}");
    assert_eq!(report["outlets"][0]["published"], 2, "{report}");
    assert_eq!(report["providers"][0]["texts"], 2, "{report}");
    assert!(report["seconds"].as_f64() > Some(0.0));
    assert_eq!(again["sources"][0]["new"], 1, "{again}");
    assert_eq!(again["outlets"][0]["published"], 1, "{again}");
    let texts: Vec<Value> = program
        .published("es.jsonl")
        .iter()
        .map(|it| it["text"].clone())
        .collect();
    assert_eq!(
        texts,
        ["[es] First note", "[es] Second note", "[es] Third note"]
    );
    assert!(!program.socket().exists(), "it serves no socket");
    assert!(program.path("data/performance_metrics.json").exists());
    let text = program.run(&["once"]).well();
    assert!(text.contains("notes") && text.contains("es"), "{text}");
}

#[test]
fn once_fails_when_something_failed() {
    let patient = Patient::start(0, 0);
    let program = Program::new(&format!(
        "{}{OUTLET}[[source]]\nname = \"news\"\nkind = \"feed\"\npath = \"absent.xml\"\n",
        settings(&patient)
    ));
    let said = program.run(&["once", "--json"]);
    assert_eq!(said.code, 1, "{}{}", said.out, said.err);
    assert!(said.out.contains("absent.xml"), "{}", said.out);
}

#[test]
fn texts_are_handed_in_from_anywhere_and_given_back_in_their_order() {
    let patient = Patient::start(0, 40);
    let program = program(&patient);
    let ids = program.run(&["submit", "Good day", "--to", "es,fr"]).well();
    let request = program
        .get(&format!("/v1/requests/{}?wait=30", ids.trim()))
        .json();
    let targets: Vec<&Value> = request["tasks"]
        .as_array()
        .expect("tasks")
        .iter()
        .map(|it| &it["target"])
        .collect();
    assert_eq!(targets, ["es", "fr"]);

    let lines: Vec<String> = (0..40).map(|number| format!("Line {number}")).collect();
    let translated: Vec<String> = lines.iter().map(|line| format!("[es] {line}")).collect();
    program.write("lines.txt", &(lines.join("\n") + "\n"));
    let wait = [
        "submit",
        "--file",
        "lines.txt",
        "--to",
        "es",
        "--from",
        "en",
        "--wait",
    ];
    let out = program.run(&wait).well();
    assert_eq!(out.lines().collect::<Vec<_>>(), translated);

    program
        .run(&[&wait[..], &["--out", "out.txt"]].concat())
        .well();
    assert_eq!(
        program.read("out.txt").lines().collect::<Vec<_>>(),
        translated
    );

    program
        .run(&[&wait[..], &["--out", "out.jsonl"]].concat())
        .well();
    let results = json_lines(&program.read("out.jsonl"));
    let texts: Vec<&Value> = results
        .iter()
        .map(|it| &it["tasks"][0]["result"]["text"])
        .collect();
    assert_eq!(texts, translated.iter().collect::<Vec<_>>());

    program.write(
        "in.jsonl",
        "{\"text\": \"One\", \"targets\": [\"fr\"]}\n{\"text\": \"Two\"}\n\"Three\"\n",
    );
    let out = program
        .run(&["submit", "--file", "in.jsonl", "--to", "es", "--wait"])
        .well();
    assert_eq!(out, "[fr] One\n[es] Two\n[es] Three\n");

    let stdin = [
        "submit",
        "--file",
        "-",
        "--to",
        "es",
        "--wait",
        "--priority",
        "high",
    ];
    let out = program.run_with_input(&stdin, "Alpha\nBeta\n").well();
    assert_eq!(out, "[es] Alpha\n[es] Beta\n");
}

#[test]
fn a_line_that_is_refused_is_named_and_the_others_go_on() {
    let patient = Patient::start(0, 0);
    let program = program(&patient);
    program.write(
        "in.jsonl",
        "{\"text\": \"One\"}\n{\"nonsense\": 1}\nnot JSON\n{\"text\": \"Four\"}\n",
    );
    let said = program.run(&["submit", "--file", "in.jsonl", "--to", "es", "--wait"]);
    assert_eq!(said.code, 1);
    assert_eq!(said.out, "[es] One\n[es] Four\n");
    assert!(
        said.err.contains("line 2") && said.err.contains("line 3"),
        "{}",
        said.err
    );
    let said = program.run(&["submit", "Good day", "--to", "english!"]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("english!"), "{}", said.err);
    let said = program.run(&["submit", "Good day", "--to", "es", "--publish"]);
    assert_eq!(said.code, 1, "no outlet publishes it: {}", said.err);
}

#[test]
fn a_translation_is_made_at_once_and_known_afterwards() {
    let patient = Patient::start(0, 0);
    let program = program(&patient);
    let out = program
        .run(&["translate", "Good day", "--to", "es", "--from", "en"])
        .well();
    assert_eq!(out, "[es] Good day\n");
    let again = program
        .run(&[
            "translate",
            "Good day",
            "--to",
            "es",
            "--from",
            "en",
            "--json",
        ])
        .json();
    assert_eq!(again["translations"][0]["cached"], true, "{again}");
    assert_eq!(patient.n_calls(), 1);
    let body = json!({"texts": ["One", "Two"], "target": "es", "source": "en"});
    let answer = program.post("/v1/translate", &body).json();
    let texts: Vec<&Value> = answer["translations"]
        .as_array()
        .expect("translations")
        .iter()
        .map(|it| &it["text"])
        .collect();
    assert_eq!(texts, ["[es] One", "[es] Two"]);
    patient.hold();
    let late = json!({"texts": ["Three"], "target": "es", "deadline_ms": 200});
    assert_eq!(program.post("/v1/translate", &late).status, 504);
    patient.release();
    assert!(program.all_tasks().is_empty(), "nothing is kept as tasks");
}

#[test]
fn many_texts_of_a_caller_are_answered_in_order_whichever_threads_make_their_calls() {
    const N_TEXTS: u64 = 30;
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!(
        "[translation]\nconcurrency = 40\ntranslators = 3\n[batching]\nmax_batch_size = 1\n{}",
        settings(&patient)
    ));
    let texts: Vec<String> = (0..N_TEXTS).map(|n| format!("Ship number {n}")).collect();
    let body = json!({"texts": texts, "target": "es", "source": "en"});
    patient.hold();
    let answer = thread::scope(|scope| {
        let asking = scope.spawn(|| program.post("/v1/translate", &body));
        until("all calls are under way", || {
            (patient.n_waiting() == N_TEXTS).then_some(())
        });
        patient.release();
        asking.join().expect("an answer")
    });

    assert_eq!(answer.status, 200, "{}", answer.json());
    let answered = answer.json();
    let answered = answered["translations"].as_array().expect("translations");
    let answered: Vec<String> = answered
        .iter()
        .map(|it| it["text"].as_str().expect("a text").to_owned())
        .collect();
    let expected: Vec<String> = texts.iter().map(|text| format!("[es] {text}")).collect();
    assert_eq!(answered, expected);
    assert_eq!(patient.n_calls(), N_TEXTS);
}

#[test]
fn a_task_is_shown_cancelled_and_tried_again() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!(
        "[translation]\nconcurrency = 2\n{}",
        settings(&patient)
    ));
    patient.hold();
    program.submit(&json!({"text": "Blocks the lane", "targets": ["es"]}));
    until("the lane is full", || {
        (patient.n_waiting() == 1).then_some(())
    });
    let id = program.submit(&json!({"text": "Good day", "targets": ["es"]}));
    let task = program.wait_for_state(&id, "Queued");
    let task = task["id"].as_str().expect("an id").to_owned();
    for shown in [&id, &task] {
        let text = program.run(&["status", shown]).well();
        assert!(text.contains("Queued"), "{text}");
    }
    let cancelled = program.run(&["cancel", &task, "--json"]).json();
    assert_eq!(cancelled["state"], "Failed");
    assert_eq!(cancelled["error"]["kind"], "cancelled");
    assert_eq!(program.run(&["cancel", &task]).code, 1, "it is final");
    assert_eq!(
        program
            .post(&format!("/v1/tasks/{task}/cancel"), &json!({}))
            .status,
        409
    );
    patient.release();
    program.run(&["retry", &task]).well();
    let done = program.final_task(&id);
    assert_eq!(done["state"], "Completed", "{done}");
    assert!(done["history"].to_string().contains("retried"), "{done}");
    assert_eq!(program.run(&["retry", &task]).code, 1, "it is not Failed");
    let unknown = "01900000-0000-7000-8000-000000000000";
    assert_eq!(program.run(&["status", unknown]).code, 1);
    assert_eq!(program.get(&format!("/v1/requests/{unknown}")).status, 404);
    let status = program.run(&["status", "--json"]).json();
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert!(program.run(&["status"]).well().contains("patient"));
}

#[test]
fn events_are_told_as_they_happen() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!("{}{OUTLET}", settings(&patient)));
    let stream =
        http::ask(&program.socket(), "GET", "/v1/events", "text/plain", b"").expect("a stream");
    let mut events = BufReader::new(stream);
    read_until(&mut events, ": listening");
    let mut watch = program
        .command(&["watch", "--json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("begins");
    let mut watched = BufReader::new(watch.stdout.take().expect("piped"));
    // The command is heard only once it listens, so texts are handed in until it tells of one.
    let (sender, told) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut line = String::new();
        watched.read_line(&mut line).expect("a line");
        sender.send(line).expect("heard");
    });
    let begin = Instant::now();
    let line = loop {
        let id = program.submit(&json!({"text": format!("Good day {:?}", begin.elapsed()), "targets": ["es"], "publish": true}));
        program.final_task(&id);
        if let Ok(line) = told.try_recv() {
            break line;
        }
        assert!(begin.elapsed() < PATIENCE, "watch tells nothing");
    };
    watch.kill().expect("killed");
    watch.wait().expect("ended");
    reader.join().expect("no panic");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert!(
        event["event"] == "task" || event["event"] == "publication",
        "{event}"
    );
    read_until(&mut events, "event: task");
    let data = read_until(&mut events, "data: ");
    let event: Value = serde_json::from_str(data.trim_start_matches("data: ")).expect("JSON");
    for field in ["id", "state", "at"] {
        assert!(event[field].is_string(), "{event}");
    }
    read_until(&mut events, "\"state\":\"Completed\"");
    read_until(&mut events, "event: publication");
    read_until(&mut events, "\"state\":\"Published\"");
    http::hang_up(events.get_ref());
}

#[test]
fn an_end_is_told_when_whoever_looks_finds_it_so() {
    let simulator = ProviderSimulator::start();
    let program = Program::started(&format!(
        "{UNCHECKED}[[provider]]\nname = \"p\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{}\"\n",
        simulator.base_url(Dialect::OpenAi)
    ));
    let stream = http::ask(&program.socket(), "GET", "/v1/events", "text/plain", b"");
    let mut events = BufReader::new(stream.expect("a stream"));
    read_until(&mut events, ": listening");
    let faults = [None, Some(Fault::Refused)];
    for (number, (fault, end)) in faults.into_iter().zip(["Completed", "Failed"]).enumerate() {
        simulator.always(fault);
        let text = format!("Text {number}");
        let id = program.submit(&json!({"text": text, "targets": ["es"]}));
        let told = read_until(&mut events, &format!("\"state\":\"{end}\""));
        let task = program.task(&id);
        assert_eq!(task["state"], end, "{task}");
        assert!(told.contains(task["id"].as_str().expect("an id")), "{told}");
    }
    http::hang_up(events.get_ref());
}

#[test]
fn who_waits_is_answered_as_soon_as_it_is_final() {
    let patient = Patient::start(0, 0);
    let program = program(&patient);
    let mut times: Vec<Duration> = (0..10)
        .map(|number| {
            let text = format!("Text {number}");
            let id = program.submit(&json!({"text": text, "targets": ["es"]}));
            let begin = Instant::now();
            program.final_task(&id);
            begin.elapsed()
        })
        .collect();
    times.sort();
    // The service looks every 5 s although nobody told it to; a busy machine is late now and then.
    assert!(times[5] < Duration::from_secs(4), "{times:?}");
}

/// Reads lines up to the one with this in it.
fn read_until(lines: &mut impl BufRead, wanted: &str) -> String {
    loop {
        let mut line = String::new();
        let n_read = lines.read_line(&mut line).expect("a line");
        assert!(n_read > 0, "the stream ended before {wanted}");
        if line.contains(wanted) {
            return line;
        }
    }
}

#[test]
fn what_is_held_waits_for_a_person() {
    let patient = Patient::start(0, 0);
    let mut program = Program::started(&format!(
        "{}{OUTLET}hold = \"always\"\n",
        settings(&patient)
    ));
    let ids = ["One", "Two", "Three"].map(|text| {
        let id = program.submit(&json!({"text": text, "targets": ["es"], "publish": true}));
        program.final_task(&id)["publications"][0]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    });
    assert!(program.published("es.jsonl").is_empty());
    program.kill();
    program.start();
    let held = program.run(&["review", "--json"]).json();
    assert_eq!(
        held["publications"].as_array().expect("publications").len(),
        3
    );
    let shown = program.run(&["review"]).well();
    assert!(shown.contains("  < Two\n  > [es] Two"), "{shown}");

    program.run(&["approve", &ids[0]]).well();
    program.run(&["approve", &ids[1], "--text", "Dos"]).well();
    program.run(&["reject", &ids[2]]).well();

    until("two are published", || {
        (program.published("es.jsonl").len() == 2).then_some(())
    });
    let texts: Vec<Value> = program
        .published("es.jsonl")
        .iter()
        .map(|it| it["text"].clone())
        .collect();
    assert!(
        texts.contains(&json!("[es] One")) && texts.contains(&json!("Dos")),
        "{texts:?}"
    );
    let left = program.get("/v1/review").json();
    assert_eq!(left["publications"], json!([]));
    assert_eq!(program.run(&["approve", &ids[2]]).code, 1, "it was refused");
}

#[test]
fn sources_providers_and_outlets_are_paused_and_resumed_by_name() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!(
        "{}{OUTLET}[[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.txt\"\n\
         every = \"1h\"\nlanguage = \"en\"\n",
        settings(&patient)
    ));
    program.write("notes.txt", "");
    program.run(&["pause", "patient"]).well();
    let id = program.submit(&json!({"text": "Good day", "targets": ["es"], "publish": true}));
    until("the lane is shown as paused", || {
        let status = program.status().to_string();
        status.contains("\"why\":\"paused\"").then_some(())
    });
    program.run(&["pause", "es"]).well();
    program.run(&["resume", "patient"]).well();
    until("it is translated", || {
        (program.task(&id)["state"] == "Completed").then_some(())
    });
    assert!(
        program.published("es.jsonl").is_empty(),
        "the outlet is paused"
    );
    program.run(&["resume"]).well();
    until("it is published", || {
        (program.published("es.jsonl").len() == 1).then_some(())
    });
    program.write("notes.txt", "A note\n");
    program.run(&["poll", "notes"]).well();
    until("the note is published", || {
        (program.published("es.jsonl").len() == 2).then_some(())
    });
    assert_eq!(program.run(&["pause", "nobody"]).code, 1);
}

#[test]
fn a_provider_that_shares_its_limits_is_paused_by_its_own_name_and_the_other_is_named() {
    let patient = Patient::start(0, 0);
    let twin = patient.settings().replace("\"patient\"", "\"twin\"");
    let program = Program::started(&format!("{}{twin}{OUTLET}", settings(&patient)));
    let said = program.run(&["pause", "twin"]).well();
    assert!(said.contains("pause also means patient"), "{said}");
    let id = program.submit(&json!({"text": "Good day", "targets": ["es"]}));
    until("the lane is shown as paused", || {
        let status = program.status().to_string();
        status.contains("\"why\":\"paused\"").then_some(())
    });
    assert_eq!(patient.n_calls(), 0);
    program.run(&["resume", "twin"]).well();
    assert_eq!(program.final_task(&id)["state"], "Completed");
}

#[test]
fn settings_are_read_again_without_losing_anything() {
    let patient = Patient::start(0, 0);
    let mut program = program(&patient);
    program.submit(&json!({"text": "Before", "targets": ["es"]}));
    program.write("Settings.toml", &format!("{}{OUTLET}", settings(&patient)));
    program.run(&["reload"]).well();
    let body = json!({"text": "Good day", "targets": ["es"], "publish": true});
    let id = until("the new outlet is known", || {
        let answer = http::exchange(
            &program.socket(),
            "POST",
            "/v1/requests",
            "application/json",
            body.to_string().as_bytes(),
        )
        .ok()?;
        (answer.status == 202).then(|| answer.json()["id"].as_str().expect("an id").to_owned())
    });
    assert_eq!(
        program.final_task(&id)["publications"][0]["state"],
        "Published"
    );
    program.write("Settings.toml", "[nonsense]\n");
    let said = program.run(&[
        "reload",
        "--socket",
        program.socket().to_str().expect("a path"),
    ]);
    assert_eq!(said.code, 1);
    assert!(said.err.contains("nonsense"), "{}", said.err);
    assert_eq!(program.get("/readyz").status, 200, "the old settings stay");
    program.write("Settings.toml", &settings(&patient));
    program.stop();
}

#[test]
fn an_operation_that_is_followed_shows_in_the_log_as_it_ships() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!(
        "[service]\nfollow = \"patient/translate\"\n{}",
        settings(&patient)
    ));
    for text in ["One", "Two"] {
        program.final_task(&program.submit(&json!({"text": text, "targets": ["es"]})));
    }
    until("both calls are told", || {
        let log = program.log();
        let told = log.lines().filter(|line| line.contains("followed"));
        (told.filter(|line| line.contains("service=patient")).count() == 2).then_some(())
    });
}

#[test]
fn performance_is_told_to_people_and_programs_and_into_log_and_file() {
    let patient = Patient::start(0, 0);
    let program = Program::started(&format!(
        "[service]\nmetrics_every = \"1s\"\n{}",
        settings(&patient)
    ));
    let id = program.submit(&json!({"text": "Good day", "targets": ["es"]}));
    program.final_task(&id);
    let figures = program.run(&["performance", "--json"]).json();
    assert_eq!(figures["metrics"]["tasks"]["completed"], 1, "{figures}");
    assert!(program.run(&["performance"]).well().contains("patient"));
    let metrics = program.get("/v1/metrics").json();
    let services = metrics["services"].as_array().expect("services");
    let service = services
        .iter()
        .find(|it| it["name"] == "patient")
        .expect("the provider");
    assert_eq!(
        (&service["calls"], &service["errors"]),
        (&json!(1), &json!(0))
    );
    let prometheus = program.get("/metrics");
    assert!(String::from_utf8_lossy(&prometheus.body).contains("# TYPE"));
    let line = until("the metrics are logged", || {
        let log = program.log();
        log.lines()
            .find(|it| it.starts_with("metrics service=patient calls=1"))
            .map(str::to_owned)
    });
    for figure in [
        "errors=", "rate=", "p50_ms=", "p90_ms=", "p99_ms=", "max_ms=",
    ] {
        assert!(line.contains(figure), "{line}");
    }
    let written = || {
        std::fs::metadata(program.path("data/performance_metrics.json"))
            .and_then(|it| it.modified())
            .ok()
    };
    let first = until("the file is written", written);
    until("the file is written again", || {
        written().filter(|at| *at > first)
    });
    let file: Value =
        serde_json::from_str(&program.read("data/performance_metrics.json")).expect("JSON");
    assert_eq!(file["tasks"]["completed"], 1);
}

#[test]
fn check_tries_everything_and_publishes_nothing() {
    let patient = Patient::start(0, 0);
    let program = Program::new(&format!(
        "{}{OUTLET}[[source]]\nname = \"notes\"\nkind = \"file\"\npath = \"notes.txt\"\n",
        settings(&patient)
    ));
    program.write("notes.txt", "A note\n");
    let found = program.run(&["check", "--json"]).json();
    assert_eq!(found["sources"][0]["posts"], 1, "{found}");
    assert!(
        program
            .run(&["check", "--translate"])
            .well()
            .contains("[es]")
    );
    assert!(program.published("es.jsonl").is_empty());
    drop(patient);
    let said = program.run(&["check"]);
    assert_eq!(said.code, 1, "{}", said.out);
    assert!(said.out.contains("patient"), "{}", said.out);
}

#[test]
fn a_benchmark_is_run_and_written_down() {
    let program = Program::new("");
    let said = program.run(&[
        "benchmark",
        "added_latency",
        "identical",
        "--quick",
        "--out",
        "results",
    ]);
    let out = said.well();
    assert!(!out.is_empty());
    let written: Value =
        serde_json::from_str(&program.read("results/benchmark.json")).expect("JSON");
    let rows = written["rows"].as_array().expect("rows");
    assert_eq!(rows.len(), 2, "{written}");
    assert!(
        rows.iter().all(|row| row["counts"][0].is_object()),
        "{written}"
    );
    for counts in rows
        .iter()
        .flat_map(|row| row["counts"].as_array())
        .flatten()
    {
        assert_eq!(counts["agrees"], true, "{counts}");
    }
    assert!(program.read("results/index.html").contains("<svg"));
    assert_eq!(program.run(&["benchmark", "nonsense"]).code, 64);
}

#[test]
fn the_exit_code_tells_how_a_command_ended() {
    let program = Program::new("");
    assert_eq!(program.run(&["nonsense"]).code, 64);
    assert_eq!(program.run(&["submit"]).code, 64);
    assert_eq!(program.run(&["submit", "Good day"]).code, 64, "no language");
    for command in [
        &["status"][..],
        &["submit", "Good day", "--to", "es"],
        &["translate", "Good day", "--to", "es"],
        &["watch"],
        &["review"],
        &["pause"],
        &["poll"],
        &["drain"],
        &["reload"],
        &["stop"],
        &["performance"],
    ] {
        let said = program.run(command);
        assert_eq!(said.code, 69, "{command:?}: {}", said.err);
        assert!(said.err.contains("babelfeed.sock"), "{}", said.err);
    }
    assert_eq!(program.run(&["--version"]).code, 0);
    assert_eq!(program.run(&["--help"]).code, 0);
}

#[test]
fn a_request_is_answered_when_it_is_final_or_the_time_is_over() {
    let patient = Patient::start(0, 0);
    let program = program(&patient);
    patient.hold();
    let id = program.submit(&json!({"text": "Good day", "targets": ["es"]}));
    let early = program.get(&format!("/v1/requests/{id}?wait=1")).json();
    assert_ne!(early["tasks"][0]["state"], "Completed");
    patient.release();
    let late = program.get(&format!("/v1/requests/{id}?wait=60")).json();
    assert_eq!(late["tasks"][0]["state"], "Completed");
    let task = late["tasks"][0]["id"].as_str().expect("an id");
    let task = program.get(&format!("/v1/tasks/{task}?wait=60")).json();
    assert_eq!(task["request"], id);
}
