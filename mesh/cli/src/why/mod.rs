//! `cargo mesh why`: what became of one request, in one timeline, and why (`docs/adr/0028`).
//!
//! What is known of it is in many places: spans of applications and Envoys in Jaeger, log lines of all processes, the
//! ingress's access log, intentions in the checkout and in Consul, alerts in Prometheus. Each that is away is said to be,
//! and the rest is told.

mod declared;
mod denied;
mod diagnose;
mod logs;
mod now;
mod print;
mod story;
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;

use crate::mesh::{self, Mesh};
use crate::supervisor::Supervisor;
use declared::Sources;
use now::Now;
use story::Story;

/// How long spans may take from their processes to Jaeger.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Between two looks at Jaeger.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest id that anybody has.
const LONGEST: usize = 100;

/// Which request is explained.
#[derive(Args)]
#[command(after_help = "Examples:
  cargo mesh why 4bb3fc3f8a28052305b1b474901f774b       # a trace id: `x-trace-id` of an answer, `trace_id` of a log line
  cargo mesh why 9e5d58c8-a7de-9b5d-9022-adcddd0f5155   # `x-request-id` of an answer")]
pub struct Options {
    /// The id of a trace, or of a request.
    id: String,
    /// Prints JSON.
    #[arg(long)]
    json: bool,
    /// The state folder of another mesh than the one that `PLAZA_MESH` names.
    #[arg(long, hide = true)]
    state: Option<PathBuf>,
}

/// Tells the story of a request.
pub fn run(options: &Options) -> Result<ExitCode> {
    let id = options.id.trim().to_ascii_lowercase();
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if !(8..=LONGEST).contains(&id.len()) || !id.bytes().all(sound) {
        bail!("`{id}` is neither a trace id (32 hex digits) nor an x-request-id");
    }
    let mesh = started(options)?;
    let story = settled(&mesh, &id);
    if story.is_empty() {
        if !Supervisor::of(&mesh).is_alive() {
            bail!(
                "the mesh `{}` is not up, and its logs have nothing of {id}: run `cargo mesh up`",
                mesh.name
            );
        }
        for note in &story.notes {
            eprintln!("{note}");
        }
        bail!(
            "nobody knows {id}: no span in Jaeger and no log line has it (both keep what is recent)"
        );
    }
    let causes = diagnose::causes(&story, &Sources::of(&mesh), &Now::of(&mesh));
    if options.json {
        println!("{:#}", print::json(&story, &causes));
    } else {
        print!("{}", print::text(&story, &causes));
    }
    Ok(ExitCode::SUCCESS)
}

fn started(options: &Options) -> Result<Mesh> {
    if let Some(state) = &options.state {
        return Mesh::load(state);
    }
    let name = std::env::var("PLAZA_MESH").unwrap_or_else(|_| "dev".to_owned());
    Mesh::load(&mesh::checkout()?.join(".plaza").join(name))
}

/// Reads until everything of a request that has just been there has arrived.
fn settled(mesh: &Mesh, id: &str) -> Story {
    let deadline = Instant::now() + ARRIVAL;
    loop {
        let story = Story::read(mesh, id);
        if story.is_settled() || Instant::now() > deadline {
            return story;
        }
        std::thread::sleep(PAUSE);
    }
}
