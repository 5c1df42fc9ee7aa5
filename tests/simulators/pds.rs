//! Bluesky's own PDS on 127.0.0.1, as npm has it, with accounts that tests make.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rusqlite::{Connection, OpenFlags};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::ask;
use super::process::{Process, installed, kept, script};
use super::server::Answer;

const PDS: &str = "Bluesky's PDS";
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
            access: format!("Bearer {}", text("accessJwt")),
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

    /// Deletes a post as another client of the account.
    pub fn delete(&self, uri: &str) {
        let key = uri.rsplit('/').next().expect("a key");
        let body = json!({"repo": self.did, "collection": "app.bsky.feed.post", "rkey": key});
        let method = "com.atproto.repo.deleteRecord";
        post(self.port, method, &self.access, &body);
    }

    /// Makes a password for an app, and returns it.
    pub fn add_password(&self, name: &str) -> String {
        let method = "com.atproto.server.createAppPassword";
        let made = post(self.port, method, &self.access, &json!({"name": name}));
        made["password"].as_str().expect("a password").to_owned()
    }

    /// Takes a password for an app back.
    pub fn revoke_password(&self, name: &str) {
        let method = "com.atproto.server.revokeAppPassword";
        post(self.port, method, &self.access, &json!({"name": name}));
    }

    /// Uploads a file, and returns what stands for it in a record.
    pub fn upload(&self, mime: &str, bytes: &[u8]) -> Value {
        let method = "com.atproto.repo.uploadBlob";
        post_as(self.port, method, &self.access, mime, bytes)["blob"].clone()
    }

    /// Writes a post, and returns what answers to it refer to.
    pub fn post_referred(&self, record: &Value) -> Value {
        self.put_referred("app.bsky.feed.post", record)
    }

    /// Makes a list of accounts, and returns its address.
    pub fn list(&self, name: &str, accounts: &[&Self]) -> String {
        let at = "2026-11-21T12:00:00.000Z";
        let purpose = "app.bsky.graph.defs#curatelist";
        let list = json!({"purpose": purpose, "name": name, "createdAt": at});
        let list = self.put_referred("app.bsky.graph.list", &list)["uri"].clone();
        for account in accounts {
            let item = json!({"subject": account.did, "list": list, "createdAt": at});
            self.put_referred("app.bsky.graph.listitem", &item);
        }
        list.as_str().expect("an address").to_owned()
    }

    fn put_referred(&self, collection: &str, record: &Value) -> Value {
        let body = json!({"repo": self.did, "collection": collection, "record": record});
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
    *PORT.get_or_init(|| kept(PDS, command()))
}

/// A PDS of its own for a test that ends it; it is stopped when it is dropped.
pub struct Pds {
    process: Process,
    port: u16,
    folder: TempDir,
}

impl Pds {
    /// A PDS without accounts.
    ///
    /// # Panics
    /// When it is not installed, or does not begin.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (process, port) = Process::start_in(folder.path(), PDS, command());
        Self {
            process,
            port,
            folder,
        }
    }

    /// A new account on it.
    pub fn add_account(&self) -> Account {
        Account::at(self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Begins again at the same port with what it has written down.
    pub fn start_again(&mut self) {
        let (process, port) = Process::start_in(self.folder.path(), PDS, command());
        assert_eq!(port, self.port);
        self.process = process;
    }

    /// Begins anew without knowing the sessions that it has given out.
    pub fn forget_sessions(&mut self) {
        self.kill();
        let mut identity = self.identity();
        let secret = identity["jwtSecret"].as_str().expect("a secret");
        let another: String = secret.chars().rev().collect();
        identity["jwtSecret"] = json!(another);
        fs::write(self.identity_file(), identity.to_string()).expect("written");
        self.start_again();
    }

    /// The addresses of an account's posts in the order in which they were written, by the
    /// revisions of its repository.
    pub fn written(&self, account: &Account) -> Vec<String> {
        let accounts = fs::read_dir(self.folder.path().join("port.pds/actors"));
        let mut stores = accounts.expect("accounts").map(|folder| {
            let folder = folder.expect("a folder").path();
            folder.join(&account.did).join("store.sqlite")
        });
        let store = stores.find(|store| store.exists());
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let store = Connection::open_with_flags(store.expect("its store"), flags);
        let store = store.expect("a database");
        let sql = "SELECT uri FROM record WHERE collection = 'app.bsky.feed.post' ORDER BY repoRev";
        let mut statement = store.prepare(sql).expect("a statement");
        let found = statement.query_map((), |row| row.get(0)).expect("records");
        found.collect::<Result<_, _>>().expect("addresses")
    }

    /// Takes an account down, as those who run a server do.
    pub fn suspend(&self, account: &Account) {
        self.take_down(account, &json!({"applied": true, "ref": "test"}));
    }

    /// Lets an account be as it was.
    pub fn restore(&self, account: &Account) {
        self.take_down(account, &json!({"applied": false}));
    }

    fn take_down(&self, account: &Account, takedown: &Value) {
        let subject = json!({"$type": "com.atproto.admin.defs#repoRef", "did": account.did});
        let body = json!({"subject": subject, "takedown": takedown});
        let identity = self.identity();
        let password = identity["adminPassword"].as_str().expect("a password");
        let login = format!("Basic {}", STANDARD.encode(format!("admin:{password}")));
        let method = "com.atproto.admin.updateSubjectStatus";
        post(self.port(), method, &login, &body);
    }

    /// What makes it the one that it is, also when it begins again.
    fn identity(&self) -> Value {
        let identity = fs::read(self.identity_file()).expect("its identity");
        serde_json::from_slice(&identity).expect("JSON")
    }

    fn identity_file(&self) -> PathBuf {
        self.folder.path().join("port.pds/identity.json")
    }
}

/// What begins one, but for the file that it writes its port to.
fn command() -> Command {
    let folder = installed("BABELFEED_TEST_BLUESKY", "bluesky-0.6.7");
    let mut command = Command::new(folder.join("bin/node"));
    command.arg(script("bluesky-loopback.mjs")).arg(folder);
    command
}

/// What the server at that port answers to a question with its parameters.
pub fn get(port: u16, question: &str) -> Value {
    let answer = ask(port, "GET", &format!("/xrpc/{question}"), &[], b"").expect("an answer");
    read(question, &answer)
}

fn post(port: u16, method: &str, authorization: &str, body: &Value) -> Value {
    let body = body.to_string();
    let kind = "application/json";
    post_as(port, method, authorization, kind, body.as_bytes())
}

fn post_as(port: u16, method: &str, authorization: &str, mime: &str, body: &[u8]) -> Value {
    let path = format!("/xrpc/{method}");
    let mut headers = vec![("content-type", mime)];
    if !authorization.is_empty() {
        headers.push(("authorization", authorization));
    }
    let answer = ask(port, "POST", &path, &headers, body).expect("an answer");
    read(method, &answer)
}

fn read(what: &str, answer: &Answer) -> Value {
    let body = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, 200, "{what}: {body}");
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{what}: {error}: {body}"))
}
