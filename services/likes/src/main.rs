//! The `likes` process.

fn main() -> std::process::ExitCode {
    chassis::main::<likes::Likes>()
}
