//! The `notifications` process.

fn main() -> std::process::ExitCode {
    chassis::main::<notifications::Notifications>()
}
