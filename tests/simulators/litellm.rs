//! A real LiteLLM proxy on 127.0.0.1, in front of no model.

use std::process::Command;
use std::sync::OnceLock;

use super::process::{installed, kept, script};

/// The address of the one that all tests of a program share, since each takes seconds to begin.
///
/// It ends with the program that started it: the system sees to that.
///
/// # Panics
/// When LiteLLM is not installed, or does not begin.
pub fn shared() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let python = installed("BABELFEED_TEST_LITELLM", "litellm-1.106.2/bin/python");
        let mut command = Command::new(python);
        command.arg("-I").arg(script("litellm-loopback.py"));
        format!("http://127.0.0.1:{}", kept("LiteLLM", command))
    })
}
