//! Swagger UI, as bytes that any service can serve.
//!
//! The crate `utoipa-swagger-ui` would bring all its builds (4.3 MB) into every service; these two files are all that a
//! browser loads.

/// The program, as one script.
pub const SCRIPT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui-bundle.js"));

/// What starts it in an element called `docs`, with the document at `/openapi.json`.
pub const START: &str = include_str!("start.js");

/// Its style.
pub const STYLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui.css"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_whole() {
        let script = std::str::from_utf8(SCRIPT).unwrap();
        assert!(script.len() > 1_000_000 && script.contains("SwaggerUIBundle"));
        assert!(std::str::from_utf8(STYLE).unwrap().contains(".swagger-ui"));
    }
}
