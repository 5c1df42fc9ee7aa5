//! The commands that other modules carry out, and where the socket is.

use std::path::PathBuf;

use super::options::{
    BenchmarkOptions, CheckOptions, Exit, ExitError, GlobalOptions, OnceOptions,
};

pub(super) fn run(options: GlobalOptions) -> anyhow::Result<Exit> {
    crate::service::run(options)
}

pub(super) fn once(options: OnceOptions) -> anyhow::Result<Exit> {
    crate::service::once(options)
}

pub(super) fn check(options: CheckOptions) -> anyhow::Result<Exit> {
    crate::service::check(options)
}

pub(super) fn benchmark(options: BenchmarkOptions) -> anyhow::Result<Exit> {
    crate::benchmark::run(options)
}

/// The socket that the options name, or else the settings.
pub(super) fn socket_path(options: &GlobalOptions) -> anyhow::Result<PathBuf> {
    match &options.socket {
        Some(socket) => Ok(socket.clone()),
        None => crate::settings::socket_path(options)
            .map_err(|mistakes| ExitError::usage(mistakes.to_string()).into()),
    }
}
