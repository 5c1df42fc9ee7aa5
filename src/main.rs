//! The program: the command line, with the actors that it starts.

use std::process::ExitCode;

use babelfeed_actors::system;

fn main() -> ExitCode {
    babelfeed::cli::main(system::start)
}
