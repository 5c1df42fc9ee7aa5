//! The command `benchmark`: the built program as service, load and provider in processes of their own.
//!
//! The figures of a benchmark count only when what was acknowledged, what the service reads back
//! and what the provider counted for itself agree.

mod client;
mod cores;
mod corpus;
mod load;
mod machine;
mod page;
mod processes;
mod report;
mod rows;
mod service;
mod simulator;
mod statistics;

use std::future::Future;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use machine::Machine;
use processes::WorkFolder;
use report::Report;
use rows::{Bench, Sizes};
use simulator::Simulator;

/// Where the report goes unless said otherwise.
const OUT: &str = "data/benchmark";

/// What `benchmark` is told.
#[derive(Clone, Debug)]
pub struct Options {
    /// The benchmarks wanted; none: all.
    pub names: Vec<String>,
    /// The folder for `benchmark.json` and `index.html`; none: `data/benchmark`.
    pub out: Option<PathBuf>,
    /// How much is done.
    pub scale: Scale,
    /// How the report is printed.
    pub print: Print,
}

/// How much the benchmarks do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Enough for figures to be kept; hours never, the whole run takes about 15 minutes.
    Full,
    /// Enough for a first look.
    Quick,
}

/// How the report is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Print {
    /// A table: each benchmark as soon as it is done, then what was not met.
    Table,
    /// One JSON object, for programs.
    Json,
}

/// The parts that a benchmark starts in processes of their own, under the hidden command `benchmark-role`.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Role {
    /// The simulated provider: prints its address, ends with its standard input.
    Provider {
        /// What it is told to be, as JSON.
        #[arg(long)]
        plan: String,
    },
    /// The load generator: reads its job as a line of JSON, prints what came of it.
    Load,
}

/// Runs benchmarks.
///
/// Ends with 0 also when a figure falls short, with 1 when counts do not agree or a benchmark
/// does not run to its end, with 64 when a name is unknown.
pub fn run(options: Options) -> ExitCode {
    let unknown = options
        .names
        .iter()
        .find(|name| !rows::names().any(|known| known == name.as_str()));
    if let Some(name) = unknown {
        eprintln!(
            "`{name}` is not a benchmark, expected one of {}",
            rows::names().collect::<Vec<_>>().join(", ")
        );
        return ExitCode::from(64);
    }
    ended(on_own_thread(move || async move {
        tokio::select! {
            agrees = measure(&options) => agrees,
            () = interrupted() => anyhow::bail!("interrupted"),
        }
    }))
}

/// Plays one of the parts of a benchmark.
pub fn role(role: Role) -> ExitCode {
    ended(on_own_thread(move || async move {
        tokio::select! {
            played = play(role) => played.map(|()| true),
            () = interrupted() => Ok(false),
        }
    }))
}

fn ended(outcome: anyhow::Result<bool>) -> ExitCode {
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("benchmark failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a future in a runtime of its own, whatever runtime the caller is in.
fn on_own_thread<F>(future: impl FnOnce() -> F + Send + 'static) -> anyhow::Result<bool>
where
    F: Future<Output = anyhow::Result<bool>>,
{
    let thread = std::thread::Builder::new()
        .name("benchmark".into())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let outcome = LocalSet::new().block_on(&runtime, future());
            // What still waits for input must not keep the process from its end.
            runtime.shutdown_background();
            outcome
        })?;
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Ends when somebody wants the process to end; processes and folders go with what is dropped then.
async fn interrupted() {
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn measure(options: &Options) -> anyhow::Result<bool> {
    let folder = WorkFolder::create(&std::env::temp_dir(), "babelfeed-benchmark")?;
    let machine = Machine::describe(folder.path())?;
    let bench = Bench {
        program: std::env::current_exe().context("finding this program")?,
        sizes: match options.scale {
            Scale::Full => Sizes::FULL,
            Scale::Quick => Sizes::QUICK,
        },
        fdatasync_ms: machine.fdatasync_ms,
        folder,
    };
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        machine,
        rows: Vec::new(),
    };
    show(options, &(report::machine_line(&report.machine) + "\n"))?;
    let expected = wanted(&options.names).map(|name| rows::expected(name, bench.sizes));
    let minutes = expected.sum::<Duration>().as_secs_f64() / 60.0;
    show(
        options,
        &format!(
            "expected to take about {} minutes\n",
            report::number(minutes)
        ),
    )?;
    for name in wanted(&options.names) {
        let row = bench.run(name).await;
        show(options, &report::row_lines(&row))?;
        report.rows.push(row);
    }
    show(options, &report::summary_lines(&report.rows))?;
    let out = options.out.as_deref().unwrap_or(Path::new(OUT));
    save(&report, out)?;
    if options.print == Print::Json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(report.agrees())
}

fn wanted(names: &[String]) -> impl Iterator<Item = &'static str> {
    rows::names().filter(move |name| names.is_empty() || names.iter().any(|wanted| wanted == name))
}

fn show(options: &Options, lines: &str) -> anyhow::Result<()> {
    if options.print == Print::Table {
        writeln!(std::io::stdout(), "{lines}")?;
    }
    Ok(())
}

fn save(report: &Report, out: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(out).with_context(|| format!("creating {}", out.display()))?;
    let json = serde_json::to_string_pretty(report)? + "\n";
    for (name, text) in [
        ("benchmark.json", json),
        ("index.html", page::html(report)?),
    ] {
        let path = out.join(name);
        std::fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

async fn play(role: Role) -> anyhow::Result<()> {
    match role {
        Role::Provider { plan } => {
            let plan = serde_json::from_str(&plan).context("reading the plan")?;
            let simulator = Simulator::bind(plan).await?;
            print_line(&simulator.address()?.to_string())?;
            let input_ended =
                tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
            tokio::select! {
                served = simulator.serve() => Ok(served?),
                _ = input_ended => Ok(()),
            }
        }
        Role::Load => {
            let mut line = String::new();
            std::io::stdin().read_line(&mut line)?;
            let job = serde_json::from_str(&line).context("reading the job")?;
            let input_ended =
                tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
            tokio::select! {
                outcome = load::work(job) => print_line(&serde_json::to_string(&outcome?)?),
                _ = input_ended => anyhow::bail!("who gave the job has gone"),
            }
        }
    }
}

fn print_line(line: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{line}")?;
    output.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_names_mean_all_benchmarks() {
        assert!(wanted(&[]).eq(rows::names()));
    }

    #[test]
    fn benchmarks_run_in_their_own_order() {
        let names = ["memory".to_owned(), "submits".to_owned()];

        assert_eq!(wanted(&names).collect::<Vec<_>>(), ["submits", "memory"]);
    }
}
