//! Takes the files that a browser needs out of the archive that comes with the crate of Swagger UI: nothing is downloaded.

use std::{env, fs, io::Cursor, path::PathBuf};

use anyhow::Context as _;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// One file of the many builds of Swagger UI, and its style; the other builds would only make every service larger.
const FILES: [&str; 2] = ["swagger-ui-bundle.js", "swagger-ui.css"];

fn main() -> anyhow::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = PathBuf::from(env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    for wanted in FILES {
        let end = format!("/dist/{wanted}");
        let names = archive.file_names().filter_map(Result::ok);
        let name = names
            .map(std::borrow::Cow::into_owned)
            .find(|name| name.ends_with(&end))
            .with_context(|| format!("the archive has no {wanted}"))?;
        let mut file = archive.by_name(&name)?;
        let mut content = Vec::new();
        std::io::copy(&mut file, &mut content)?;
        fs::write(folder.join(wanted), content)?;
    }
    Ok(())
}
