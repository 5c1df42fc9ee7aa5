//! The processes of a benchmark: each ends with its handle, whatever happens.

use std::fs::{self, DirBuilder, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use super::client;
use super::load::{Job, Outcome};
use super::simulator::{COUNTS_PATH, Counts, OUTAGE_PATH, Outage, Plan, TIMELINE_PATH, Timeline};

/// The hidden command that starts one of the parts that a benchmark needs.
pub(super) const ROLE_COMMAND: &str = "benchmark-role";

/// A folder that is removed with everything in it.
pub(super) struct WorkFolder(PathBuf);

impl WorkFolder {
    /// Makes a new folder under `parent` that only this user may enter.
    ///
    /// Its name is short, because the path of a socket in it may have 107 bytes at the most.
    pub(super) fn create(parent: &Path, prefix: &str) -> anyhow::Result<Self> {
        let path = parent.join(format!("{prefix}-{:08x}", fastrand::u32(..)));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("creating {}", path.display()))?;
        Ok(Self(path))
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        if let Err(cause) = fs::remove_dir_all(&self.0) {
            log::warn!(folder:% = self.0.display(), cause:% = cause; "work folder not removed");
        }
    }
}

/// A process that is killed and waited for when its handle goes.
pub(super) struct Process(Child);

impl Process {
    /// Starts a program.
    pub(super) fn start(command: &mut Command) -> anyhow::Result<Self> {
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self(child))
    }

    /// Returns its id.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// Returns how it ended, if it did.
    pub(super) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Waits until it ended by itself.
    pub(super) async fn end_within(&mut self, limit: Duration) -> anyhow::Result<ExitStatus> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            anyhow::ensure!(
                started.elapsed() < limit,
                "process {} did not end within {limit:?}",
                self.id()
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    fn take_pipes(&mut self) -> anyhow::Result<(ChildStdin, BufReader<ChildStdout>)> {
        let input = self.0.stdin.take().context("expected a pipe to write to")?;
        let output = self
            .0
            .stdout
            .take()
            .context("expected a pipe to read from")?;
        Ok((input, BufReader::new(output)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails only where it has ended already, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The simulated provider as a process.
pub(super) struct ProviderProcess {
    /// The process.
    pub(super) process: Process,
    /// Where it listens.
    pub(super) address: SocketAddr,
    /// Its end of file is what ends the provider, should this program be killed.
    _input: ChildStdin,
}

impl ProviderProcess {
    /// Starts one of this plan.
    pub(super) async fn start(program: &Path, plan: &Plan) -> anyhow::Result<Self> {
        let plan = serde_json::to_string(plan)?;
        let mut process = Process::start(role(program, "provider").arg("--plan").arg(plan))?;
        let (input, output) = process.take_pipes()?;
        let line = read_line(output).await?;
        let address = line
            .trim()
            .parse()
            .with_context(|| format!("expected an address of the provider, got `{line}`"))?;
        Ok(Self {
            process,
            address,
            _input: input,
        })
    }

    /// Returns what it counted for itself.
    pub(super) async fn counts(&self) -> anyhow::Result<Counts> {
        self.ask(&client::get(COUNTS_PATH)).await
    }

    /// Returns when things happened.
    pub(super) async fn timeline(&self) -> anyhow::Result<Timeline> {
        self.ask(&client::get(TIMELINE_PATH)).await
    }

    /// Lets it go, or return.
    pub(super) async fn switch(&self, outage: Outage) -> anyhow::Result<()> {
        let body = serde_json::to_vec(&outage)?;
        let request = client::post(OUTAGE_PATH, "application/json", &body);
        let now: Outage = self.ask(&request).await?;
        anyhow::ensure!(
            now == outage,
            "the provider is {now:?}, expected {outage:?}"
        );
        Ok(())
    }

    async fn ask<T: serde::de::DeserializeOwned>(&self, request: &[u8]) -> anyhow::Result<T> {
        let mut connection = client::connect_tcp(self.address).await?;
        let response = connection.exchange(request).await?;
        serde_json::from_slice(response.body).context("reading an answer of the provider")
    }
}

/// Lets a load generator do a job in a process of its own.
pub(super) async fn work(program: &Path, job: &Job) -> anyhow::Result<Outcome> {
    let mut process = Process::start(&mut role(program, "load"))?;
    let (mut input, output) = process.take_pipes()?;
    let job = serde_json::to_string(job)?;
    writeln!(input, "{job}").context("handing the job to the load generator")?;
    let line = read_line(output).await?;
    serde_json::from_str(&line).context("the load generator failed")
}

fn role(program: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    command
        .arg(ROLE_COMMAND)
        .arg(name)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

async fn read_line(mut output: BufReader<ChildStdout>) -> anyhow::Result<String> {
    let reading = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        output.read_line(&mut line).map(|_| line)
    });
    Ok(reading.await??)
}

/// Returns the last lines of a file, for an error.
pub(super) fn tail(path: &Path) -> String {
    const N_BYTES: usize = 600;
    let mut text = Vec::new();
    if let Ok(mut file) = File::open(path) {
        // What could not be read is missing from an error that is shown anyway.
        let _ = file.read_to_end(&mut text);
    }
    let start = text.len().saturating_sub(N_BYTES);
    String::from_utf8_lossy(&text[start..]).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_gone_when_its_handle_goes() {
        let process = Process::start(Command::new("cat").stdin(Stdio::piped())).unwrap();
        let path = PathBuf::from(format!("/proc/{}", process.id()));
        assert!(path.exists());

        drop(process);

        assert!(!path.exists());
    }

    #[test]
    fn a_work_folder_is_removed_with_what_is_in_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = WorkFolder::create(parent.path(), "data").unwrap();
        fs::write(folder.path().join("file"), "text").unwrap();

        drop(folder);

        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_tail_of_a_file_that_is_absent_is_empty() {
        assert_eq!(tail(Path::new("/nonexistent/service.log")), "");
    }
}
