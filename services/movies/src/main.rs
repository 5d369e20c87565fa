//! The `movies` process.

fn main() -> std::process::ExitCode {
    chassis::main::<movies::Movies>()
}
