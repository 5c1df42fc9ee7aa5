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

/// The name of the provider in the settings.
const PROVIDER: &str = "bench";

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// How many tasks are read back at once.
const PAGE: usize = 1_000;

/// What differs between the services under test.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// The mode, which chooses what is not written.
    pub(super) mode: &'static str,
    /// Calls in flight; none: what the mode chooses.
    pub(super) concurrency: Option<u64>,
    /// Texts in one call.
    pub(super) max_batch_size: u64,
}

impl Setup {
    /// Returns the settings of a service with one provider, a durable store and no source.
    fn settings(&self, folder: &Path, provider: SocketAddr) -> anyhow::Result<String> {
        let mut settings = serde_json::json!({
            "mode": self.mode,
            "service": {"data_dir": folder, "drain_timeout": "1s"},
            "store": {"kind": "sqlite"},
            "batching": {"max_batch_size": self.max_batch_size},
            "provider": [{
                "name": PROVIDER,
                "kind": "openai",
                "base_url": format!("http://{provider}/v1"),
                "model": "simulated",
                "order": 1,
            }],
        });
        if let Some(n) = self.concurrency {
            settings["translation"] = serde_json::json!({"concurrency": n, "connections": 2 * n});
            settings["provider"][0]["limits"] = serde_json::json!({"concurrency": n});
        }
        Ok(toml::to_string(&settings)?)
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
    /// Starts one with its data in `folder` and waits until it is ready.
    pub(super) async fn start(
        program: &Path,
        folder: &Path,
        setup: &Setup,
        provider: SocketAddr,
    ) -> anyhow::Result<Self> {
        let socket = folder.join("babelfeed.sock");
        let log = folder.join("service.log");
        let settings = folder.join("Settings.toml");
        fs::create_dir_all(folder)?;
        fs::write(&settings, setup.settings(folder, provider)?)?;
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
        let started = Instant::now();
        let mut service = Self {
            process: Process::start(&mut command)?,
            socket,
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
        self.control("pause").await
    }

    /// Lets calls go to the provider again.
    pub(super) async fn resume(&self) -> anyhow::Result<()> {
        self.control("resume").await
    }

    async fn control(&self, verb: &str) -> anyhow::Result<()> {
        let path = format!("/v1/control/{verb}");
        let body = serde_json::json!({"name": PROVIDER}).to_string();
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
        let mut n_tasks = 0;
        let mut after = None::<String>;
        loop {
            let from = after.map_or_else(String::new, |id| format!("&after={id}"));
            let path = format!("/v1/tasks?state={state}&limit={PAGE}{from}");
            let page: Page = self.get(&path).await?;
            n_tasks += page.tasks.len() as u64;
            match page.next {
                Some(next) if !page.tasks.is_empty() => after = Some(next),
                _ => return Ok(n_tasks),
            }
        }
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
    const NAMES: [&str; 5] = [
        "OPTIMIZATION_MODE",
        "MAX_CONCURRENT_TRANSLATIONS",
        "CONNECTION_POOL_SIZE",
        "ENABLE_PERFORMANCE_MONITORING",
        "ASYNC_MODE",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("BABELFEED__") || NAMES.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
}

#[derive(Deserialize)]
struct Status {
    queue: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Page {
    tasks: Vec<serde::de::IgnoredAny>,
    next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_name_the_provider_and_the_limits_that_are_set() {
        let setup = Setup {
            mode: "balanced",
            concurrency: Some(64),
            max_batch_size: 1,
        };

        let settings = setup
            .settings(Path::new("/data"), "127.0.0.1:81".parse().unwrap())
            .unwrap();

        let table: toml::Table = settings.parse().unwrap();
        assert_eq!(table["translation"]["concurrency"].as_integer(), Some(64));
        assert_eq!(table["batching"]["max_batch_size"].as_integer(), Some(1));
        let provider = &table["provider"][0];
        assert_eq!(
            provider["base_url"].as_str(),
            Some("http://127.0.0.1:81/v1")
        );
        assert_eq!(provider["limits"]["concurrency"].as_integer(), Some(64));
    }

    #[test]
    fn a_mode_alone_sets_no_limits() {
        let setup = Setup {
            mode: "memory",
            concurrency: None,
            max_batch_size: 10,
        };

        let settings = setup
            .settings(Path::new("/data"), "127.0.0.1:81".parse().unwrap())
            .unwrap();

        let table: toml::Table = settings.parse().unwrap();
        assert_eq!(table["mode"].as_str(), Some("memory"));
        assert!(!table.contains_key("translation"));
        assert!(table["provider"][0].get("limits").is_none());
    }
}
