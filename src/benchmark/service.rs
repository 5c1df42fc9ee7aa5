//! The service under test: a process of its own that is asked through its socket alone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;

use super::client;
use super::machine::{self, Memory};
use super::processes::{Process, tail};
use super::simulator::Dialect;

/// The settings as they ship, which every service under test starts from.
const SHIPPED: &str = include_str!("../../Settings.toml");

/// The name of the provider in the settings, where there is one.
pub(super) const PROVIDER: &str = "bench";

/// Variables that would win over the settings file.
const VARIABLES: [&str; 5] = [
    "OPTIMIZATION_MODE",
    "MAX_CONCURRENT_TRANSLATIONS",
    "CONNECTION_POOL_SIZE",
    "ENABLE_PERFORMANCE_MONITORING",
    "ASYNC_MODE",
];

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// How many tasks are read back at once.
const PAGE: usize = 1_000;

/// What differs between a service under test and the settings as they ship.
#[derive(Clone, Debug, Default)]
pub(super) struct Setup {
    changes: Vec<(&'static str, toml::Value)>,
    variables: Vec<(&'static str, &'static str)>,
    tables: Vec<(&'static str, toml::Table)>,
}

impl Setup {
    /// Nothing differs.
    pub(super) fn shipped() -> Self {
        Self::default()
    }

    /// One text a call or more, and so many calls in flight.
    pub(super) fn with_calls(concurrency: i64, max_batch_size: i64) -> Self {
        Self::shipped()
            .set("translation.concurrency", concurrency)
            .set("translation.connections", 2 * concurrency)
            .set("batching.max_batch_size", max_batch_size)
    }

    /// Changes one setting.
    pub(super) fn set(mut self, key: &'static str, value: impl Into<toml::Value>) -> Self {
        self.changes.push((key, value.into()));
        self
    }

    /// Sets a variable of the environment.
    pub(super) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// Adds the one provider, which speaks as OpenAI and is told no limits.
    pub(super) fn provider(self, address: SocketAddr) -> Self {
        self.provider_like(PROVIDER, address, Dialect::OpenAi, &[])
    }

    /// Adds a provider with limits, which are written as in the settings.
    pub(super) fn provider_like(
        mut self,
        name: &str,
        address: SocketAddr,
        dialect: Dialect,
        limits: &[(&str, i64)],
    ) -> Self {
        let (kind, base_url) = match dialect {
            Dialect::OpenAi | Dialect::Groq | Dialect::Silent => {
                ("openai", format!("http://{address}/v1"))
            }
            Dialect::Anthropic => ("anthropic", format!("http://{address}")),
            Dialect::Gemini => ("gemini", format!("http://{address}/v1beta")),
        };
        let mut provider = toml::Table::new();
        for (key, value) in [
            ("name", name),
            ("kind", kind),
            ("base_url", base_url.as_str()),
            ("model", "simulated"),
        ] {
            provider.insert(key.into(), value.into());
        }
        if !limits.is_empty() {
            let limits = limits
                .iter()
                .map(|(key, most)| ((*key).into(), (*most).into()));
            provider.insert("limits".into(), toml::Value::Table(limits.collect()));
        }
        self.tables.push(("provider", provider));
        self
    }

    /// Adds a file that is watched from its end, and an outlet that takes it in Spanish.
    pub(super) fn watched(mut self, name: &str) -> Self {
        let source_path = format!("{name}.txt");
        let outlet_path = format!("{name}.jsonl");
        let mut source = toml::Table::new();
        let mut outlet = toml::Table::new();
        for (key, value) in [
            ("name", name),
            ("kind", "file"),
            ("path", source_path.as_str()),
            ("every", "1h"),
            ("language", "en"),
        ] {
            source.insert(key.into(), value.into());
        }
        for (key, value) in [
            ("name", name),
            ("kind", "file"),
            ("path", outlet_path.as_str()),
            ("language", "es"),
        ] {
            outlet.insert(key.into(), value.into());
        }
        outlet.insert("from".into(), toml::Value::Array(vec![name.into()]));
        self.tables.push(("source", source));
        self.tables.push(("outlet", outlet));
        self
    }

    /// Says what is changed in the settings as they ship.
    pub(super) fn said(&self) -> String {
        let settings = self
            .changes
            .iter()
            .map(|(key, value)| format!("{key} = {value}"));
        let variables = self
            .variables
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        let limits = self.tables.iter().filter_map(|(_, table)| {
            let limits = table.get("limits")?;
            Some(format!("limits = {limits}"))
        });
        let said: Vec<String> = settings.chain(variables).chain(limits).collect();
        match said.is_empty() {
            true => "settings as they ship".into(),
            false => format!("settings as they ship but {}", said.join(", ")),
        }
    }

    /// Returns the settings file: what ships, and behind it what is watched and called.
    fn file(&self) -> anyhow::Result<String> {
        let mut file = SHIPPED.to_owned();
        for (kind, table) in &self.tables {
            let tables = toml::Table::from_iter([(
                (*kind).to_owned(),
                toml::Value::Array(vec![table.clone().into()]),
            )]);
            file.push('\n');
            file.push_str(&toml::to_string(&tables)?);
        }
        Ok(file)
    }

    fn apply(&self, command: &mut Command) {
        for (key, value) in &self.changes {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        command.envs(self.variables.iter().copied());
    }
}

/// A running service.
pub(super) struct Service {
    process: Process,
    socket: PathBuf,
    log: PathBuf,
    /// How long it took from its start until it was ready.
    pub(super) ready_after: Duration,
}

impl Service {
    /// Starts one with its settings and its data in `folder` and waits until it is ready.
    pub(super) async fn start(
        program: &Path,
        folder: &Path,
        setup: &Setup,
    ) -> anyhow::Result<Self> {
        let log = folder.join("service.log");
        let settings = folder.join("Settings.toml");
        fs::create_dir_all(folder)?;
        fs::write(&settings, setup.file()?)?;
        let errors = File::options().create(true).append(true).open(&log)?;
        let mut command = Command::new(program);
        command
            .arg("run")
            .arg("--settings")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        without_settings_of_the_environment(&mut command);
        setup.apply(&mut command);
        let started = Instant::now();
        let mut service = Self {
            process: Process::start(&mut command)?,
            socket: folder.join("data").join("babelfeed.sock"),
            log,
            ready_after: Duration::ZERO,
        };
        service.become_ready(started).await?;
        service.ready_after = started.elapsed();
        Ok(service)
    }

    async fn become_ready(&mut self, started: Instant) -> anyhow::Result<()> {
        while !self.is_ready().await {
            if let Some(status) = self.process.ended()? {
                anyhow::bail!("the service ended with {status}: {}", tail(&self.log));
            }
            anyhow::ensure!(
                started.elapsed() < READY_WITHIN,
                "the service was not ready within {READY_WITHIN:?}: {}",
                tail(&self.log)
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    async fn is_ready(&self) -> bool {
        matches!(self.exchange(&client::get("/readyz")).await, Ok((200, _)))
    }

    /// Returns the socket.
    pub(super) fn socket(&self) -> &Path {
        &self.socket
    }

    /// Returns the memory it holds.
    pub(super) fn memory(&self) -> anyhow::Result<Memory> {
        machine::memory_of(self.process.id())
    }

    /// Returns the seconds of processor time it used.
    pub(super) fn processor_seconds(&self) -> anyhow::Result<f64> {
        machine::processor_seconds_of(&self.process.id().to_string())
    }

    /// Lets no call go to the provider.
    pub(super) async fn pause(&self) -> anyhow::Result<()> {
        self.control("pause", PROVIDER).await
    }

    /// Lets calls go to the provider again.
    pub(super) async fn resume(&self) -> anyhow::Result<()> {
        self.control("resume", PROVIDER).await
    }

    /// Polls a source now, and returns when that is done.
    pub(super) async fn poll(&self, source: &str) -> anyhow::Result<()> {
        self.control("poll", source).await
    }

    /// Hands in lines of requests, each of which has to be taken.
    pub(super) async fn submit(&self, lines: &str) -> anyhow::Result<()> {
        let request = client::post("/v1/requests", "application/x-ndjson", lines.as_bytes());
        let (status, answer) = self.exchange(&request).await?;
        let answer = String::from_utf8_lossy(&answer);
        let n_taken = answer.matches("\"tasks\":").count();
        anyhow::ensure!(
            matches!(status, 200 | 202) && n_taken == lines.lines().count(),
            "expected all lines to be taken, got {status}: {answer}"
        );
        Ok(())
    }

    /// Has texts translated into Spanish beforehand, and does not wait for them.
    pub(super) async fn warm(&self, texts: &[String]) -> anyhow::Result<()> {
        let body = serde_json::json!({"texts": texts, "target": "es", "source": "en"});
        let body = body.to_string();
        let request = client::post("/v1/cache/warm", "application/json", body.as_bytes());
        let (status, answer) = self.exchange(&request).await?;
        anyhow::ensure!(
            status == 202,
            "/v1/cache/warm answered {status}: {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }

    async fn control(&self, verb: &str, name: &str) -> anyhow::Result<()> {
        let path = format!("/v1/control/{verb}");
        let body = serde_json::json!({"name": name}).to_string();
        let request = client::post(&path, "application/json", body.as_bytes());
        let (status, answer) = self.exchange(&request).await?;
        anyhow::ensure!(
            status == 200,
            "{path} answered {status}: {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(())
    }

    /// Stops the service and waits for its end.
    pub(super) async fn stop(mut self) -> anyhow::Result<()> {
        let request = client::post("/v1/control/stop", "application/json", b"{}");
        let (status, _) = self.exchange(&request).await?;
        anyhow::ensure!(status == 200, "/v1/control/stop answered {status}");
        let ended = self.process.end_within(STOPPED_WITHIN).await?;
        anyhow::ensure!(
            ended.success(),
            "the service ended with {ended}: {}",
            tail(&self.log)
        );
        Ok(())
    }

    /// Returns how many tasks are not final.
    pub(super) async fn n_open(&self) -> anyhow::Result<u64> {
        let status: Status = self.get("/v1/status").await?;
        Ok(status.queue.values().sum())
    }

    /// Returns how many tasks are in `state`, counted page by page.
    pub(super) async fn n_in_state(&self, state: &str) -> anyhow::Result<u64> {
        Ok(self.used_in_state(state).await?.n_tasks)
    }

    /// Returns what the tasks in `state` used, added up page by page.
    pub(super) async fn used_in_state(&self, state: &str) -> anyhow::Result<Used> {
        let mut used = Used::default();
        let mut after = None::<String>;
        loop {
            let from = after.map_or_else(String::new, |id| format!("&after={id}"));
            let path = format!("/v1/tasks?state={state}&limit={PAGE}{from}");
            let page: Page = self.get(&path).await?;
            for task in &page.tasks {
                used.n_tasks += 1;
                if let Some(result) = &task.result {
                    used.tokens += result.tokens_in + result.tokens_out;
                }
            }
            match page.next {
                Some(next) if !page.tasks.is_empty() => after = Some(next),
                _ => return Ok(used),
            }
        }
    }

    /// Returns how many calls it counts to the provider of that name.
    pub(super) async fn n_calls(&self, provider: &str) -> anyhow::Result<u64> {
        let metrics: Metrics = self.get("/v1/metrics").await?;
        let counted = metrics
            .services
            .iter()
            .find(|service| service.name == provider);
        Ok(counted.map_or(0, |service| service.calls))
    }

    /// Returns how many of the tasks with these ids can be read back.
    pub(super) async fn n_known(&self, ids: &[String]) -> anyhow::Result<u64> {
        let mut connection = client::connect_unix(&self.socket).await?;
        let mut n_known = 0;
        for id in ids {
            let request = client::get(&format!("/v1/tasks/{id}"));
            let response = connection.exchange(&request).await?;
            let task: Value = serde_json::from_slice(response.body)?;
            n_known += u64::from(response.status == 200 && task["id"] == id.as_str());
        }
        Ok(n_known)
    }

    async fn get<T: serde::de::DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        let (status, body) = self.exchange(&client::get(path)).await?;
        anyhow::ensure!(
            status == 200,
            "{path} answered {status}: {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).with_context(|| format!("reading the answer of {path}"))
    }

    async fn exchange(&self, request: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        let mut connection = client::connect_unix(&self.socket).await?;
        let response = connection.exchange(request).await?;
        Ok((response.status, response.body.to_vec()))
    }
}

/// Takes away what would win over the settings file.
fn without_settings_of_the_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("BABELFEED__") || VARIABLES.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
}

/// What tasks used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    /// How many tasks.
    pub(super) n_tasks: u64,
    /// Their tokens, in and out.
    pub(super) tokens: u64,
}

#[derive(Deserialize)]
struct Metrics {
    services: Vec<Figures>,
}

#[derive(Deserialize)]
struct Figures {
    name: String,
    calls: u64,
}

#[derive(Deserialize)]
struct Status {
    queue: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Page {
    tasks: Vec<Task>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct Task {
    result: Option<TaskResult>,
}

#[derive(Deserialize)]
struct TaskResult {
    tokens_in: u64,
    tokens_out: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> SocketAddr {
        "127.0.0.1:81".parse().unwrap()
    }

    #[test]
    fn the_settings_that_ship_are_followed_by_what_is_called_and_watched() {
        let setup = Setup::shipped()
            .provider_like("two", address(), Dialect::Gemini, &[("rpm", 600)])
            .watched("posts");

        let table: toml::Table = setup.file().unwrap().parse().unwrap();

        assert_eq!(table["batching"]["max_batch_size"].as_integer(), Some(10));
        let provider = &table["provider"][0];
        assert_eq!(provider["name"].as_str(), Some("two"));
        assert_eq!(
            provider["base_url"].as_str(),
            Some("http://127.0.0.1:81/v1beta")
        );
        assert_eq!(provider["limits"]["rpm"].as_integer(), Some(600));
        assert_eq!(table["source"][0]["path"].as_str(), Some("posts.txt"));
        assert_eq!(table["outlet"][0]["from"][0].as_str(), Some("posts"));
    }

    #[test]
    fn what_is_changed_is_said() {
        let setup = Setup::shipped()
            .set("batching.max_batch_size", 20)
            .set("mode", "memory")
            .variable("ASYNC_MODE", "false")
            .provider_like("one", address(), Dialect::OpenAi, &[("rpm", 600)]);

        assert_eq!(
            setup.said(),
            "settings as they ship but batching.max_batch_size = 20, mode = \"memory\", ASYNC_MODE=false, limits = { rpm = 600 }"
        );
        assert_eq!(
            Setup::shipped().provider(address()).said(),
            "settings as they ship"
        );
    }
}
