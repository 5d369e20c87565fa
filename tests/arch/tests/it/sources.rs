//! What may be named where.

use crate::rust_files;

/// Lines longest a file may have.
const LONGEST: usize = 500;

/// Lines of code (no comments) in which `word` stands, outside the files that may name it.
fn offenders(folder: &str, words: &[&str], may: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in rust_files(folder)
        .into_iter()
        .filter(|(path, _)| !may(path))
    {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

fn is_test(path: &str) -> bool {
    path.contains("/tests/") || path.starts_with("tests/")
}

#[test]
fn models_know_no_wire_and_no_store() {
    let wires = [
        "warp::",
        "tonic::",
        "sea_orm",
        "mongodb::",
        "reqwest::",
        "hyper::",
    ];
    let found = offenders("services", &wires, |path| !path.contains("/model"));
    assert!(found.is_empty(), "{found:#?}");
}

/// Its queue would not be there before somebody publishes, and the broker would not let it make one.
#[test]
fn a_consumer_is_part_of_the_description_of_its_service() {
    let found = offenders("services", &["Consumer::new("], is_test);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_environment_is_read_by_settings_only() {
    let reads = ["env::var", "env::vars", "env::set_var"];
    for folder in [
        "services",
        "observability",
        "mesh/chassis",
        "mesh/discovery",
        "mesh/proto",
    ] {
        // A build script reads what cargo tells it; the settings of all say which variables mean nothing (D20).
        let settings = "mesh/chassis/src/settings.rs";
        let found = offenders(folder, &reads, |path| {
            is_test(path) || path.ends_with("/build.rs") || path == settings
        });
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn statuses_are_named_at_the_edges_only() {
    let found = offenders(
        "services",
        &["StatusCode::", "tonic::Code", "Code::Internal"],
        |path| is_test(path) || path.contains("/http") || path.contains("/grpc"),
    );
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn the_time_of_day_and_signals_belong_to_the_chassis() {
    let found = offenders(
        "services",
        &[
            "Utc::now",
            "SystemTime::now",
            "tokio::signal",
            "process::exit",
        ],
        is_test,
    );
    assert!(found.is_empty(), "{found:#?}");
}

/// Only so is every write in a transaction whose commit is looked at: what the chassis hands out
/// can do nothing else.
#[test]
fn relational_stores_are_opened_by_the_chassis_alone() {
    let ways = [
        "TransactionTrait",
        "DatabaseConnection",
        "Database::connect(",
        "SqlitePool",
        "PgPool",
        "::up(",
    ];
    for folder in ["services", "mesh"] {
        let found = offenders(folder, &ways, |path| {
            is_test(path)
                || path.starts_with("mesh/chassis/src/sql")
                || path.starts_with("mesh/testkit")
                // Its plans are looked at by the tests in it.
                || path == "services/movies/src/store/queries.rs"
        });
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn only_telemetry_sets_telemetry_up() {
    for folder in ["services", "mesh/chassis", "mesh/discovery"] {
        let found = offenders(
            folder,
            &[
                "tracing_subscriber",
                "opentelemetry_otlp",
                "PrometheusBuilder",
            ],
            is_test,
        );
        assert!(found.is_empty(), "{found:#?}");
    }
}

#[test]
fn tests_wait_by_polling() {
    for folder in ["services", "tests", "mesh/chassis/tests", "mesh/discovery"] {
        let found = offenders(folder, &["time::sleep(", "thread::sleep("], |path| {
            !is_test(path) || path.starts_with("tests/arch")
        });
        assert!(
            found.is_empty(),
            "poll with a deadline (testkit::eventually): {found:#?}"
        );
    }
}

#[test]
fn a_file_is_read_in_one_sitting() {
    for folder in ["services", "mesh", "observability", "tests"] {
        for (path, text) in rust_files(folder) {
            let lines = text.lines().count();
            assert!(
                lines <= LONGEST,
                "{path} has {lines} lines, more than {LONGEST}"
            );
        }
    }
}

#[test]
fn a_main_only_starts() {
    for (path, text) in rust_files("services")
        .iter()
        .filter(|(path, _)| path.ends_with("src/main.rs"))
    {
        assert!(text.lines().count() <= 50, "{path}");
        assert!(
            !text.contains("mod "),
            "{path} declares a module: that belongs into lib.rs"
        );
    }
}
