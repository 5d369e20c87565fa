//! The binary of [`discussions`].

fn main() -> std::process::ExitCode {
    chassis::main::<discussions::Discussions>()
}
