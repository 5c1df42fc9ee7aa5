//! A real snac2, which speaks Mastodon's API, on 127.0.0.1.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::ask;
use super::process::Process;
use super::server::Answer;
use super::wait::look;

/// How long it may not let an account in.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many ports are tried, as another program may take one between finding and binding it.
const ATTEMPTS: usize = 5;

/// A running snac2; it is stopped when it is dropped.
pub struct Snac {
    process: Process,
    program: PathBuf,
    folder: TempDir,
    port: u16,
}

/// An account, with its token.
#[derive(Clone)]
pub struct User {
    pub name: String,
    pub token: String,
    pub id: String,
}

impl Snac {
    /// A server without accounts; none where `BABELFEED_TEST_SNAC` names no snac2.
    ///
    /// # Panics
    /// When it does not begin.
    pub fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("BABELFEED_TEST_SNAC") else {
            println!("skipped, because BABELFEED_TEST_SNAC names no snac2; scripts/test does");
            return None;
        };
        let program = PathBuf::from(program);
        let snac = (0..ATTEMPTS).find_map(|_| Self::attempt(&program));
        Some(snac.expect("snac2 begins to serve on a free port"))
    }

    fn attempt(program: &Path) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let base = folder.path().join("base");
        let answers = format!("127.0.0.1\n{port}\n127.0.0.1:{port}\n\n\n");
        run(program, &["init"], &base, &[], &answers);
        change_settings(&base);
        Some(Self {
            process: start(program, &base, port)?,
            program: program.to_owned(),
            folder,
            port,
        })
    }

    /// An account of that name.
    pub fn add_user(&self, name: &str) -> User {
        let answers = "\n\n\n\n";
        let mut said = run(&self.program, &["adduser"], &self.base(), &[name], answers);
        let begin = Instant::now();
        loop {
            let (_, password) = said.rsplit_once(" is ").expect("a password");
            let password = password.lines().next().unwrap_or_default().trim();
            if let Some(user) = self.log_in(name, password) {
                return user;
            }
            // Some of the passwords that it makes it does not know again.
            assert!(begin.elapsed() < PATIENCE, "snac2 does not let `{name}` in");
            said = run(&self.program, &["resetpwd"], &self.base(), &[name], "");
        }
    }

    fn log_in(&self, name: &str, password: &str) -> Option<User> {
        let form = format!("login={name}&passwd={password}");
        let kind = [("content-type", "application/x-www-form-urlencoded")];
        let answer = self.ask("POST", "/oauth/x-snac-get-token", &kind, form.as_bytes());
        let token = String::from_utf8(answer.body).ok()?.trim().to_owned();
        // A wrong password is answered by a page.
        if !token.chars().all(|it| it.is_ascii_alphanumeric()) {
            return None;
        }
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str())];
        let answer = self.ask("GET", "/api/v1/accounts/verify_credentials", &headers, b"");
        let account: Value = serde_json::from_slice(&answer.body).ok()?;
        Some(User {
            name: name.to_owned(),
            id: account["id"].as_str()?.to_owned(),
            token,
        })
    }

    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Posts as that account; returns the status.
    pub fn post(&self, user: &User, status: &Value) -> Value {
        self.call(user, "POST", "/api/v1/statuses", status)
    }

    /// Changes a status, in a later second than all that was before; returns it.
    pub fn edit(&self, user: &User, id: &str, status: &Value) -> Value {
        await_another_second();
        self.call(user, "PUT", &format!("/api/v1/statuses/{id}"), status)
    }

    /// Hands a picture in; returns its id.
    pub fn hand_in(&self, user: &User, png: &[u8], description: &str) -> String {
        // It knows files by their names alone.
        let name = description.replace(' ', "-");
        let head = format!(
            "--line\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}.png\"\r\n\
             Content-Type: image/png\r\n\r\n"
        );
        let tail = format!(
            "\r\n--line\r\nContent-Disposition: form-data; name=\"description\"\r\n\r\n\
             {description}\r\n--line--\r\n"
        );
        let body = [head.as_bytes(), png, tail.as_bytes()].concat();
        let token = format!("Bearer {}", user.token);
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "multipart/form-data; boundary=line"),
        ];
        let answer = self.ask("POST", "/api/v2/media", &headers, &body);
        let medium: Value = serde_json::from_slice(&answer.body).expect("a medium");
        medium["id"].as_str().expect("an id").to_owned()
    }

    /// All statuses of an account that stand, the oldest first.
    pub fn statuses(&self, user: &User) -> Vec<Value> {
        let path = format!("/api/v1/accounts/{}/statuses?limit=40", user.id);
        let page = self.call(user, "GET", &path, &json!({}));
        let mut statuses = page.as_array().expect("statuses").clone();
        statuses.reverse();
        statuses
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Begins again at the same port with what it has written down.
    ///
    /// # Panics
    /// When somebody else has taken the port.
    pub fn start_again(&mut self) {
        let process = start(&self.program, &self.base(), self.port);
        self.process = process.expect("snac2 begins again at its port");
    }

    fn base(&self) -> PathBuf {
        self.folder.path().join("base")
    }

    fn call(&self, user: &User, method: &str, path: &str, body: &Value) -> Value {
        let token = format!("Bearer {}", user.token);
        let headers = [
            ("authorization", token.as_str()),
            ("content-type", "application/json"),
        ];
        let body = match method {
            "GET" => String::new(),
            _ => body.to_string(),
        };
        let answer = self.ask(method, path, &headers, body.as_bytes());
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| {
            let body = String::from_utf8_lossy(&answer.body);
            panic!("{method} {path}: {} {error}: {body}", answer.status)
        })
    }

    fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        ask(self.port, method, path, headers, body).expect("an answer of snac2")
    }
}

/// Begins to serve; none if it ended, as where the port is taken.
fn start(program: &Path, base: &Path, port: u16) -> Option<Process> {
    let mut command = Command::new(program);
    command.arg("httpd").arg(base);
    let mut process = Process::spawn("snac2", &mut command, base.with_extension("log"));
    let answer = || ask(port, "GET", "/api/v1/instance", &[], b"").ok();
    process.wait_until_up(|| answer().filter(|it| it.status == 200))?;
    Some(process)
}

/// Runs one of its commands with answers to what it asks, and returns what it says.
fn run(program: &Path, before: &[&str], base: &Path, after: &[&str], answers: &str) -> String {
    let mut process = Command::new(program)
        .args(before)
        .arg(base)
        .args(after)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("snac2 begins");
    let mut input = process.stdin.take().expect("an input");
    input.write_all(answers.as_bytes()).expect("is asked");
    drop(input);
    let output = process.wait_with_output().expect("ends");
    assert!(
        output.status.success(),
        "snac2 {before:?}: {}",
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// HTTP instead of HTTPS; and no deliveries to itself, which would take all of its threads.
fn change_settings(base: &Path) {
    let path = base.join("server.json");
    let text = fs::read_to_string(&path).expect("its settings");
    let mut settings: Value = serde_json::from_str(&text).expect("JSON");
    settings["protocol"] = json!("http");
    settings["num_threads"] = json!(16);
    settings["badlogin_retries"] = json!(1_000);
    settings["shared_inboxes"] = json!(false);
    settings["disable_inbox_collection"] = json!(true);
    fs::write(&path, settings.to_string()).expect("written");
}

/// Waits until the clock shows another second: snac2's ids and times of edits bear whole ones.
fn await_another_second() {
    let second = || {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.expect("a time after 1970").as_secs()
    };
    let begun = second();
    let another = look(PATIENCE, || (second() != begun).then_some(()));
    another.expect("a clock that goes on");
}
