//! The `orders` process.

fn main() -> std::process::ExitCode {
    chassis::main::<orders::Orders>()
}
