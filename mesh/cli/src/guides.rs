//! Every command in README and the guides is run by a test, or listed as one that no test can run, with the reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use serde::Deserialize;

use crate::{Cli, mesh};

/// What becomes of each command.
const TABLE: &str = "docs/commands.toml";

/// Programs that commands begin with, as against names, paths and values in the text.
const PROGRAMS: &[&str] = &[
    ".ci/run",
    "cargo",
    "consul",
    "curl",
    "docker",
    "git",
    "helm",
    "kubectl",
    "npm",
    "psql",
    "rabbitmqctl",
    "redis-cli",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    run: Vec<Run>,
    listed: Vec<Listed>,
}

/// Commands that a test runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Run {
    test: String,
    commands: Vec<String>,
}

/// Commands that none runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    needs: String,
    reason: String,
    commands: Vec<String>,
}

impl Table {
    fn read(checkout: &Path) -> Self {
        toml::from_str(&fs::read_to_string(checkout.join(TABLE)).unwrap()).unwrap()
    }

    fn entries(&self) -> impl Iterator<Item = &String> {
        let run = self.run.iter().flat_map(|run| &run.commands);
        run.chain(self.listed.iter().flat_map(|listed| &listed.commands))
    }

    /// The entry that a command belongs to: the longest that it begins with.
    fn entry(&self, command: &str) -> Option<&String> {
        let begins = |entry: &&String| {
            let rest = command.strip_prefix(entry.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
        };
        self.entries()
            .filter(begins)
            .max_by_key(|entry| entry.len())
    }
}

/// The guides by path.
fn guides(checkout: &Path) -> Vec<(String, String)> {
    let mut paths = vec![PathBuf::from("README.md"), PathBuf::from("CONTRIBUTING.md")];
    for folder in ["docs", "docs/runbooks"] {
        let entries = fs::read_dir(checkout.join(folder)).unwrap();
        paths.extend(entries.map(|entry| Path::new(folder).join(entry.unwrap().file_name())));
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(checkout.join(&path)).ok()?;
        Some((path.display().to_string(), text))
    };
    paths.into_iter().filter_map(read).collect()
}

/// The commands of a text: those of its shell blocks, of its indented lines, and between backticks.
fn commands(text: &str) -> Vec<String> {
    let (mut found, mut prose, mut block) = (Vec::new(), String::new(), None::<(bool, String)>);
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            match block.take() {
                None => block = Some((["sh", "console"].contains(&language), String::new())),
                Some((true, lines)) => found.extend(script(&lines)),
                Some((false, _)) => {}
            }
        } else if let Some((_, lines)) = &mut block {
            *lines += line;
            lines.push('\n');
        } else if let Some(command) = line.strip_prefix("    ") {
            found.push(command.to_owned());
        } else {
            prose += line;
            prose.push('\n');
        }
    }
    let paragraphs = prose.split("\n\n");
    let spans = paragraphs.flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2));
    found.extend(
        spans
            .map(|span| span.replace('\n', " "))
            .filter(|span| is_command(span)),
    );
    found
}

fn is_command(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let program = words.next().unwrap_or_default();
    PROGRAMS.contains(&program) && (program.contains('/') || words.next().is_some())
}

/// The lines of a block, where each is a command; else the block is one script, known by its first line.
fn script(block: &str) -> Vec<String> {
    let lines = block
        .lines()
        .map(|line| line.split(" # ").next().unwrap_or_default().trim());
    let lines: Vec<_> = lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if lines.iter().all(|line| is_command(line)) {
        return lines;
    }
    lines.into_iter().take(1).collect()
}

/// Every command of every guide, with where it stands.
fn all(checkout: &Path) -> Vec<(String, String)> {
    let guides = guides(checkout);
    let each = guides.into_iter().flat_map(|(path, text)| {
        let commands = commands(&text).into_iter();
        commands
            .map(move |command| (path.clone(), command))
            .collect::<Vec<_>>()
    });
    each.collect()
}

/// The words of a command before its first pipe, with something in the place of what the reader has to fill in.
fn words(command: &str) -> Vec<String> {
    let mut text = command.split(" | ").next().unwrap_or_default().to_owned();
    while let (Some(from), Some(to)) = (text.find('<'), text.find('>')) {
        text.replace_range(from..=to, "x");
    }
    text.split_whitespace().map(str::to_owned).collect()
}

/// Why `cargo mesh` would not take a command.
fn refusal(command: &str) -> Option<String> {
    let words = words(command);
    let (program, arguments) = words.split_at(2);
    if program != ["cargo", "mesh"] {
        return Some("is no command of this checkout".to_owned());
    }
    let parsed =
        Cli::command().try_get_matches_from([&["cargo mesh".to_owned()], arguments].concat());
    let error = parsed.err()?;
    // A text may speak of a command without calling it.
    let spoken_of = arguments.len() == 1 && error.kind() == ErrorKind::MissingRequiredArgument;
    (!spoken_of).then(|| error.to_string())
}

