//! The binary of [`portal`].

fn main() -> std::process::ExitCode {
    chassis::main::<portal::Portal>()
}
