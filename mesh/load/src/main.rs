//! The binary of [`mesh_load`].
#![expect(
    clippy::print_stdout,
    reason = "a command line tool talks on its standard output"
)]

use std::process::ExitCode;

use clap::Parser;
use mesh_load::Options;

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(mesh_load::run(&options)));
    match done {
        Ok(report) => {
            println!("{report}");
            if report.is_flawless() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
