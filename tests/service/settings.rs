//! Mistakes are told before anything begins, and one process at a time works in a folder.

use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Program, UNCHECKED, bare_command, finished, until};
use crate::patient::Patient;

#[test]
fn five_mistakes_are_told_in_one_report() {
    let program = Program::new(
        "[service]\nlog_format = \"yaml\"\ncolour = true\n\
         [[source]]\nname = \"news\"\nkind = \"feed\"\nurl = \"http://127.0.0.1/\"\nevery = \"fast\"\n\
         [[provider]]\nname = \"groq\"\nkind = \"openai\"\nmodel = \"m\"\n\
         base_url = \"http://127.0.0.1\"\napi_key_env = \"NO_SUCH_KEY\"\n\
         [[outlet]]\nname = \"es\"\nkind = \"file\"\npath = \"es.jsonl\"\n",
    );
    for command in ["run", "once", "check"] {
        let said = program.run(&[command]);

        assert_eq!(said.code, 64, "{command}: {}", said.err);
        for wanted in [
            "log_format",
            "service.colour",
            "every",
            "NO_SUCH_KEY",
            "language",
        ] {
            assert!(said.err.contains(wanted), "no {wanted} in {}", said.err);
        }
    }
    assert!(!program.path("data").exists(), "nothing was begun");
}

#[test]
fn an_unknown_key_is_refused_wherever_it_stands() {
    let program = Program::new("");
    for set in [
        "batching.colour=1",
        "nonsense.key=1",
        "source.news.every=\"1s\"",
    ] {
        let said = program.run(&["run", "--set", set]);
        assert_eq!(said.code, 64, "{set}: {}", said.err);
        let name = set.split('=').next().expect("a name");
        let last = name.rsplit('.').next().expect("a part");
        assert!(
            said.err.contains(last) || said.err.contains("news") || said.err.contains("nonsense"),
            "{set}: {}",
            said.err
        );
    }
}

#[test]
fn a_settings_file_that_was_named_must_exist() {
    let mut command = bare_command();
    command.args(["run", "--settings", "/nowhere/Settings.toml"]);
    let said = finished(command);
    assert_eq!(said.code, 64, "{}", said.err);
    assert!(said.err.contains("/nowhere/Settings.toml"), "{}", said.err);
}

#[test]
fn a_socket_path_that_is_too_long_is_a_mistake() {
    let program = Program::new("");
    let long = format!("service.socket=\"/tmp/{}.sock\"", "s".repeat(110));
    let said = program.run(&["run", "--set", &long]);
    assert_eq!(said.code, 64, "{}", said.err);
    assert!(said.err.contains("107"), "{}", said.err);
}

#[test]
fn a_second_instance_is_told_who_works_in_the_folder() {
    let program = Program::started("");
    let pid = program.pid().to_string();
    for second in ["run", "once"] {
        let said = program.run(&[second]);
        assert_eq!(said.code, 1, "{}", said.err);
        assert!(said.err.contains(&pid), "{second}: {}", said.err);
    }
    assert_eq!(program.get("/healthz").status, 200, "the first goes on");
}

#[test]
fn a_socket_that_a_dead_service_left_is_taken_over() {
    let mut program = Program::started("");
    program.kill();
    assert!(program.socket().exists(), "a power cut leaves the socket");
    program.start();
    assert_eq!(program.get("/healthz").status, 200);
    program.stop();
    assert!(!program.socket().exists(), "an orderly stop takes it away");
}

#[test]
fn a_socket_that_somebody_else_listens_at_is_left_alone() {
    let program = Program::new("");
    let path = program.path("other.sock");
    let _listener = UnixListener::bind(&path).expect("bound");
    let set = format!("service.socket=\"{}\"", path.display());
    let said = program.run(&["run", "--set", &set]);
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.err.contains("other.sock"), "{}", said.err);
    assert!(path.exists());
}

