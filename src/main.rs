//! The program: the command line with the actors behind it.

use std::process::ExitCode;

fn main() -> ExitCode {
    babelfeed::cli::main(|setup| babelfeed_actors::system::start(setup).handles)
}
