//! What the command line says to the commands that other modules carry out, and what they answer.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

/// The options that every command has.
#[derive(Args, Clone, Debug, Default)]
pub struct GlobalOptions {
    /// The settings file; `Settings.toml`, or the built-in defaults where that is absent.
    #[arg(long, global = true, value_name = "FILE")]
    pub settings: Option<PathBuf>,
    /// Sets `section.key=value` or `source.NAME.key=value`; values are TOML.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The socket of the running service.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Chooses defaults: speed, balanced or memory.
    #[arg(long, global = true, value_name = "MODE", value_parser = ["speed", "balanced", "memory"])]
    pub mode: Option<String>,
    /// Prints JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
}

/// What `once` is told.
#[derive(Clone, Debug)]
pub struct OnceOptions {
    /// The options that every command has.
    pub global: GlobalOptions,
    /// How long it may take.
    pub within: Duration,
}

/// What `check` is told.
#[derive(Clone, Debug)]
pub struct CheckOptions {
    /// The options that every command has.
    pub global: GlobalOptions,
    /// Whether posts are really translated, and a text by every provider.
    pub translate: bool,
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Something failed, or is left.
    Failed,
    /// The command line or the settings make no sense.
    Usage,
    /// The service cannot be reached.
    Unreachable,
    /// The program has a mistake.
    Internal,
}

impl Exit {
    /// The number that the program ends with.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 64,
            Self::Unreachable => 69,
            Self::Internal => 70,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that ends the program with another code than 1; put it into an `anyhow::Error`.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct ExitError {
    /// How the program ends.
    pub exit: Exit,
    /// What went wrong, for people.
    pub message: String,
}

impl ExitError {
    /// Bad usage or settings.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            exit: Exit::Usage,
            message: message.into(),
        }
    }
}
