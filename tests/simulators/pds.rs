//! Bluesky's own PDS on 127.0.0.1, as npm has it, with accounts that tests make.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// How long it may take to begin.
const PATIENCE: Duration = Duration::from_secs(120);
/// Where `scripts/test` installs it, below the home folder.
const CACHED: &str = ".cache/babelfeed/bluesky-0.5.35";
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
        static N_ACCOUNTS: AtomicU64 = AtomicU64::new(1);
        let port = shared();
        let number = N_ACCOUNTS.fetch_add(1, Ordering::SeqCst);
        let handle = format!("tester{number}.test");
        let wanted = json!({
            "handle": handle, "email": format!("tester{number}@example.test"), "password": PASSWORD,
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
        let mut posts = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = get(
                self.port,
                &format!(
                    "com.atproto.repo.listRecords?repo={}&collection=app.bsky.feed.post&limit=100&reverse=true{cursor}",
                    self.did
                ),
            );
            for record in page["records"].as_array().expect("records") {
                let uri = record["uri"].as_str().expect("an address");
                let key = uri.rsplit('/').next().expect("a key");
                posts.push((key.to_owned(), record["value"].clone()));
            }
            match page["cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return posts,
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
        exchange(self.port, "GET", &path, "", &[])
            .expect("an answer")
            .1
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

struct Pds {
    process: Child,
    folder: TempDir,
}

impl Pds {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let process = spawn(folder.path());
        let mut pds = Self { process, folder };
        pds.wait_until_up();
        pds
    }

    fn port(&self) -> u16 {
        let port = fs::read_to_string(self.port_file()).expect("a port");
        port.trim().parse().expect("a number")
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
    let log = File::create(folder.join("log")).expect("a log");
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

fn get(port: u16, path: &str) -> Value {
    let (head, body) = exchange(port, "GET", &format!("/xrpc/{path}"), "", &[]).expect("an answer");
    let body = String::from_utf8(body).expect("a text");
    assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}\n{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn post(port: u16, method: &str, token: &str, body: &Value) -> Value {
    let body = body.to_string();
    post_as(port, method, token, "application/json", body.as_bytes())
}

fn post_as(port: u16, method: &str, token: &str, mime: &str, body: &[u8]) -> Value {
    let path = format!("/xrpc/{method}");
    let headers = match token {
        "" => format!("Content-Type: {mime}\r\n"),
        token => format!("Content-Type: {mime}\r\nAuthorization: Bearer {token}\r\n"),
    };
    let (head, body) = exchange(port, "POST", &path, &headers, body).expect("an answer");
    let body = String::from_utf8(body).expect("a text");
    assert!(head.starts_with("HTTP/1.1 200"), "{method}: {head}\n{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// One exchange on a connection of its own: the head and the body of the answer.
fn exchange(
    port: u16,
    method: &str,
    path: &str,
    headers: &str,
    body: &[u8],
) -> io::Result<(String, Vec<u8>)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\
         {headers}Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n");
    let end = end.ok_or(io::ErrorKind::InvalidData)?;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let body = answer[end + 4..].to_vec();
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    Ok((head, if is_chunked { joined(&body) } else { body }))
}

/// A body without the lengths of its chunks.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|it| it == b"\r\n") {
        let length = String::from_utf8_lossy(&chunks[..end]).into_owned();
        let length = usize::from_str_radix(length.trim(), 16).expect("a length");
        if length == 0 {
            break;
        }
        body.extend(&chunks[end + 2..end + 2 + length]);
        chunks = &chunks[end + 4 + length..];
    }
    body
}
