//! A real translator: Debian's Apertium, which is a server of its own.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Program, until};
use crate::simulators::process::{Process, port_in, script};

/// A server of Apertium that this test ends and begins as it likes.
pub struct Apertium {
    process: Process,
    folder: TempDir,
}

impl Apertium {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = start(&folder);
        Self { process, folder }
    }

    fn base_url(&self) -> String {
        let port = port_in(&port_file(&self.folder)).expect("a port");
        format!("http://127.0.0.1:{port}")
    }

    fn kill(&mut self) {
        self.process.kill();
    }

    /// Begins again at the same port.
    fn start_again(&mut self) {
        self.process = start(&self.folder);
    }
}

fn port_file(folder: &TempDir) -> PathBuf {
    folder.path().join("port")
}

/// Debian's own Python, because another has neither tornado nor APy.
fn start(folder: &TempDir) -> Process {
    let file = port_file(folder);
    let mut command = Command::new("/usr/bin/python3");
    command
        .arg("-I")
        .arg(script("apertium-loopback.py"))
        .arg(&file);
    let mut process = Process::spawn("Apertium", &mut command, folder.path().join("log"));
    // The file may be of an earlier life.
    process.until_up(|| TcpStream::connect(("127.0.0.1", port_in(&file)?)).ok());
    process
}

/// The server that the tests were given, or one of this test's own.
pub fn shared() -> (String, Option<Apertium>) {
    match std::env::var("BABELFEED_TEST_APERTIUM") {
        Ok(url) => (url, None),
        Err(_) => {
            let own = Apertium::start();
            (own.base_url(), Some(own))
        }
    }
}

fn program(base_url: &str) -> Program {
    Program::started(&format!(
        "[[provider]]\nname = \"apertium\"\nkind = \"apertium\"\nbase_url = \"{base_url}\"\n"
    ))
}

fn body(text: &str, target: &str) -> Value {
    json!({"text": text, "targets": [target], "source": "en"})
}

#[test]
fn real_sentences_are_translated_with_their_spans_intact() {
    let (base_url, _own) = shared();
    let program = program(&base_url);
    for (text, words, spans) in [
        (
            "The dogs are in the big house.",
            &["perros", "casa"][..],
            &[][..],
        ),
        (
            "The mayor @dog@example.org reads https://example.org/cats?q=house about #dogs.",
            &["alcalde"],
            &[
                "@dog@example.org",
                "https://example.org/cats?q=house",
                "#dogs",
            ],
        ),
        (
            "The water is cold ❄️ and the bob.bsky.social is mine.",
            &["agua"],
            &["❄️"],
        ),
    ] {
        let id = program.submit(&body(text, "es"));

        let task = program.final_task(&id);

        assert_eq!(task["state"], "Completed", "{task}");
        let translated = task["result"]["text"].as_str().expect("a text");
        for part in words.iter().chain(spans) {
            assert!(translated.contains(part), "{part} in {translated}");
        }
        assert!(!translated.contains(['⟦', '*']), "{translated}");
    }
}

#[test]
fn a_pair_that_is_not_installed_has_no_route() {
    let (base_url, _own) = shared();
    let program = program(&base_url);
    let id = program.submit(&body("The dogs are in the house.", "ja"));

    let task = program.final_task(&id);

    assert_eq!(task["state"], "Failed", "{task}");
    assert_eq!(task["error"]["kind"], "no_route");
    let well = program.submit(&body("The dogs are in the house.", "es"));
    assert_eq!(
        program.final_task(&well)["state"],
        "Completed",
        "the known pair goes on"
    );
}

#[test]
fn tasks_wait_for_a_translator_that_died_and_finish_when_it_is_back() {
    let mut apertium = Apertium::start();
    let program = program(&apertium.base_url());
    let warm = program.submit(&body("Good morning.", "es"));
    assert_eq!(program.final_task(&warm)["state"], "Completed");
    let lines: String = (0..300)
        .map(|number| body(&format!("The dog has {number} houses."), "es").to_string() + "\n")
        .collect();
    let answers = program.hand_in(lines.as_bytes());
    assert_eq!(answers.len(), 300);
    until("some of them are done", || {
        let done = program.get("/v1/metrics").json()["tasks"]["completed"].as_u64();
        (done > Some(10)).then_some(())
    });
    apertium.kill();
    until("the lane is closed", || {
        (program.n_logged("a lane is closed") > 0).then_some(())
    });
    let waiting = program.get("/v1/tasks?state=Completed&limit=1000").json();
    let n_done = waiting["tasks"].as_array().expect("tasks").len();
    assert!(n_done < 301, "it died in the middle");
    apertium.start_again();

    for answer in &answers {
        let id = answer["id"].as_str().expect("an id");
        let task = program.final_task(id);
        assert_eq!(task["state"], "Completed", "{task}");
    }
    assert_eq!(program.n_logged("a lane is closed"), 1, "said once");
    assert_eq!(program.n_logged("a lane is open again"), 1);
    let log = program.log();
    let n_lines = log
        .lines()
        .filter(|line| !line.starts_with("metrics "))
        .count();
    assert!(n_lines < 20, "{n_lines} lines are told");
}