/// The services that a command of Docker Compose names.
fn containers(command: &str) -> Vec<String> {
    let words = words(command);
    let known = ["up", "logs", "restart", "exec", "stop", "ps"];
    let Some(at) = words.iter().position(|word| known.contains(&word.as_str())) else {
        return Vec::new();
    };
    let limit = if words[at] == "exec" { 1 } else { usize::MAX };
    let names = words[at + 1..].iter().filter(|word| !word.starts_with('-'));
    let names = names.map(|word| word.split('=').next().unwrap_or_default().to_owned());
    names.take(limit).collect()
}

/// Names of the tests of the workspace.
fn tests(checkout: &Path) -> BTreeSet<String> {
    let (mut folders, mut names) = (Vec::new(), BTreeSet::new());
    folders.extend(["mesh", "services", "tests"].map(|folder| checkout.join(folder)));
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(path).unwrap();
                let functions = text.lines().filter_map(|line| {
                    let (_, rest) = line.split_once("fn ")?;
                    Some(rest.split('(').next()?.to_owned())
                });
                names.extend(functions);
            }
        }
    }
    names
}

#[test]
fn every_command_of_the_guides_is_run_by_a_test_or_listed_with_a_reason() {
    let checkout = mesh::checkout().unwrap();
    let (table, commands) = (Table::read(&checkout), all(&checkout));
    assert!(
        commands.len() > 50,
        "the guides have {} commands",
        commands.len()
    );

    let unsorted: Vec<_> = commands
        .iter()
        .filter(|(_, command)| table.entry(command).is_none())
        .collect();
    assert!(unsorted.is_empty(), "sort them in {TABLE}: {unsorted:#?}");

    let used: BTreeSet<_> = commands
        .iter()
        .filter_map(|(_, command)| table.entry(command))
        .collect();
    let stale: Vec<_> = table
        .entries()
        .filter(|entry| !used.contains(entry))
        .collect();
    assert!(stale.is_empty(), "no guide has them any more: {stale:#?}");

    let tests = tests(&checkout);
    let gone: Vec<_> = table
        .run
        .iter()
        .filter(|run| !tests.contains(&run.test))
        .collect();
    assert!(
        gone.is_empty(),
        "no such test: {:?}",
        gone.iter().map(|run| &run.test).collect::<Vec<_>>()
    );
    for listed in &table.listed {
        let said = !listed.needs.trim().is_empty() && listed.reason.trim().len() > 20;
        assert!(
            said,
            "{:?} say neither what they need nor why",
            listed.commands
        );
    }
}

#[test]
fn every_command_of_the_guides_that_is_ours_would_be_taken() {
    let checkout = mesh::checkout().unwrap();
    let ours = all(&checkout)
        .into_iter()
        .filter(|(_, command)| command.starts_with("cargo mesh "));
    let refused = ours
        .filter_map(|(path, command)| Some(format!("{path}: `{command}`: {}", refusal(&command)?)));
    let refused: Vec<_> = refused.collect();
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn s3_34_and_s3_37_containers_that_the_guides_name_are_there() {
    let checkout = mesh::checkout().unwrap();
    let compose = fs::read_to_string(checkout.join("docker-compose.yml")).unwrap();
    let mut named = 0;
    for (path, command) in all(&checkout)
        .iter()
        .filter(|(_, command)| command.starts_with("docker compose "))
    {
        for name in containers(command) {
            named += 1;
            assert!(
                compose.contains(&format!("\n  {name}:\n")),
                "{path}: `{command}`: no container is called {name}"
            );
        }
    }
    assert!(named > 4, "the guides name {named} containers");
}

#[test]
fn a_flag_that_is_gone_is_found() {
    assert!(refusal("cargo mesh status --yaml").is_some());
    assert!(refusal("cargo mesh state").is_some());
    assert!(refusal("cargo mesh logs <service>-1 | grep <id>").is_none());
    assert!(refusal("cargo mesh why").is_none(), "spoken of");
    assert!(refusal("cargo mesh dead-letters replay").is_some());
}

#[test]
fn commands_are_found_where_readers_find_them() {
    let text = "Text with `cargo mesh\nup` and `users`.\n\n    helm list\n\n```sh\ncargo mesh down # all\n```\n\n```json\n{}\n```\n\n```sh\nA=1\ncurl $A\n```\n";
    assert_eq!(
        commands(text),
        ["helm list", "cargo mesh down", "A=1", "cargo mesh up"]
    );
    assert_eq!(
        containers("docker compose up -d --scale movies=3"),
        ["movies"]
    );
}
