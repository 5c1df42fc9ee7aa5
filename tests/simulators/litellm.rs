//! A real LiteLLM proxy on 127.0.0.1, in front of no model.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long it may take to begin: it imports a great deal.
const PATIENCE: Duration = Duration::from_secs(180);

/// Where `scripts/test` installs it, below the home folder.
const CACHED: &str = ".cache/babelfeed/litellm-1.106.2/bin/python";

/// The address of the one that all tests of a program share, since each takes seconds to begin.
///
/// It ends with the program that started it: the system sees to that.
///
/// # Panics
/// When LiteLLM is not installed, or does not begin.
pub fn shared() -> &'static str {
    static ADDRESS: OnceLock<String> = OnceLock::new();
    ADDRESS.get_or_init(|| {
        let (sender, started) = mpsc::channel();
        // It ends with the thread that started it, so that thread must outlive each test.
        thread::spawn(move || {
            let litellm = LiteLlm::start();
            sender.send(litellm.address()).expect("a test waits");
            loop {
                thread::park();
            }
        });
        started.recv().expect("LiteLLM begins")
    })
}

struct LiteLlm {
    process: Child,
    folder: TempDir,
}

impl LiteLlm {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = spawn(folder.path());
        let mut litellm = Self { process, folder };
        litellm.wait_until_up();
        litellm
    }

    fn address(&self) -> String {
        let port = fs::read_to_string(self.port_file()).expect("a port");
        format!("http://127.0.0.1:{}", port.trim())
    }

    fn port_file(&self) -> PathBuf {
        self.folder.path().join("port")
    }

    fn wait_until_up(&mut self) {
        let begun = Instant::now();
        while !self.port_file().exists() {
            let ended = self.process.try_wait().expect("a status");
            let is_late = begun.elapsed() > PATIENCE;
            if ended.is_some() || is_late {
                let log = fs::read_to_string(self.folder.path().join("log"));
                panic!(
                    "LiteLLM did not begin ({ended:?}); scripts/test installs it:\n{}",
                    log.unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for LiteLlm {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Python that has LiteLLM: the one that `BABELFEED_TEST_LITELLM` names, or the cached one.
fn python() -> PathBuf {
    std::env::var_os("BABELFEED_TEST_LITELLM").map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_default();
            Path::new(&home).join(CACHED)
        },
        PathBuf::from,
    )
}

fn spawn(folder: &Path) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/litellm-loopback.py");
    let log = File::create(folder.join("log")).expect("a log");
    let python = python();
    Command::new(&python)
        .args(["-I", script])
        .arg(folder.join("port"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; scripts/test installs LiteLLM",
                python.display()
            )
        })
}
