//! The binary of [`items`].

fn main() -> std::process::ExitCode {
    chassis::main::<items::Items>()
}
