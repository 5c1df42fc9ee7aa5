//! A real nginx that serves a folder on 127.0.0.1.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::process::Process;

/// How many ports are tried, as another program may take one between finding and binding it.
const ATTEMPTS: usize = 5;

/// A running nginx; it is stopped when it is dropped.
pub struct Nginx {
    process: Process,
    prefix: TempDir,
    port: u16,
}

impl Nginx {
    /// Serves an empty folder.
    ///
    /// # Panics
    /// When nginx is not installed, or does not begin.
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// Serves an empty folder with more directives in its `server` block.
    ///
    /// `limit_req zone=one;` answers more than one request a second with 429.
    ///
    /// # Panics
    /// When nginx is not installed, or does not begin.
    pub fn start_with(directives: &str) -> Self {
        (0..ATTEMPTS)
            .find_map(|_| Self::attempt(directives))
            .expect("nginx begins to serve on a free port")
    }

    fn attempt(directives: &str) -> Option<Self> {
        let prefix = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        fs::create_dir(prefix.path().join("www")).expect("a folder");
        fs::write(
            prefix.path().join("nginx.conf"),
            settings(prefix.path(), port, directives),
        )
        .expect("settings");
        let process = spawn(prefix.path());
        let mut nginx = Self {
            process,
            prefix,
            port,
        };
        nginx.is_up().then_some(nginx)
    }

    /// Ends it, so that nobody listens at its port.
    pub fn stop(&mut self) {
        self.process.kill();
    }

    /// Begins again at the same port.
    ///
    /// # Panics
    /// When somebody else has taken the port.
    pub fn start_again(&mut self) {
        self.process = spawn(self.prefix.path());
        assert!(self.is_up(), "nginx begins again at port {}", self.port);
    }

    /// Like `http://127.0.0.1:PORT/NAME`.
    pub fn url(&self, name: &str) -> String {
        format!("http://127.0.0.1:{}/{name}", self.port)
    }

    /// The folder that is served.
    pub fn folder(&self) -> PathBuf {
        self.prefix.path().join("www")
    }

    /// Replaces a file of the folder as a whole.
    pub fn put(&self, name: &str, body: &str) {
        let aside = self.prefix.path().join("aside");
        fs::write(&aside, body).expect("writes");
        fs::rename(aside, self.folder().join(name)).expect("replaces");
    }

    /// The statuses that it answered, as its own log tells.
    pub fn statuses(&self) -> Vec<u16> {
        let log = fs::read_to_string(self.prefix.path().join("access.log")).unwrap_or_default();
        log.lines().filter_map(|line| line.parse().ok()).collect()
    }

    fn is_up(&mut self) -> bool {
        let port = self.port;
        let connected = || TcpStream::connect(("127.0.0.1", port)).ok();
        self.process.wait_until_up(connected).is_some()
    }
}

/// The nginx that `BABELFEED_TEST_NGINX` names, or the one that is found.
///
/// In one process, so that there is no worker that could outlive it.
fn spawn(prefix: &Path) -> Process {
    let program = std::env::var_os("BABELFEED_TEST_NGINX").unwrap_or_else(|| "nginx".into());
    let mut command = Command::new(program);
    command
        .arg("-p")
        .arg(prefix)
        .args(["-c", "nginx.conf", "-e", "error.log"]);
    Process::spawn("nginx", &mut command, prefix.join("output.log"))
}

fn settings(prefix: &Path, port: u16, directives: &str) -> String {
    let prefix = prefix.display();
    format!(
        "daemon off;
master_process off;
pid {prefix}/nginx.pid;
error_log {prefix}/error.log;
events {{}}
http {{
    types {{ application/atom+xml atom; application/rss+xml rss xml; text/html html; }}
    log_format status '$status';
    access_log {prefix}/access.log status;
    client_body_temp_path {prefix}/body;
    proxy_temp_path {prefix}/proxy;
    fastcgi_temp_path {prefix}/fastcgi;
    uwsgi_temp_path {prefix}/uwsgi;
    scgi_temp_path {prefix}/scgi;
    limit_req_zone $binary_remote_addr zone=one:1m rate=1r/s;
    limit_req_status 429;
    gzip on;
    gzip_min_length 1;
    gzip_types application/atom+xml application/rss+xml;
    server {{
        listen 127.0.0.1:{port};
        root {prefix}/www;
        {directives}
    }}
}}
"
    )
}
