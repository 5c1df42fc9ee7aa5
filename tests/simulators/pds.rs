//! Bluesky's own PDS on 127.0.0.1, as npm has it, with accounts that tests make.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::ask;
use super::server::Answer;

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where `scripts/test` installs it, below the home folder.
const CACHED: &str = ".cache/babelfeed/bluesky-0.6.7";
/// The password of every account.
pub const PASSWORD: &str = "only-for-tests";

/// An account on the PDS.
pub struct Account {
    pub handle: String,
    pub did: String,
    access: String,
    port: u16,
}

impl Account {
    /// A new account on the PDS that all tests of a program share.
    ///
    /// # Panics
    /// When the PDS is not installed, or does not begin.
    pub fn new() -> Self {
        Self::at(shared())
    }

    /// A new account on the PDS at that port.
    pub fn at(port: u16) -> Self {
        static N_ACCOUNTS: AtomicU64 = AtomicU64::new(1);
        let number = N_ACCOUNTS.fetch_add(1, Ordering::SeqCst);
        // Other programs may make accounts at the same server.
        let name = format!("t{}-{number}", std::process::id());
        let handle = format!("{name}.test");
        let wanted = json!({
            "handle": handle, "email": format!("{name}@example.test"), "password": PASSWORD,
        });
        let made = post(port, "com.atproto.server.createAccount", "", &wanted);
        let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{made}"));
        Self {
            did: text("did").to_owned(),
            access: text("accessJwt").to_owned(),
            handle,
            port,
        }
    }

    /// Where it logs in.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Every post that stands, with its key, in the order of keys.
    pub fn posts(&self) -> Vec<(String, Value)> {
        let keyed = |record: &Value| {
            let uri = record["uri"].as_str().expect("an address");
            let key = uri.rsplit('/').next().expect("a key");
            (key.to_owned(), record["value"].clone())
        };
        self.records().iter().map(keyed).collect()
    }

    /// Every post that stands as its server shows it, in the order of keys.
    pub fn records(&self) -> Vec<Value> {
        let mut records = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(
                self.port,
                &format!(
                    "com.atproto.repo.listRecords?repo={}&collection=app.bsky.feed.post&limit=100&reverse=true{cursor}",
                    self.did
                ),
            );
            records.extend(page["records"].as_array().expect("records").iter().cloned());
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return records,
            }
        }
    }

    /// Writes a post as another client of the account, and returns its address.
    pub fn post(&self, record: &Value) -> String {
        let reference = self.post_referred(record);
        reference["uri"].as_str().expect("an address").to_owned()
    }

    /// Uploads a file, and returns what stands for it in a record.
    pub fn upload(&self, mime: &str, bytes: &[u8]) -> Value {
        let method = "com.atproto.repo.uploadBlob";
        post_as(self.port, method, &self.access, mime, bytes)["blob"].clone()
    }

    /// Writes a post, and returns what answers to it refer to.
    pub fn post_referred(&self, record: &Value) -> Value {
        let body = json!({"repo": self.did, "collection": "app.bsky.feed.post", "record": record});
        let made = post(
            self.port,
            "com.atproto.repo.createRecord",
            &self.access,
            &body,
        );
        json!({"uri": made["uri"], "cid": made["cid"]})
    }

    /// The bytes of an uploaded file, by what stands for it in a record.
    pub fn blob(&self, blob: &Value) -> Vec<u8> {
        let link = blob["ref"]["$link"].as_str().expect("a reference");
        let path = format!("/xrpc/com.atproto.sync.getBlob?did={}&cid={link}", self.did);
        let answer = ask(self.port, "GET", &path, &[], b"").expect("an answer");
        assert_eq!(answer.status, 200, "{path}");
        answer.body
    }
}

/// The port of the one that all tests of a program share.
///
/// It ends with the program that started it: it watches over that itself.
fn shared() -> u16 {
    static PORT: OnceLock<u16> = OnceLock::new();
    *PORT.get_or_init(|| {
        let (sender, started) = mpsc::channel();
        // Held for as long as the program runs.
        thread::spawn(move || {
            let pds = Pds::start();
            sender.send(pds.port()).expect("a test waits");
            loop {
                thread::park();
            }
        });
        started.recv().expect("the PDS begins")
    })
}

/// A PDS of its own for a test that ends it; it is stopped when it is dropped.
pub struct Pds {
    process: Child,
    folder: TempDir,
}

impl Pds {
    /// A PDS without accounts.
    ///
    /// # Panics
    /// When it is not installed, or does not begin.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = spawn(folder.path());
        let mut pds = Self { process, folder };
        pds.wait_until_up();
        pds
    }

    /// A new account on it.
    pub fn add_account(&self) -> Account {
        Account::at(self.port())
    }

    pub fn port(&self) -> u16 {
        let port = fs::read_to_string(self.port_file()).expect("a port");
        port.trim().parse().expect("a number")
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("ended");
    }

    /// Begins again at the same port with what it has written down.
    pub fn start_again(&mut self) {
        let port = self.port();
        fs::remove_file(self.port_file()).expect("a file");
        self.process = spawn(self.folder.path());
        self.wait_until_up();
        assert_eq!(self.port(), port);
    }

    fn port_file(&self) -> PathBuf {
        self.folder.path().join("port")
    }

    fn wait_until_up(&mut self) {
        let begun = Instant::now();
        while !self.port_file().exists() {
            let ended = self.process.try_wait().expect("a status");
            if ended.is_some() || begun.elapsed() > PATIENCE {
                let log = fs::read_to_string(self.folder.path().join("log"));
                panic!(
                    "Bluesky's PDS did not begin ({ended:?}); scripts/test installs it:\n{}",
                    log.unwrap_or_default()
                );
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Pds {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the PDS is installed: where `BABELFEED_TEST_BLUESKY` says, or in the cache.
fn installed() -> PathBuf {
    std::env::var_os("BABELFEED_TEST_BLUESKY").map_or_else(
        || {
            let home = std::env::var_os("HOME").unwrap_or_default();
            Path::new(&home).join(CACHED)
        },
        PathBuf::from,
    )
}

fn spawn(folder: &Path) -> Child {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/bluesky-loopback.mjs");
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .expect("a log");
    let installed = installed();
    let node = installed.join("bin/node");
    Command::new(&node)
        .arg(script)
        .arg(&installed)
        .arg(folder.join("port"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; scripts/test installs Bluesky's PDS",
                node.display()
            )
        })
}

/// What the server at that port answers to a question with its parameters.
pub fn get(port: u16, question: &str) -> Value {
    let answer = ask(port, "GET", &format!("/xrpc/{question}"), &[], b"").expect("an answer");
    read(question, &answer)
}

fn post(port: u16, method: &str, token: &str, body: &Value) -> Value {
    let body = body.to_string();
    post_as(port, method, token, "application/json", body.as_bytes())
}

fn post_as(port: u16, method: &str, token: &str, mime: &str, body: &[u8]) -> Value {
    let path = format!("/xrpc/{method}");
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("content-type", mime)];
    if !token.is_empty() {
        headers.push(("authorization", &bearer));
    }
    let answer = ask(port, "POST", &path, &headers, body).expect("an answer");
    read(method, &answer)
}

fn read(what: &str, answer: &Answer) -> Value {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 200, "{what}: {body}");
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"))
}
