//! What leaves the checkout: files for containers, for Kubernetes and for readers, all of them from the table of services and
//! from what the services' binaries say about themselves.

mod api;
mod chart;
mod check;
mod compare;
mod compose;
mod guide;
mod local;
mod picture;
mod postman;
#[cfg(test)]
mod rows;
mod schema;
mod section;

pub use check::findings;

use std::path::Path;

use anyhow::Result;

use crate::generate::Files;
use crate::services::{Description, Table};

/// Returns all of these files by path.
pub fn files(checkout: &Path, table: &Table, descriptions: &[Description]) -> Result<Files> {
    let mut files = Files::new();
    files.extend(compose::files(checkout, table, descriptions)?);
    files.extend(chart::files(checkout, table, descriptions)?);
    files.extend(guide::files(descriptions));
    files.extend(api::files(descriptions)?);
    files.extend(postman::files(descriptions)?);
    files.extend(picture::files(descriptions));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{generate, mesh, services};

    /// One entry, and what its binary would say: everything else follows.
    #[test]
    fn a_new_service_is_in_every_file_that_is_generated() {
        let checkout = mesh::checkout().unwrap();
        let mut table = services::table(&checkout).unwrap();
        let entry = "instances = 2\nscale = { max = 3, in_flight = 20 }\ndevelopment_env = { CLUBS_HASTE = \"1\" }\n";
        table.insert("clubs".to_owned(), toml::from_str(entry).unwrap());
        let clubs: Description = serde_json::from_value(json!({
            "name": "clubs",
            "description": "Clubs of those who drive the same car.",
            "routes": [{ "method": "GET", "template": "/clubs", "auth": "none" }],
            "calls": [{ "service": "users", "path": "/plaza.users.v1.Users/Get" }],
            "roles": ["invitations"],
            "settings": [{ "variable": "CLUBS_DATABASE_URL", "secret": true }, { "variable": "AMQP_URL" }],
            "openapi": { "paths": { "/clubs": { "get": { "summary": "Clubs", "responses": {} } } } },
        }))
        .unwrap();
        let users: Description = serde_json::from_value(json!({ "name": "users" })).unwrap();

        let files = generate::all(&checkout, &table, &[clubs, users]).unwrap();

        let has = |path: &str, text: &str| {
            let content = files.get(path);
            let content = content.unwrap_or_else(|| panic!("{path} is not generated"));
            assert!(content.contains(text), "{path} says nothing of {text}");
        };
        has("consul/services/clubs-work.json", "clubs-work");
        has("consul/routes/clubs.json", "/clubs");
        has("consul/intentions/users.json", "clubs");
        has("docker-compose.yml", "PLAZA_IDENTITY: clubs");
        has("docker-compose.yml", "postgres://clubs:");
        has("docker-compose.yml", "--databases=clubs");
        has("docker-compose.yml", "credentials-clubs:/credentials/clubs");
        has("docker-compose.prod.yml", "clubs: {");
        has("deploy/helm/files/services.json", "clubs-work");
        has("deploy/helm/files/mesh.json", "clubs-work");
        has("deploy/helm/files/routes.json", "/clubs");
        has("deploy/helm/files/scaling.json", "clubs");
        for (path, content) in &files {
            assert!(
                !content.contains("CLUBS_HASTE"),
                "{path} has a value of development"
            );
        }
    }
}