#[test]
fn the_socket_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let program = Program::started("");
    let mode = std::fs::metadata(program.socket())
        .expect("a socket")
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn variables_win_over_the_file_and_options_over_both() {
    let patient = Patient::start(0, 0);
    let mut program = Program::new(&patient.settings());
    program.write(
        "Settings.toml",
        &format!("[service]\ndata_dir = \"in-file\"\n{}", patient.settings()),
    );
    program.set("BABELFEED__SERVICE__DATA_DIR", "data");
    program.set("BABELFEED__SERVICE__LOG_FORMAT", "text");
    program.option("--set=service.log_format=\"json\"");
    program.start();
    assert!(program.path("data/babelfeed.db").exists());
    assert!(!program.path("in-file").exists());
    let log = program.log();
    let first = log.lines().next().expect("a line");
    let line: serde_json::Value = serde_json::from_str(first).expect("a line of JSON");
    assert!(line.is_object());
}

/// Holds the calls in flight together, with these variables and options, to that number.
fn makes_at_once(n_calls: u64, variables: &[(&str, &str)], options: &[&str]) {
    // Slow enough that all that may wait at once does.
    let patient = Patient::start(10, 10);
    patient.hold();
    let settings = format!(
        "{UNCHECKED}[batching]\nmax_batch_size = 1\n{}",
        patient.settings()
    );
    let mut program = Program::new(&settings);
    for (name, value) in variables {
        program.set(name, value);
    }
    for option in options {
        program.option(option);
    }
    program.start();
    let lines: String = (0..40)
        .map(|number| format!("{{\"text\": \"Text {number}\", \"targets\": [\"es\"]}}\n"))
        .collect();
    assert_eq!(program.hand_in(lines.as_bytes()).len(), 40);
    until("each call is made that may be", || {
        let n_processing = program.status()["queue"]["Processing"].as_u64();
        (n_processing == Some(n_calls) && patient.n_waiting() == n_calls).then_some(())
    });
    patient.release();
    until("everything is done", || {
        let status = program.status();
        let queue = status["queue"].as_object().expect("a queue");
        queue.values().all(|count| count == 0).then_some(())
    });
    assert_eq!(patient.most_waiting(), n_calls, "{variables:?} {options:?}");
}

#[test]
fn the_mode_decides_how_many_calls_are_made_at_once() {
    // One slot in ten, at least one, is kept for urgent work.
    makes_at_once(4, &[], &["--mode=memory"]);
    makes_at_once(18, &[("OPTIMIZATION_MODE", "speed")], &[]);
    let variable = [("OPTIMIZATION_MODE", "speed")];
    makes_at_once(9, &variable, &["--mode=balanced"]);
}

#[test]
fn the_variables_of_the_contract_are_honoured() {
    makes_at_once(2, &[("MAX_CONCURRENT_TRANSLATIONS", "3")], &[]);
    makes_at_once(1, &[("ASYNC_MODE", "false")], &[]);
}

#[test]
fn without_monitoring_nothing_is_measured_into_a_file() {
    let mut program = Program::new("[service]\nmetrics_every = \"1s\"\n");
    program.set("ENABLE_PERFORMANCE_MONITORING", "false");
    program.start();
    program.stop();
    let file: PathBuf = program.path("data/performance_metrics.json");
    assert!(!file.exists());
    assert_eq!(program.n_logged("metrics "), 0);
}

#[test]
fn as_installed_commands_look_for_the_service_where_it_is() {
    let unit = include_str!("../../deploy/babelfeed.service");
    let mut typed = unit.lines().filter_map(|line| line.strip_prefix("#   "));
    let change = typed.find(|line| line.starts_with("sed -i "));
    let change = change.expect("a change of the settings");
    let program = Program::new(include_str!("../../Settings.toml"));
    let settings = program.path("Settings.toml").display().to_string();
    let change = change.replace("/etc/babelfeed/Settings.toml", &settings);
    let changed = Command::new("sh").args(["-c", &change]).status();
    assert!(changed.expect("a shell").success(), "{change}");

    let said = program.run(&["status"]);

    assert_eq!(said.code, 69, "{}", said.err);
    let line = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key));
    let folder = line("StateDirectory=").expect("a folder");
    let socket = format!("at /var/lib/{folder}/babelfeed.sock, ");
    assert!(said.err.contains(&socket), "{}", said.err);
    assert!(
        !unit.contains("BABELFEED__"),
        "the settings alone say where it is"
    );
}
