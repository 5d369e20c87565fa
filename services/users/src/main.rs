//! The `users` process.

fn main() -> std::process::ExitCode {
    chassis::main::<users::Users>()
}
