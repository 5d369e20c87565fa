//! The `timelines` process.

fn main() -> std::process::ExitCode {
    chassis::main::<timelines::Timelines>()
}
