//! Runs the built program in a folder of its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::http::{self, Answer};
use crate::simulators::wait::{Watched, look, tell_change};

/// How long anything may take that must become true.
pub const PATIENCE: Duration = Duration::from_secs(60);
const JSON: &str = "application/json";
const LINES: &str = "application/x-ndjson";

/// The checks of translations switched off, for simulators that do not really translate.
pub const UNCHECKED: &str =
    "[checks]\nlanguage = false\necho = false\nlength = false\nnotes = false\n";

/// An outlet's limits without the pace of its network, which no simulator wants kept.
pub const AT_ONCE: &str = "limits.rps = 100\nlimits.rpm = 6000\n";

/// Waits until something becomes true, and returns what it then is.
pub fn until<T>(what: &str, find: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, find)
}

/// Waits so long at most until something becomes true, and returns what it then is.
pub fn until_within<T>(patience: Duration, what: &str, find: impl FnMut() -> Option<T>) -> T {
    look(patience, find).unwrap_or_else(|| panic!("waited {patience:?} in vain until {what}"))
}

/// Hands many in where a service is heard, and returns what was answered, until it ended or died.
pub fn hand_in(socket: &Path, lines: &[u8]) -> Vec<Value> {
    http::exchange_until_death(socket, "/v1/requests", LINES, lines).lines()
}

/// What a command said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Of a process that has ended.
    pub fn of(output: &Output) -> Self {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }

    /// What a command printed that ended well.
    pub fn well(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    /// That as JSON.
    pub fn json(self) -> Value {
        let out = self.well();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

/// Lines of JSON.
pub fn json_lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The program with its folder; ended when it is dropped.
pub struct Program {
    folder: TempDir,
    environment: Vec<(String, String)>,
    options: Vec<String>,
    process: Option<Child>,
    /// Whether the process has closed its standard output, as it does with its end.
    is_over: Arc<Watched<bool>>,
}

impl Program {
    /// A folder with these settings, and nothing that runs yet.
    pub fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let program = Self {
            folder,
            environment: Vec::new(),
            options: Vec::new(),
            process: None,
            is_over: Arc::default(),
        };
        program.write("Settings.toml", settings);
        program
    }

    /// A service that runs with these settings.
    pub fn started(settings: &str) -> Self {
        let mut program = Self::new(settings);
        program.start();
        program
    }

    /// Gives the program a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.into(), value.into()));
    }

    /// Gives the service an option.
    pub fn option(&mut self, option: &str) {
        self.options.push(option.into());
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Adds to the settings.
    pub fn add(&self, settings: &str) {
        let all = self.read("Settings.toml") + settings;
        self.write("Settings.toml", &all);
    }

    /// What a file of the folder says; nothing, if it is not there.
    pub fn read(&self, name: &str) -> String {
        match fs::read_to_string(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read.expect("a text"),
        }
    }

    /// The publications in the file of an outlet.
    pub fn published(&self, name: &str) -> Vec<Value> {
        json_lines(&self.read(name))
    }

    /// What the service wrote to standard error, all its lives together.
    pub fn log(&self) -> String {
        self.read("stderr.log")
    }

    /// The lines of the log with this in it.
    pub fn n_logged(&self, what: &str) -> usize {
        let log = self.log();
        log.lines().filter(|line| line.contains(what)).count()
    }

    /// Runs the service, and waits until it is ready.
    pub fn start(&mut self) {
        self.spawn();
        let socket = self.socket();
        until("the service is ready", || {
            let process = self.process.as_mut().expect("it was started");
            if let Some(status) = process.try_wait().expect("a status") {
                panic!("the service ended with {status}:\n{}", self.log());
            }
            let answer = http::exchange(&socket, "GET", "/readyz", JSON, b"").ok()?;
            (answer.status == 200).then_some(())
        });
        self.follow_events();
    }

    /// Tells of a change at each event of the service, as long as it tells them.
    fn follow_events(&self) {
        let events = http::ask(&self.socket(), "GET", "/v1/events", JSON, b"");
        let mut events = events.expect("a stream of events");
        thread::spawn(move || {
            let mut chunk = [0; 16 << 10];
            while events.read(&mut chunk).is_ok_and(|n_bytes| n_bytes > 0) {
                tell_change();
            }
            tell_change();
        });
    }

    /// Runs the service, and waits for nothing.
    pub fn spawn(&mut self) {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path("stderr.log"))
            .expect("a log");
        let options = self.options.clone();
        let mut process = self
            .command(&["run"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program begins");
        let mut output = process.stdout.take().expect("piped");
        self.process = Some(process);
        self.is_over = Arc::default();
        let is_over = Arc::clone(&self.is_over);
        thread::spawn(move || {
            io::copy(&mut output, &mut io::sink()).expect("a pipe can be read");
            is_over.change(|is_over| *is_over = true);
        });
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("it runs").id()
    }

    /// Ends the service as a power cut would.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().expect("killed");
        process.wait().expect("ended");
    }

    /// Sends the service a signal, like `TERM`.
    pub fn signal(&self, name: &str) {
        signal(name, self.pid());
    }

    /// Waits until the service has ended.
    pub fn ended(&mut self) -> ExitStatus {
        assert!(
            self.is_over.wait(PATIENCE, |is_over| *is_over),
            "waited {PATIENCE:?} in vain until the service has ended"
        );
        let mut process = self.process.take().expect("it runs");
        process.wait().expect("a status")
    }

    /// Stops the service in order.
    pub fn stop(&mut self) {
        self.run(&["stop"]).well();
        let status = self.ended();
        assert!(status.success(), "{status}:\n{}", self.log());
    }

    /// The program with the settings of this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bare_command();
        command
            .args(arguments)
            .arg("--settings")
            .arg(self.path("Settings.toml"))
            .envs(self.environment.clone())
            .current_dir(self.folder.path());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str]) -> Said {
        finished(self.command(arguments))
    }

    /// Runs a command to its end, with something on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &str) -> Said {
        self.write("stdin", input);
        let input = File::open(self.path("stdin")).expect("was written");
        let mut command = self.command(arguments);
        command.stdin(input);
        finished(command)
    }

    /// Where the service is heard.
    pub fn socket(&self) -> PathBuf {
        self.path("data/babelfeed.sock")
    }

    pub fn get(&self, path: &str) -> Answer {
        http::exchange(&self.socket(), "GET", path, JSON, b"").expect("an answer")
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        http::exchange(&self.socket(), "POST", path, JSON, body.as_bytes()).expect("an answer")
    }

    /// Hands in many, and returns what was answered, until the service ended or died.
    pub fn hand_in(&self, lines: &[u8]) -> Vec<Value> {
        hand_in(&self.socket(), lines)
    }

    /// Hands one in, and returns the request's id.
    pub fn submit(&self, body: &Value) -> String {
        let answer = self.post("/v1/requests", body);
        let json = answer.json();
        assert!(matches!(answer.status, 200 | 202), "{json}");
        json["id"].as_str().expect("an id").to_owned()
    }

    /// A request as it stands.
    pub fn request(&self, id: &str) -> Value {
        self.get(&format!("/v1/requests/{id}")).json()
    }

    /// The only task of a request as it stands.
    pub fn task(&self, id: &str) -> Value {
        self.request(id)["tasks"][0].clone()
    }

    /// The only task of a request, once it and its publications are final.
    pub fn final_task(&self, id: &str) -> Value {
        let request = self.get(&format!("/v1/requests/{id}?wait=60")).json();
        let task = request["tasks"][0].clone();
        let state = task["state"].as_str().expect("a state").to_owned();
        assert!(
            matches!(&*state, "Completed" | "Failed"),
            "{request}\n{}",
            self.log()
        );
        task
    }

    /// Waits until the only task of a request is in this state.
    pub fn wait_for_state(&self, id: &str, state: &str) -> Value {
        until(&format!("{id} is {state}"), || {
            let task = self.task(id);
            (task["state"] == state).then_some(task)
        })
    }

    /// Waits until what the only task of a request has at an outlet is in this state.
    pub fn wait_for_publication(&self, id: &str, outlet: &str, state: &str) -> Value {
        until(&format!("{id} is {state} at {outlet}"), || {
            let task = self.task(id);
            let mut publications = task["publications"].as_array()?.iter();
            let publication = publications.find(|it| it["outlet"] == outlet)?;
            (publication["state"] == state).then(|| publication.clone())
        })
    }

    /// The status of the service.
    pub fn status(&self) -> Value {
        self.get("/v1/status").json()
    }

    /// Every task there is, page by page.
    pub fn all_tasks(&self) -> Vec<Value> {
        let mut tasks = Vec::new();
        let mut after = String::new();
        loop {
            let page = self.get(&format!("/v1/tasks?limit=1000{after}")).json();
            tasks.extend(page["tasks"].as_array().expect("tasks").iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return tasks,
            }
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // It may have ended by itself.
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            eprintln!("{}", tail(&self.log()));
        }
    }
}

