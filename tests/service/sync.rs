//! Nothing is acknowledged before it is durable.
#![cfg(feature = "failpoints")]

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::harness::{Program, until};
use crate::http;
use crate::patient::Patient;

/// How long is listened for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(700);

#[test]
fn nothing_is_acknowledged_while_the_disk_withholds_the_sync() {
    let patient = Patient::start(0, 0);
    let mut program = Program::new(&patient.settings());
    let hold = program.path("hold");
    program.set("BABELFEED_FAIL_SYNC", hold.to_str().expect("a path"));
    program.start();
    program.write("hold", "");
    let body = json!({"text": "Good day", "targets": ["es"], "key": "withheld"}).to_string();
    let bodies = [
        ("application/json", body.clone()),
        (
            "application/x-ndjson",
            body.replace("withheld", "streamed") + "\n",
        ),
    ];
    let (sender, answers) = channel();
    for (kind, body) in bodies {
        let (sender, socket) = (sender.clone(), program.socket());
        thread::spawn(move || {
            let path = "/v1/requests";
            let answer = http::exchange(&socket, "POST", path, kind, body.as_bytes());
            sender.send(answer.expect("an answer")).expect("heard");
        });
    }
    until("both are handed in", || {
        (program.status()["queue"]["Submitted"] == 2).then_some(())
    });

    let early = answers.recv_timeout(SILENCE);
    std::fs::remove_file(&hold).expect("lifted");

    assert!(
        matches!(early, Err(RecvTimeoutError::Timeout)),
        "an answer came before the sync"
    );
    for _ in 0..2 {
        let answer = answers
            .recv_timeout(crate::harness::PATIENCE)
            .expect("an answer");
        assert!(matches!(answer.status, 200 | 202));
        assert!(answer.body.windows(8).any(|word| word == b"\"tasks\":"));
    }
}
