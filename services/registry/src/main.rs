//! The binary of [`registry`].

fn main() -> std::process::ExitCode {
    chassis::main::<registry::Registry>()
}
