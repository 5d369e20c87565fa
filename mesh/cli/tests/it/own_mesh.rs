//! A mesh beside all others, which goes when the test ends.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use reqwest::Method;
use serde_json::Value;
use testkit::{
    Reply,
    mesh::{client, processes},
    send, unique,
};

/// The mesh that `PLAZA_MESH` names; `down --volumes` when dropped.
pub struct OwnMesh {
    name: String,
}

impl OwnMesh {
    pub fn new() -> Self {
        Self {
            name: unique("own").chars().take(20).collect(),
        }
    }

    /// Runs `cargo mesh …`.
    pub fn mesh(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mesh"));
        command
            .args(arguments)
            .env("PLAZA_MESH", &self.name)
            .current_dir(checkout());
        command.output().unwrap()
    }

    /// Runs `cargo mesh …`, which must succeed; what it printed.
    #[track_caller]
    pub fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.mesh(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success(),
            "cargo mesh {arguments:?}: {errors}"
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The folder of its settings and data.
    pub fn state(&self) -> PathBuf {
        checkout().join(".plaza").join(&self.name)
    }

    /// What its file says.
    pub fn file(&self) -> Value {
        serde_json::from_slice(&fs::read(self.state().join("mesh.json")).unwrap()).unwrap()
    }

    /// Its ports by name.
    pub fn ports(&self) -> BTreeMap<String, u16> {
        serde_json::from_value(self.file()["ports"].clone()).unwrap()
    }

    /// `method path` through its ingress.
    pub async fn call(&self, method: Method, path: &str, token: &str, body: &Value) -> Reply {
        let url = format!(
            "{}{path}",
            self.file()["addresses"]["ingress"].as_str().unwrap()
        );
        let mut request = client().request(method, url);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        send(request).await
    }

    /// The processes that carry its mark: id to program.
    pub fn processes(&self) -> BTreeMap<u32, String> {
        let state = self.state();
        processes(&state)
            .map(|process| (process.id, process.program))
            .collect()
    }

    /// Ends those of its processes whose program `is_meant`, at once.
    pub fn kill(&self, is_meant: impl Fn(&str) -> bool) {
        let meant: Vec<u32> = self
            .processes()
            .into_iter()
            .filter(|(_, program)| is_meant(program))
            .map(|(pid, _)| pid)
            .collect();
        assert!(!meant.is_empty(), "nothing to kill");
        for pid in meant {
            // One may have gone with its supervisor already.
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status();
        }
    }
}

impl Drop for OwnMesh {
    fn drop(&mut self) {
        self.mesh(&["down", "--volumes"]);
    }
}

/// The checkout whose command is under test.
pub fn checkout() -> PathBuf {
    // Not `env!`: a target folder that checkouts share may hold a binary that another one built.
    let package = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&package).join("../..").canonicalize().unwrap()
}
