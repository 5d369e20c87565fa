//! The binary of [`polls`].

fn main() -> std::process::ExitCode {
    chassis::main::<polls::Polls>()
}
