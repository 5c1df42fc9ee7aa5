//! The command line.

mod client;
mod dashboard;
mod fit;
mod ids;
mod input;
pub mod options;
mod orders;
mod performance;
mod status;
mod submit;
mod watch;

use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

use client::Client;
use fit::FitOptions;
use options::{CheckOptions, Exit, ExitError, GlobalOptions, OnceOptions};
use submit::SubmitOptions;

use crate::benchmark::{self, Print, Role, Scale};
use crate::service::{self, Start};

/// Watches feeds, translates every post into many languages, and publishes each translation once.
#[derive(Debug, Parser)]
#[command(name = "babelfeed", version)]
struct CommandLine {
    #[command(flatten)]
    global: GlobalOptions,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the service, until `stop`, SIGTERM or SIGINT
    Run,
    /// Polls every source once, translates, publishes, reports, and ends
    Once {
        /// How long it may take, like 10m
        #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "10m")]
        within: Duration,
    },
    /// Hands in texts; prints ids, or with --wait the translations
    Submit(SubmitOptions),
    /// Translates a text at once, through the running service
    Translate {
        /// The text
        text: String,
        /// The language wanted
        #[arg(long, value_name = "TAG")]
        to: String,
        /// The text's language
        #[arg(long, value_name = "TAG")]
        from: Option<String>,
    },
    /// Tells how a network counts a text, and the parts it would be split into
    Fit(FitOptions),
    /// Tells how a task, a request or the whole service stands
    Status {
        /// A task or a request; none: the service
        id: Option<String>,
    },
    /// Shows events as they happen
    Watch,
    /// Cancels a task, or the tasks of a request that are not final
    Cancel {
        /// A task or a request
        id: String,
    },
    /// Tries a failed task, the failed tasks of a request, or a publication again
    Retry {
        /// A task, a request or a publication
        id: String,
    },
    /// Pauses a source, a provider or an outlet
    Pause {
        /// Its name; none: all
        name: Option<String>,
    },
    /// Resumes what was paused or drained
    Resume {
        /// Its name; none: all
        name: Option<String>,
        /// Take what came while sources were paused, which is skipped otherwise
        #[arg(long)]
        replay: bool,
    },
    /// Polls a source now
    Poll {
        /// Its name; none: all
        name: Option<String>,
    },
    /// Takes nothing new, and finishes what is there
    Drain,
    /// Reads the settings again
    Reload,
    /// Stops the service
    Stop,
    /// Shows the publications that a person can decide about: held, perhaps out, or scheduled
    Review,
    /// Lets a held publication out, or says that one is out that may be
    Approve {
        /// The publication
        id: String,
        /// A corrected text
        #[arg(long)]
        text: Option<String>,
    },
    /// Refuses a held publication for good, takes a scheduled one back, or says that one that may be
    /// out is not, and not wanted
    Reject {
        /// The publication
        id: String,
    },
    /// Shows the figures of the running service
    Performance {
        /// Goes on until `q` is pressed
        #[arg(long)]
        follow: bool,
    },
    /// Runs the benchmarks
    Benchmark {
        /// Which; none: all
        names: Vec<String>,
        /// The folder for `benchmark.json` and the page
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Does less, for a first look
        #[arg(long)]
        quick: bool,
    },
    /// Plays one part of a benchmark in a process of its own
    #[command(hide = true)]
    BenchmarkRole {
        /// Which part
        #[command(subcommand)]
        role: Role,
    },
    /// Tries settings and credentials, and says what would be published and what it would cost
    Check {
        /// Has posts really translated, and a text by every provider; nothing is published
        #[arg(long)]
        translate: bool,
    },
}

/// Does what the command line says; `start` starts the actors, for the commands that need them.
pub fn main(start: Start) -> ExitCode {
    let line = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => {
            // An error here means that nobody can be told anything.
            let _ = error.print();
            return match error.use_stderr() {
                true => Exit::Usage.into(),
                false => Exit::Done.into(),
            };
        }
    };
    let done = catch_unwind(AssertUnwindSafe(|| {
        carry_out(line.command, line.global, start)
    }));
    match done {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => ended_by(&error).into(),
        // The panic itself has been told by its hook.
        Err(_) => Exit::Internal.into(),
    }
}

fn carry_out(command: Command, global: GlobalOptions, start: Start) -> anyhow::Result<ExitCode> {
    let exit = match command {
        Command::Run => service::run(&global, start)?,
        Command::Once { within } => service::once(&OnceOptions { global, within }, start)?,
        Command::Check { translate } => service::check(&CheckOptions { global, translate }, start)?,
        Command::Benchmark { names, out, quick } => {
            return Ok(measure(names, out, quick, global.json));
        }
        Command::BenchmarkRole { role } => return Ok(benchmark::role(role)),
        Command::Fit(options) => fit::fit(&options, &global, global.json)?,
        command => ask_service(command, &Client::new(socket_path(&global)?), global.json)?,
    };
    Ok(exit.into())
}

