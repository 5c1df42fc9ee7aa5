//! What is left of quotas, and what is told of them, when the program is killed on its way.

use std::fmt::Write as _;
use std::ops::Range;
use std::time::Instant;

use serde_json::Value;

use crate::harness::{Program, UNCHECKED, until};
use crate::simulators::provider::account::{Account, Counted, House};
use crate::simulators::provider::{Dialect, ProviderSimulator};

const DAY: usize = 600;
const MINUTE: usize = 600;
const AT_ONCE: usize = 4;

/// The only lane.
fn lane(program: &Program) -> Value {
    program.status()["lanes"][0].clone()
}

/// A window of the only lane.
fn window(program: &Program, per: &str) -> Value {
    let lane = lane(program);
    let windows = lane["windows"].as_array().expect("windows");
    let window = windows.iter().find(|window| window["per"] == per);
    window
        .unwrap_or_else(|| panic!("no {per} in {lane}"))
        .clone()
}

/// Hands so many texts in.
fn hand_in(program: &Program, numbers: Range<usize>) {
    let mut lines = String::new();
    for number in numbers.clone() {
        let text = format!(
            "{{\"text\": \"Text {number} of a day.\", \"targets\": [\"es\"], \"source\": \"en\"}}"
        );
        writeln!(lines, "{text}").expect("a text takes any line");
    }
    assert_eq!(program.hand_in(lines.as_bytes()).len(), numbers.len());
}

/// A program with one provider that may be asked so often, and so many texts, one a call.
fn with_texts(simulator: &ProviderSimulator, limit: &str, n_texts: usize) -> Program {
    let url = simulator.base_url(Dialect::LibreTranslate);
    let program = Program::started(&format!(
        "{UNCHECKED}[batching]\nmax_batch_size = 1\n
        [[provider]]\nname = \"local\"\nkind = \"libretranslate\"\nbase_url = \"{url}\"
        limits = {{ {limit}, concurrency = {AT_ONCE} }}\n"
    ));
    hand_in(&program, 0..n_texts);
    program
}

/// How much of a window the ledger says was used, once it was read.
fn used_before(program: &Program, per: &str) -> usize {
    until("the ledger was read", || {
        let used = window(program, per)["used"].as_u64().expect("a number");
        (used > 0).then_some(used as usize)
    })
}

#[test]
fn a_minutes_quota_is_never_too_much_after_kills() {
    let simulator = ProviderSimulator::start();
    let began = Instant::now();
    let mut program = with_texts(&simulator, &format!("rpm = {MINUTE}"), MINUTE + 200);

    for n_calls in [100, 250] {
        until("calls were made", || {
            (simulator.n_calls() >= n_calls).then_some(())
        });
        program.kill();
        program.start();
        let made = simulator.n_calls();
        let used = used_before(&program, "minute");
        let is_same_minute = began.elapsed().as_secs() < 60;
        assert!(!is_same_minute || used >= made, "{used} after {made}");
    }
    until("the minute is used up", || {
        let lane = lane(&program);
        (lane["binding"]["per"] == "minute" && lane["in_flight"] == 0).then_some(())
    });

    let n_calls = simulator.n_calls();
    let n_minutes = began.elapsed().as_secs() as usize / 60 + 1;
    assert!(n_calls <= n_minutes * MINUTE, "{n_calls}");
    // Each kill may cost the open blocks, the first one of the next ten seconds, which is drawn
    // ahead, and the calls that were granted and had not left.
    let lost = 2 * (MINUTE / 10 + MINUTE / 20 + AT_ONCE);
    assert!(n_calls >= MINUTE - lost, "{n_calls}");
}

#[test]
fn a_days_quota_is_never_too_much_and_hardly_too_little_after_kills() {
    let simulator = ProviderSimulator::start();
    let mut program = with_texts(&simulator, &format!("rpd = {DAY}"), DAY + 200);

    for n_calls in [100, 250] {
        until("calls were made", || {
            (simulator.n_calls() >= n_calls).then_some(())
        });
        program.kill();
        program.start();
        let used = used_before(&program, "day");
        let made = simulator.n_calls();
        assert!(
            used >= made.saturating_sub(AT_ONCE) && used <= DAY,
            "{used} after {made}"
        );
    }
    until("the day is used up", || {
        let is_idle = lane(&program)["in_flight"] == 0;
        (is_idle && window(&program, "day")["used"] == DAY).then_some(())
    });

    let n_calls = simulator.n_calls();
    assert!(n_calls <= DAY, "{n_calls}");
    // Each kill may cost a hundredth, and the calls that were granted and had not left.
    let lost = 2 * (DAY / 100 + AT_ONCE);
    assert!(n_calls >= DAY - lost, "{n_calls}");
    let binding = until("the lane says what it waits for", || {
        Some(lane(&program)["binding"].clone()).filter(Value::is_object)
    });
    assert_eq!(binding["unit"], "requests");
    assert_eq!(binding["per"], "day");
    assert_eq!(binding["known_by"], "settings");
    assert!(binding["opens_at"].is_string(), "{binding}");
    assert_eq!(program.n_logged("a lane waits for a limit"), 1);
}

#[test]
fn what_headers_told_is_kept_to_after_a_kill_so_that_nothing_bounces() {
    const LIMIT: usize = 40;
    let simulator = ProviderSimulator::start();
    let minute = Account::at(House::OpenAi).per_minute(Counted::Requests, LIMIT as f64);
    simulator.open(minute);
    let url = simulator.base_url(Dialect::OpenAi);
    let mut program = Program::started(&format!(
        "{UNCHECKED}[batching]\nmax_batch_size = 1\n
        [[provider]]\nname = \"local\"\nkind = \"openai\"\nmodel = \"m\"\nbase_url = \"{url}\"
        limits = {{ concurrency = {AT_ONCE} }}\n"
    ));
    hand_in(&program, 0..30);
    until("the texts are translated", || {
        let is_idle = lane(&program)["in_flight"] == 0;
        (simulator.n_calls() == 30 && is_idle).then_some(())
    });
    assert_eq!(window(&program, "minute")["remembered"], false);
    program.kill();
    program.start();

    let remembered = until("the ledger was read", || {
        let lane = lane(&program);
        let mut windows = lane["windows"].as_array().expect("windows").iter();
        windows.find(|window| window["per"] == "minute").cloned()
    });
    hand_in(&program, 30..100);
    let binding = until("the lane waits for its minute", || {
        let lane = lane(&program);
        (lane["binding"].is_object() && lane["in_flight"] == 0).then(|| lane["binding"].clone())
    });

    assert_eq!(remembered["limit"], LIMIT, "{remembered}");
    assert_eq!(remembered["known_by"], "headers", "{remembered}");
    assert_eq!(remembered["remembered"], true, "{remembered}");
    assert!(remembered["told_at"].is_string(), "{remembered}");
    assert!(remembered["used"].as_u64() >= Some(30), "{remembered}");
    assert_eq!(program.n_logged("a limit is remembered"), 1);
    assert_eq!(binding["per"], "minute", "{binding}");
    assert_eq!(binding["known_by"], "headers", "{binding}");
    let n_admitted = LIMIT - simulator.left(Counted::Requests) as usize;
    assert_eq!(simulator.n_calls(), n_admitted, "a call was refused");
    // The open blocks are lost, and the first one of the next ten seconds, which is drawn ahead.
    let lost = LIMIT / 10 + LIMIT / 20;
    assert!(n_admitted >= LIMIT - lost - 1, "{n_admitted}");
    let said = program.run(&["status"]).well();
    assert!(
        said.contains("requests per minute (known by headers"),
        "{said}"
    );
}
