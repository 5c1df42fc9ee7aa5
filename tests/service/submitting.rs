//! What `submit --wait` makes of a service that is gone, or not ready, in the middle of it.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::thread::{self, JoinHandle};

use serde_json::json;

use crate::harness::{PATIENCE, Program, Said, signal};

const TEXTS: [&str; 3] = ["One", "Two", "Three"];
const SUBMIT: [&str; 6] = ["submit", "--file", "texts.txt", "--to", "es", "--wait"];

/// A program without a service, whose socket answers a connection after another, each with what
/// is given for it once its request has ended like that, and then is gone.
fn beside(answers: Vec<(&'static str, String)>) -> Program {
    answering(answers).0
}

/// The same, with the thread that answers, which ends behind the last answer.
fn answering(answers: Vec<(&'static str, String)>) -> (Program, JoinHandle<()>) {
    let program = Program::new("");
    program.write("texts.txt", &TEXTS.join("\n"));
    fs::create_dir_all(program.path("data")).expect("made");
    let listener = UnixListener::bind(program.socket()).expect("a socket");
    let answerer = thread::spawn(move || {
        for (end, answer) in answers {
            let (mut stream, _) = listener.accept().expect("a connection");
            stream.set_read_timeout(Some(PATIENCE)).expect("set");
            let mut request = Vec::new();
            while !request.ends_with(end.as_bytes()) {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                request.push(byte[0]);
            }
            stream.write_all(answer.as_bytes()).expect("sent");
        }
    });
    (program, answerer)
}

/// The end of a stream of lines, and of a question.
const LINES: &str = "0\r\n\r\n";
const QUESTION: &str = "\r\n\r\n";

/// An id of a request.
fn id(number: usize) -> String {
    format!("019aa5c3-1c5e-7000-8000-0000000{number}0000")
}

/// The answer to a line that was taken.
fn taken_line(number: usize) -> String {
    json!({"id": id(number), "tasks": [], "status": 202}).to_string() + "\n"
}

/// Answers to lines, and no end.
fn answers(lines: impl IntoIterator<Item = String>) -> String {
    let mut answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for line in lines {
        answer += &format!("{:x}\r\n{line}\r\n", line.len());
    }
    answer
}

/// The answers to the first so many lines, and no end.
fn taken(n_lines: usize) -> String {
    answers((1..=n_lines).map(taken_line))
}

/// How a request stands that is done.
fn translated(number: usize) -> String {
    let task = json!({
        "id": id(number), "request": id(number), "source": "en", "target": "es",
        "state": "Completed", "attempts": 1, "history": [], "error": null, "publications": [],
        "result": {
            "text": format!("[es] {}", TEXTS[number - 1]), "provider": "p", "model": "m",
            "cached": false, "tokens_in": 0, "tokens_out": 0, "cost_usd": 0.0,
        },
    });
    let request = json!({
        "id": id(number), "key": null, "text": TEXTS[number - 1], "source": "en", "tasks": [task],
    });
    format!("HTTP/1.1 200 OK\r\n\r\n{request}")
}

/// Checks that these lines are told with their ids, and no others.
fn assert_told(said: &Said, numbers: &[usize]) {
    for number in 1..=TEXTS.len() {
        let line = format!("line {number}: taken in as request {}\n", id(number));
        let is_told = said.err.contains(&line);
        assert_eq!(is_told, numbers.contains(&number), "{line}{}", said.err);
    }
}

#[test]
fn a_service_that_dies_while_texts_are_handed_in_costs_no_id_that_it_gave() {
    let program = beside(vec![(LINES, taken(2))]);
    let said = program.run(&SUBMIT);
    assert_eq!((said.code, &*said.out), (1, ""), "{}", said.err);
    assert_told(&said, &[1, 2]);
    let unanswered = "line 3 and those after it have no answer: the service hung up";
    assert!(said.err.contains(unanswered), "{}", said.err);
}

#[test]
fn what_can_not_be_told_of_any_more_is_left_with_its_ids() {
    let lines = taken(3) + "0\r\n\r\n";
    let program = beside(vec![(LINES, lines), (QUESTION, translated(1))]);
    let full = File::options().write(true).open("/dev/full");
    let full = full.expect("a device");
    let mut submit = program.command(&SUBMIT);
    let submit = submit.stdout(full).stderr(Stdio::piped()).spawn();
    let ended = submit.expect("the program begins").wait_with_output();
    let said = Said::of(&ended.expect("an end"));
    assert_eq!(said.code, 1, "{}", said.err);
    assert_told(&said, &[1, 2, 3]);
}

#[test]
fn who_interrupts_the_waiting_is_told_the_ids_that_are_left() {
    for (name, code) in [("INT", 130), ("TERM", 143)] {
        let questions = [(QUESTION, translated(1)), (QUESTION, String::new())];
        let mut answers = vec![(LINES, taken(3) + "0\r\n\r\n")];
        answers.extend(questions);
        let (program, answerer) = answering(answers);
        let mut submit = program.command(&SUBMIT);
        submit.args(["--out", "translations.txt"]);
        let submit = submit.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        let submit = submit.expect("the program begins");
        answerer.join().expect("all was asked");
        signal(name, submit.id());
        let said = Said::of(&submit.wait_with_output().expect("an end"));
        assert_eq!(said.code, code, "{}", said.err);
        assert_told(&said, &[2, 3]);
        let translations = fs::read_to_string(program.path("translations.txt"));
        assert_eq!(translations.expect("written"), "[es] One\n");
    }
}

#[test]
fn lines_that_are_not_taken_for_a_moment_are_handed_in_again_and_told_in_order() {
    let busy = json!({"title": "Service Unavailable", "status": 503, "detail": "draining"});
    let again = busy.to_string() + "\n";
    let whole_answers = |lines: Vec<String>| answers(lines) + "0\r\n\r\n";
    let whole = format!("HTTP/1.1 503 Service Unavailable\r\n\r\n{busy}");
    let program = beside(vec![
        (
            LINES,
            whole_answers(vec![taken_line(1), again.clone(), taken_line(3)]),
        ),
        (LINES, whole),
        (LINES, whole_answers(vec![again])),
        (LINES, whole_answers(vec![taken_line(2)])),
    ]);
    let said = program.run(&SUBMIT[..5]);
    let ids = (1..=3).map(|number| id(number) + "\n");
    assert_eq!(said.well(), ids.collect::<String>());
}

#[test]
fn a_service_that_can_not_tell_for_a_moment_is_asked_again() {
    let problem = json!({"title": "Service Unavailable", "status": 503, "detail": "restarting"});
    let busy = format!("HTTP/1.1 503 Service Unavailable\r\n\r\n{problem}");
    let mut answers = vec![(LINES, taken(3) + "0\r\n\r\n")];
    for number in 1..=3 {
        answers.extend([(QUESTION, busy.clone()), (QUESTION, translated(number))]);
    }
    let said = beside(answers).run(&SUBMIT);
    assert_eq!(said.well(), "[es] One\n[es] Two\n[es] Three\n");
}