fn measure(names: Vec<String>, out: Option<PathBuf>, quick: bool, json: bool) -> ExitCode {
    benchmark::run(benchmark::Options {
        names,
        out,
        scale: match quick {
            true => Scale::Quick,
            false => Scale::Full,
        },
        print: match json {
            true => Print::Json,
            false => Print::Table,
        },
    })
}

/// The socket that the options name, or else the settings.
fn socket_path(options: &GlobalOptions) -> anyhow::Result<PathBuf> {
    match &options.socket {
        Some(socket) => Ok(socket.clone()),
        None => crate::settings::socket_path(options)
            .map_err(|mistakes| ExitError::usage(mistakes.to_string()).into()),
    }
}

/// The commands that the running service carries out.
fn ask_service(command: Command, client: &Client, json: bool) -> anyhow::Result<Exit> {
    match command {
        Command::Submit(options) => submit::submit(client, &options, json),
        Command::Translate { text, to, from } => {
            orders::translate(client, &text, &to, from.as_deref(), json)
        }
        Command::Status { id: Some(id) } => status::one(client, &id, json),
        Command::Status { id: None } => status::service(client, json),
        Command::Watch => watch::watch(client, json),
        Command::Cancel { id } => orders::cancel(client, &id, json),
        Command::Retry { id } => orders::retry(client, &id, json),
        Command::Pause { name } => orders::order(client, "pause", name.as_deref(), json),
        Command::Resume { name, replay } => orders::resume(client, name.as_deref(), replay, json),
        Command::Poll { name } => orders::order(client, "poll", name.as_deref(), json),
        Command::Drain => orders::order(client, "drain", None, json),
        Command::Reload => orders::order(client, "reload", None, json),
        Command::Stop => orders::order(client, "stop", None, json),
        Command::Review => orders::review(client, json),
        Command::Approve { id, text } => orders::approve(client, &id, text.as_deref(), json),
        Command::Reject { id } => orders::reject(client, &id, json),
        Command::Performance { follow: true } if !json => performance::follow(client),
        Command::Performance { follow } => performance::once_or_lines(client, follow, json),
        Command::Run
        | Command::Once { .. }
        | Command::Fit(_)
        | Command::Benchmark { .. }
        | Command::BenchmarkRole { .. }
        | Command::Check { .. } => Ok(Exit::Internal),
    }
}

/// Tells why it ended, unless nobody reads any more.
fn ended_by(error: &anyhow::Error) -> Exit {
    if is_unread(error) {
        return Exit::Done;
    }
    complain(format_args!("babelfeed: {error:#}"));
    error
        .downcast_ref::<ExitError>()
        .map_or(Exit::Failed, |error| error.exit)
}

/// Whether it means that nobody reads any more what is printed.
fn is_unread(error: &anyhow::Error) -> bool {
    let is_pipe = |cause: &io::Error| cause.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(is_pipe)
}

/// Prints a line on standard output.
fn say(line: impl std::fmt::Display) -> anyhow::Result<()> {
    Ok(writeln!(io::stdout().lock(), "{line}")?)
}

/// Prints a value as JSON on standard output.
fn say_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    say(serde_json::to_string(value).context("the answer is not JSON")?)
}

/// Prints a line on standard error.
fn complain(line: impl std::fmt::Display) {
    // An error here means that nobody can be told anything.
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// A time as the settings write it, like `90s`, `10m` or `1h30m`, and longer than none.
fn duration(text: &str) -> Result<Duration, String> {
    crate::settings::parse_duration(text)
        .filter(|time| !time.is_zero())
        .ok_or_else(|| format!("`{text}` is no time, expected something like `90s` or `10m`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_time_has_a_unit() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        for wrong in ["", "10", "m", "0s", "-1s", "1w", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn options_stand_before_and_behind_the_command() {
        for line in [
            ["babelfeed", "--json", "status"],
            ["babelfeed", "status", "--json"],
        ] {
            let line = CommandLine::try_parse_from(line).expect("a good line");
            assert!(line.global.json);
        }
    }

    #[test]
    fn an_error_decides_how_the_program_ends() {
        let usage = anyhow::Error::from(ExitError::usage("no"));
        assert_eq!(ended_by(&usage.context("around it")), Exit::Usage);
        assert_eq!(ended_by(&anyhow::anyhow!("no")), Exit::Failed);
        let closed = io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(ended_by(&closed.into()), Exit::Done);
    }
}
