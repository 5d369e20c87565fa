//! One version: of the crates, of the chart, and of the newest section of the changelog, from which release notes are taken.

use std::fs;

use crate::root;

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// What follows `key` on its line, without quotes.
fn after<'a>(text: &'a str, key: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.unwrap_or_default().trim().trim_matches('"')
}

#[test]
fn the_newest_section_of_the_changelog_is_the_version_of_everything() {
    let (workspace, chart, changelog) = (
        read("Cargo.toml"),
        read("deploy/helm/Chart.yaml"),
        read("CHANGELOG.md"),
    );
    let version = after(&workspace, "version =");
    assert!(version.contains('.'), "{version}");
    assert_eq!(after(&chart, "version:"), version);
    assert_eq!(after(&chart, "appVersion:"), version);
    let mut sections = changelog.split("\n## [").skip(1);
    let newest = sections.next().unwrap();
    assert_eq!(newest.split(']').next(), Some(version), "CHANGELOG.md");
    assert!(newest.contains("\n- "), "{version} has no notes");
}

#[test]
fn release_notes_are_taken_from_the_changelog() {
    let workflow = read(".github/workflows/ci.yml");
    assert!(workflow.contains("CHANGELOG.md"));
    // The whole section and nothing of the next, as the workflow's own line takes it.
    let line = workflow.lines().find(|line| line.contains("awk")).unwrap();
    let script = line.split('\'').nth(1).unwrap();
    let folder = std::env::temp_dir().join(format!("plaza-notes-{}", std::process::id()));
    fs::write(
        &folder,
        "# C\n\n## [1.1.0]\n\n- new\n\n## [1.0.0]\n\n- old\n",
    )
    .unwrap();
    let notes = std::process::Command::new("awk")
        .args(["-v", "version=1.1.0", script])
        .arg(&folder)
        .output();
    fs::remove_file(&folder).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&notes.unwrap().stdout).trim(),
        "- new"
    );
}
