//! What is left of a day's quota, and what is told of it, when the program is killed on its way.

use std::fmt::Write as _;

use serde_json::Value;

use crate::harness::{Program, UNCHECKED, until};
use crate::simulators::provider::{Dialect, ProviderSimulator};

const DAY: usize = 600;
const AT_ONCE: usize = 4;

/// The only lane.
fn lane(program: &Program) -> Value {
    program.status()["lanes"][0].clone()
}

/// The day's window of the only lane.
fn day(program: &Program) -> Value {
    let lane = lane(program);
    let windows = lane["windows"].as_array().expect("windows");
    let day = windows.iter().find(|window| window["per"] == "day");
    day.unwrap_or_else(|| panic!("no day in {lane}")).clone()
}

#[test]
fn a_days_quota_is_never_too_much_and_hardly_too_little_after_kills() {
    let simulator = ProviderSimulator::start();
    let url = simulator.base_url(Dialect::LibreTranslate);
    let mut program = Program::started(&format!(
        "{UNCHECKED}[batching]\nmax_batch_size = 1\n
        [[provider]]\nname = \"local\"\nkind = \"libretranslate\"\nbase_url = \"{url}\"
        limits = {{ rpd = {DAY}, concurrency = {AT_ONCE} }}\n"
    ));
    let mut lines = String::new();
    for number in 0..DAY + 200 {
        let text = format!(
            "{{\"text\": \"Text {number} of a day.\", \"targets\": [\"es\"], \"source\": \"en\"}}"
        );
        writeln!(lines, "{text}").expect("a text takes any line");
    }
    assert_eq!(program.hand_in(lines.as_bytes()).len(), DAY + 200);

    for n_calls in [100, 250] {
        until("calls were made", || {
            (simulator.n_calls() >= n_calls).then_some(())
        });
        program.kill();
        program.start();
        let used = day(&program)["used"].as_u64().expect("a number") as usize;
        let made = simulator.n_calls();
        assert!(
            used >= made.saturating_sub(AT_ONCE) && used <= DAY,
            "{used} after {made}"
        );
    }
    until("the day is used up", || {
        let is_idle = lane(&program)["in_flight"] == 0;
        (is_idle && day(&program)["used"] == DAY).then_some(())
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
