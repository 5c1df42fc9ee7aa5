//! Real servers as processes of their own: begun, waited for, and ended.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::wait::look;

/// How long a server may take to begin: some import a great deal.
const PATIENCE: Duration = Duration::from_secs(180);

/// A server that runs; it is ended when it is dropped.
pub struct Process {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Begins it in a folder, and returns it with the port that it writes into the file that is its
    /// last argument.
    ///
    /// # Panics
    /// When it is not installed, or does not begin.
    pub fn start_in(folder: &Path, name: &'static str, mut command: Command) -> (Self, u16) {
        let file = folder.join("port");
        // It may be there from an earlier life.
        let _ = fs::remove_file(&file);
        command.arg(&file).current_dir(folder);
        let mut process = Self::spawn(name, &mut command, folder.join("log"));
        let port = process.until_up(|| port_in(&file));
        (process, port)
    }

    /// Begins it; what it says goes to the end of a log.
    ///
    /// # Panics
    /// When it is not installed.
    pub fn spawn(name: &'static str, command: &mut Command, log: PathBuf) -> Self {
        let file = File::options().create(true).append(true).open(&log);
        let file = file.expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a log"))
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| {
                let program = command.get_program().display();
                panic!("{program}: {error}; scripts/test installs {name}")
            });
        Self { name, child, log }
    }

    /// Waits until it serves, and returns what shows it; none if it ended before, or is too late.
    pub fn wait_until_up<T>(&mut self, mut find: impl FnMut() -> Option<T>) -> Option<T> {
        let found = look(PATIENCE, || match self.is_running() {
            true => find().map(Some),
            false => Some(None),
        });
        found.flatten()
    }

    /// Waits until it serves, and returns what shows it.
    ///
    /// # Panics
    /// When it ends before, or is too late.
    pub fn until_up<T>(&mut self, find: impl FnMut() -> Option<T>) -> T {
        self.wait_until_up(find).unwrap_or_else(|| {
            let log = fs::read_to_string(&self.log).unwrap_or_default();
            panic!(
                "{} did not begin; scripts/test installs it:\n{log}",
                self.name
            )
        })
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The port that a server wrote into a file as it began to listen.
pub fn port_in(file: &Path) -> Option<u16> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The port of a server that runs until this program ends, in a folder of its own.
///
/// # Panics
/// When it does not begin.
pub fn kept(name: &'static str, command: Command) -> u16 {
    let (sender, started) = mpsc::channel();
    // Some servers end with the thread that started them, so it must outlive each test.
    thread::spawn(move || {
        let folder = tempfile::tempdir().expect("a folder");
        let (_server, port) = Process::start_in(folder.path(), name, command);
        sender.send(port).expect("a test waits");
        loop {
            thread::park();
        }
    });
    started.recv().unwrap_or_else(|_| panic!("{name} begins"))
}

/// What a variable names, or else what `scripts/test` installed under this name.
pub fn installed(variable: &str, name: &str) -> PathBuf {
    let named = std::env::var_os(variable).map(PathBuf::from);
    named.unwrap_or_else(|| {
        let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        let home = std::env::var_os("HOME").unwrap_or_default();
        let cache = cache.unwrap_or_else(|| Path::new(&home).join(".cache"));
        cache.join("babelfeed").join(name)
    })
}

/// A script of this repository.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scripts")
        .join(name)
}
