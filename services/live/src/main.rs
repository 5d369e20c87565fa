//! The binary of `live`.

fn main() -> std::process::ExitCode {
    chassis::main::<live::Live>()
}
