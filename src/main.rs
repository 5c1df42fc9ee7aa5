//! The program: the command line, with the actors that it starts.

use std::process::ExitCode;

use babelfeed_actors::system;

/// Suits many small, short-lived messages that one thread makes and another one frees; the C
/// library's allocator merges and splits its blocks under them, a sixth of all processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    babelfeed::cli::main(system::start)
}