/// The end of a log.
fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// The program without what the environment would change in it.
pub fn bare_command() -> Command {
    const NAMES: [&str; 6] = [
        "OPTIMIZATION_MODE",
        "MAX_CONCURRENT_TRANSLATIONS",
        "CONNECTION_POOL_SIZE",
        "ENABLE_PERFORMANCE_MONITORING",
        "ASYNC_MODE",
        "RUST_LOG",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_babelfeed"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("BABELFEED_") || NAMES.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}

/// Sends a process a signal, like `TERM`.
pub fn signal(name: &str, pid: u32) {
    let order = format!("kill -{name} {pid}");
    let sent = Command::new("sh").args(["-c", &order]).status();
    assert!(sent.expect("a shell").success(), "{order}");
}

/// Runs a command to its end, which must come in good time.
pub fn finished(mut command: Command) -> Said {
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program begins");
    let out = all_of(process.stdout.take().expect("piped"));
    let err = all_of(process.stderr.take().expect("piped"));
    let Ok(out) = out.recv_timeout(2 * PATIENCE) else {
        process.kill().expect("killed");
        process.wait().expect("ended");
        let err = err.recv().expect("no panic");
        panic!("{command:?} did not end: {}", String::from_utf8_lossy(&err));
    };
    Said::of(&Output {
        stdout: out,
        stderr: err.recv().expect("no panic"),
        status: process.wait().expect("a status"),
    })
}

/// Brings all that a process writes into a pipe, which ends with it.
fn all_of(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).expect("a pipe can be read");
        // Whoever began the process may have given it up.
        let _ = sender.send(bytes);
    });
    receiver
}
