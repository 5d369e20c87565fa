//! The commands that operators use every day, on a mesh that runs (`docs/commands.toml`).

use std::{fs, process::Command};

use crate::own_mesh::OwnMesh;

/// Each of them says something, and changes nothing.
pub fn commands_work(mesh: &OwnMesh) {
    let status = mesh.succeeds(&["status"]);
    assert!(status.contains("users-1"), "{status}");
    let logs = mesh.succeeds(&["logs", "users-1"]);
    assert!(logs.contains("users-1 | {"), "{logs}");
    // What a process writes is kept once, in its own log.
    let supervisor = fs::read_to_string(mesh.state().join("logs/process-compose.log")).unwrap();
    assert!(!supervisor.contains("users-1"), "{supervisor}");
    let letters = ["dead-letters", "list", "notifications.mail"];
    mesh.succeeds(&letters);
    mesh.succeeds(&["dead-letters", "replay", "notifications.mail"]);
    assert!(!mesh.mesh(&["logs", "nobody"]).status.success());
    let mails = format!("127.0.0.1:{}/api/mails", mesh.ports()["mail_page"]);
    let emptied = Command::new("curl")
        .args(["--fail", "--silent", "--max-time", "30", "-X", "DELETE"])
        .arg(&mails)
        .status();
    assert!(emptied.unwrap().success());
}
