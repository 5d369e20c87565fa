//! The `products` process.

fn main() -> std::process::ExitCode {
    chassis::main::<products::Products>()
}
