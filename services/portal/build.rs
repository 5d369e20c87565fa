//! Takes in the OpenAPI document of every other service, as `cargo mesh generate` wrote it beside its crate: a service that
//! is added needs no line here.

use std::{env, ffi::OsStr, fmt::Write as _, fs, path::PathBuf};

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let own = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").context("cargo sets it")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets it")?);
    let services = own.parent().context("it is in the folder of services")?;
    // Whoever adds a service adds it to the table; from then on its document is looked at too, there or not.
    println!("cargo:rerun-if-changed=../../mesh/services.toml");
    println!("cargo:rerun-if-changed=build.rs");
    let entries = fs::read_dir(services)?.filter_map(Result::ok);
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    folders.retain(|folder| *folder != own && folder.join("Cargo.toml").is_file());
    folders.sort();
    let mut list = String::from("&[\n");
    for folder in folders {
        let document = folder.join("openapi.json");
        println!("cargo:rerun-if-changed={}", document.display());
        if document.is_file() {
            let name = folder.file_name().and_then(OsStr::to_str);
            let name = name.context("a service has a plain name")?;
            let document = document.to_str().context("the checkout has a plain name")?;
            writeln!(list, "({name:?}, include_str!({document:?})),")?;
        }
    }
    list.push(']');
    fs::write(out.join("documents.rs"), list)?;
    Ok(())
}
